//! A response's head: the bytes as they were on the wire, and where its parts lie in them.
//!
//! Takes the bytes of a whole head, gives typed access to its parts without copying them. Invariant: a [`ResponseHead`]
//! that exists was framed by RFC 9112's grammar; the one leniency is that the space before an empty reason may be
//! missing: section 4 asks servers for it, but clients do without. Nothing of the framing depends on it.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::{
    framing::{HeadError, MAX_HEADERS, ResponseFraming, ResponseTo, Version},
    headers::{Headers, Part, Storage, whole},
};

/// Status line and headers, kept in wire form.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    raw: Bytes,
    layout: Layout,
}

/// Where the parts of a head lie, and what they say.
#[derive(Clone, Debug)]
struct Layout {
    version: Version,
    status: u16,
    reason: Part,
    headers: Headers,
    /// Where the response's body ends, if it has one.
    framing: ResponseFraming,
    keeps_alive: bool,
}

impl ResponseHead {
    /// Parses a whole head: status line and headers, up to and with the empty line, and nothing else.
    ///
    /// # Errors
    /// What makes it unreliable.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, HeadError> {
        let raw = raw.into();
        let (layout, length) = Layout::read(&raw)?;
        if length == raw.len() { Ok(Self { raw, layout }) } else { Err(HeadError::Syntax) }
    }

    /// Takes a head off the front of `input` if all of it is there, and nothing is wrong with it.
    pub(super) fn take(input: &mut &[u8], limit: usize) -> Option<Self> {
        let (layout, length) = Layout::read(input.get(..limit).unwrap_or(input)).ok()?;
        let (head, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(Self { raw: Bytes::copy_from_slice(head), layout })
    }

    /// The whole head as sent, up to and with the empty line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The version of the status line.
    #[must_use]
    pub fn version(&self) -> Version {
        self.layout.version
    }

    /// The status code, 100 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.layout.status
    }

    /// The reason phrase, as sent; often empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.layout.reason.in_bytes(&self.raw)
    }

    /// How the body is delimited, in answer to this request.
    ///
    /// # Errors
    /// Where it is a 101 that nobody asked for.
    pub fn framing(&self, to: ResponseTo) -> Result<ResponseFraming, HeadError> {
        Ok(match (self.layout.status, to) {
            (101, ResponseTo::Upgrade) | (200..=299, ResponseTo::Connect) => ResponseFraming::Tunnel,
            (101, _) => return Err(HeadError::Unasked),
            (100..=199 | 204 | 304, _) | (_, ResponseTo::Head) => ResponseFraming::None,
            (_, ResponseTo::Unknown) if self.layout.framing != ResponseFraming::Length(0) => {
                ResponseFraming::Unknown
            }
            _ => self.layout.framing,
        })
    }

    /// Names and values in order and case as sent, without the white space around the value.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.layout.headers.iter(&self.raw)
    }

    /// The first value of the header with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_values(name).next()
    }

    /// All values of the headers with this name, in any case.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.layout.headers.values(&self.raw, name)
    }

    /// Whether another response may follow on the connection: HTTP/1.1 without `Connection: close`, HTTP/1.0 with
    /// `Connection: keep-alive`.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.layout.keeps_alive
    }

    /// Memory held for the head, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.raw.len() + self.layout.headers.memory()
    }
}

impl Layout {
    /// The head that `bytes` begin with, and its length.
    fn read(bytes: &[u8]) -> Result<(Self, usize), HeadError> {
        const STATUS_LINE: &[u8] = b"HTTP/1.1 200 ";
        let mut storage: Storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsing = config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut storage);
        let length = whole(parsing)?;
        let (Some(status @ 100..=999), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(HeadError::Syntax);
        };
        let head = bytes.get(..length).ok_or(HeadError::Syntax)?;
        // `httparse` skips empty lines.
        if !head.starts_with(b"HTTP/") {
            return Err(HeadError::Syntax);
        }
        let (headers, status_line, fields) = Headers::read(head, parsed.headers)?;
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let layout = Self {
            version,
            status,
            // `httparse` gives none where it isn't ASCII.
            reason: Part::between(STATUS_LINE.len(), status_line)?,
            headers,
            framing: fields.response_framing(version, status)?,
            keeps_alive: fields.keeps_alive(version),
        };
        Ok((layout, length))
    }
}

#[cfg(test)]
#[path = "response_head_tests.rs"]
mod tests;
