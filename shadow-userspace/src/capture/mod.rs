//! Capture sources: the live ring and everything that attaches the kernel programs.

mod live;
mod rate;
mod segment;

pub use live::{AttachMode, CaptureError, Control, KernelCounters, Live, LiveOptions};
pub use rate::{RateError, SampleRate};
pub use segment::Segment;
