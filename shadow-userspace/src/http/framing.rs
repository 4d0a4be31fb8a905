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

/// What a response's framing depends on of its request (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseTo {
    /// HEAD: the answer has no body, whatever its fields say.
    Head,
    /// CONNECT: an answer of 2xx is the last of HTTP.
    Connect,
    /// One that asks for another protocol; 101 is the last of HTTP.
    Upgrade,
    /// Any other.
    Other,
    /// One whose method wasn't seen: where the answer ends isn't known.
    Unknown,
}

/// How a response's body is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseFraming {
    /// No body, whatever the fields say.
    None,
    /// `Content-Length`, in bytes; may be zero.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
    /// No body, and nothing of HTTP after it.
    Tunnel,
    /// As the method of the request says, which isn't known.
    Unknown,
}

/// Why bytes are no head that can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// RFC 9112's grammar does not allow it.
    #[error("malformed first line or header")]
    Syntax,
    /// More headers than [`MAX_HEADERS`].
    #[error("more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    /// `Host` is missing in HTTP/1.1, there twice, or no host.
    #[error("no Host, several, or an invalid one")]
    Host,
    /// `Content-Length` is there twice or no number, or not zero in a response that has no body.
    #[error("several Content-Length, or an invalid one")]
    ContentLength,
    /// `Transfer-Encoding` is not exactly one `chunked`, or is there with `Content-Length`, in HTTP/1.0, or in a
    /// response that has no body. (A response may also have other codings, without `chunked`.)
    #[error("Transfer-Encoding other than one chunked, or with Content-Length, or in HTTP/1.0")]
    TransferEncoding,
    /// A status of 101 in answer to a request that didn't ask for another protocol.
    #[error("101 without an Upgrade in the request")]
    Unasked,
}

impl HeadError {
    /// The reason to drop the message for.
    #[must_use]
    pub const fn drop_reason(self) -> DropReason {
        match self {
            Self::TooManyHeaders => DropReason::HeadTooLarge,
            Self::Syntax | Self::Host | Self::ContentLength | Self::TransferEncoding | Self::Unasked => {
                DropReason::Ambiguous
            }
        }
    }
}
