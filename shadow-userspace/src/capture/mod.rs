//! Capture: from the network interface, or a capture file, to [`Segment`]s.
//!
//! In the order of events: [`preflight`] and [`kernel`] say what is missing, [`mod@load`] brings the kernel programs
//! and their maps into the kernel, [`attach`] hooks them to the interfaces, of another namespace by [`netns`], [`live`]
//! holds it all, [`mod@ring`] is drained, [`record`] reads what was in it, and [`control`] changes the live maps and
//! reads the counters. Of files there is [`mod@file`].
//!
//! Isolation (invariant 1): what is attached hangs on file descriptors of this process, so whichever way it ends,
//! nothing stays attached; where the kernel can't do that, see [`attach`].

mod attach;
mod control;
mod counters;
mod error;
pub mod file;
mod kernel;
mod live;
mod load;
pub(crate) mod netns;
mod note;
pub(crate) mod preflight;
mod rate;
mod record;
mod ring;
mod segment;
mod seq;
mod usage;

pub use attach::AttachMode;
pub(crate) use attach::{failed, has_clsact, program};
pub use control::{Control, RingFill};
pub use counters::KernelCounters;
pub use error::CaptureError;
pub use kernel::{Feature, Kernel};
pub use live::{Live, LiveOptions};
pub use load::{EXPORT, MIN_RING, Programs, TAG, TAG_SKB, load, retried};
pub use note::Note;
pub use rate::{LiveRate, RateError, SampleRate};
pub use record::{RecordError, parse_record};
pub use ring::Ring;
pub use segment::{Run, Segment};
pub use seq::Seq;
pub use usage::{ProgramUsage, Usage};
