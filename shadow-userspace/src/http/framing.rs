//! What a head can say about the message it begins, and why it may not be believed.

use crate::ledger::DropReason;

/// Headers that a head may have.
pub const MAX_HEADERS: usize = 128;

/// HTTP/1.x minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How a request's body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyFraming {
    /// No body.
    None,
    /// `Content-Length`, in bytes; may be zero.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Why bytes are no head that can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// RFC 9112's grammar does not allow it.
    #[error("malformed request line or header")]
    Syntax,
    /// More headers than [`MAX_HEADERS`].
    #[error("more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    /// `Host` is missing in HTTP/1.1, there twice, or no host.
    #[error("no Host, several, or an invalid one")]
    Host,
    /// `Content-Length` is there twice or no number.
    #[error("several Content-Length, or an invalid one")]
    ContentLength,
    /// `Transfer-Encoding` is not exactly one `chunked`, or is there with `Content-Length` or in HTTP/1.0.
    #[error("Transfer-Encoding other than one chunked, or with Content-Length, or in HTTP/1.0")]
    TransferEncoding,
}

impl HeadError {
    /// The reason to drop the request for.
    #[must_use]
    pub const fn drop_reason(self) -> DropReason {
        match self {
            Self::TooManyHeaders => DropReason::HeadTooLarge,
            Self::Syntax | Self::Host | Self::ContentLength | Self::TransferEncoding => DropReason::Ambiguous,
        }
    }
}
