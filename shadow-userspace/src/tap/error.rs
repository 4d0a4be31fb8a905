//! Why `tap` ended otherwise than asked for.

use std::io;

use crate::capture::{CaptureError, file::FileError};

/// Why `tap` ended otherwise than asked for.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Where exchanges are written to takes no more. A closed pipe is none: then nobody wants more.
    #[error("can't write the exchanges: {0}")]
    Write(#[source] io::Error),
    /// The capture file can't be read to its end.
    #[error(transparent)]
    File(#[from] FileError),
    /// Capturing can't start, or failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No runtime, no signal handler or no thread.
    #[error("can't start: {0}")]
    Start(#[source] io::Error),
    /// A defect.
    #[error("the capture thread ended by a defect of the agent; nothing is attached any more")]
    Panicked,
}
