//! A request's head: the bytes as they were on the wire, and where its parts lie in them.
//!
//! Takes the bytes of a whole head, gives typed access to its parts without copying them. Invariant: a [`RequestHead`]
//! that exists was framed by RFC 9112's grammar without any leniency, so its [`BodyFraming`] can be relied on.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::{
    framing::{BodyFraming, HeadError, MAX_HEADERS, Version},
    headers::{Headers, Part, Storage, whole},
};

/// Request line and headers, kept in wire form.
#[derive(Clone, Debug)]
pub struct RequestHead {
    raw: Bytes,
    layout: Layout,
}

/// Where the parts of a head lie, and what they say.
#[derive(Clone, Debug)]
struct Layout {
    method: Part,
    target: Part,
    version: Version,
    headers: Headers,
    framing: BodyFraming,
    asks_for_upgrade: bool,
    keeps_alive: bool,
}

impl RequestHead {
    /// Parses a whole head: request line and headers, up to and with the empty line, and nothing else.
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

    /// The method, as sent.
    #[must_use]
    pub fn method(&self) -> &str {
        self.text(self.layout.method)
    }

    /// The request target, as sent; visible ASCII.
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.layout.target)
    }

    /// The version of the request line.
    #[must_use]
    pub fn version(&self) -> Version {
        self.layout.version
    }

    /// How the body is delimited.
    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        self.layout.framing
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

    /// Whether the client may send another request on the connection: HTTP/1.1 without `Connection: close`, HTTP/1.0
    /// with `Connection: keep-alive`.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.layout.keeps_alive
    }

    /// Whether the client asks for another protocol: `Upgrade`, and `Connection: upgrade`.
    #[must_use]
    pub fn asks_for_upgrade(&self) -> bool {
        self.layout.asks_for_upgrade
    }

    /// Memory held for the head, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.raw.len() + self.layout.headers.memory()
    }

    fn text(&self, part: Part) -> &str {
        std::str::from_utf8(part.in_bytes(&self.raw)).unwrap_or_default()
    }
}

impl Layout {
    /// The head that `bytes` begin with, and its length.
    fn read(bytes: &[u8]) -> Result<(Self, usize), HeadError> {
        let mut storage: Storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        let length = whole(parsed.parse_with_uninit_headers(bytes, &mut storage))?;
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HeadError::Syntax);
        };
        let head = bytes.get(..length).ok_or(HeadError::Syntax)?;
        // `httparse` skips empty lines, and takes bytes that RFC 3986 has no place for: some servers take them.
        if !head.starts_with(method.as_bytes()) || !is_target(target.as_bytes()) {
            return Err(HeadError::Syntax);
        }
        let (headers, _, fields) = Headers::read(head, parsed.headers)?;
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let layout = Self {
            method: Part::of(head, method.as_bytes())?,
            target: Part::of(head, target.as_bytes())?,
            version,
            headers,
            framing: fields.request_framing(version)?,
            asks_for_upgrade: fields.asks_for_upgrade(),
            keeps_alive: fields.keeps_alive(version),
        };
        Ok((layout, length))
    }
}

/// Visible ASCII without a fragment. Without an early exit the compiler compares many bytes at once.
fn is_target(target: &[u8]) -> bool {
    target.iter().fold(true, |is_target, byte| is_target & byte.is_ascii_graphic() & (*byte != b'#'))
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
