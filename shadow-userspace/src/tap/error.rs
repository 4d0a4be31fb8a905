//! Why `tap` ended otherwise than asked for.

use std::io;

/// Why `tap` ended otherwise than asked for.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Where exchanges are written to takes no more. A closed pipe is none: then nobody wants more.
    #[error("can't write the exchanges: {0}")]
    Write(#[source] io::Error),
    /// A source that isn't there yet.
    #[error("`tap` can't read {0} yet")]
    NotYet(&'static str),
}
