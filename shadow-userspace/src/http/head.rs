//! A request's head: the bytes as they were on the wire, and where its parts lie in them.

use bytes::Bytes;

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

/// Request line and headers, kept in wire form.
#[derive(Clone, Debug)]
pub struct RequestHead {
    raw: Bytes,
}

impl RequestHead {
    /// The whole head as sent, up to and with the empty line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
}
