//! Capture: from the network interface to [`Segment`]s.
//!
//! In the order of events: [`preflight`] says what is missing, [`mod@load`] brings the kernel programs and their maps into
//! the kernel, [`attach`] hooks them to the interface, [`live`] drains the ring, [`record`] reads what it holds, and
//! [`control`] changes the live maps and reads the counters.
//!
//! Isolation (invariant 1): everything attached hangs on file descriptors of this process, so whichever way it ends,
//! nothing stays attached.

mod attach;
mod control;
mod error;
mod live;
mod load;
mod preflight;
mod rate;
mod record;
mod segment;

pub use attach::AttachMode;
pub use control::{Control, KernelCounters};
pub use error::CaptureError;
pub use live::{Live, LiveOptions};
pub use load::{EXPORT, MIN_RING, Programs, TAG, load};
pub use rate::{RateError, SampleRate};
pub use record::{RecordError, parse_record};
pub use segment::Segment;
