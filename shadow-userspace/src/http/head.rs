//! A request's head: the bytes as they were on the wire, and where its parts lie in them.
//!
//! Takes the bytes of a whole head, gives typed access to its parts without copying them. Invariant: a [`RequestHead`]
//! that exists was framed by RFC 9112's grammar without any leniency, so its [`BodyFraming`] can be relied on.

use std::{mem::MaybeUninit, ops::Range};

use bytes::Bytes;

use super::{
    fields::Fields,
    framing::{BodyFraming, HeadError, MAX_HEADERS, Version},
    section,
};

/// Request line and headers, kept in wire form.
#[derive(Clone, Debug)]
pub struct RequestHead {
    raw: Bytes,
    method: Part,
    target: Part,
    version: Version,
    headers: Box<[(Part, Part)]>,
    framing: BodyFraming,
    asks_for_upgrade: bool,
    keeps_alive: bool,
}

/// A range of the raw bytes. A head is far shorter than 4 GiB.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    end: u32,
}

impl RequestHead {
    /// Parses a whole head: request line and headers, up to and with the empty line, and nothing else.
    ///
    /// # Errors
    /// What makes it unreliable.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, HeadError> {
        let raw = raw.into();
        if section::is_whole(&raw) { Self::parse_section(raw) } else { Err(HeadError::Syntax) }
    }

    /// Parses a head that is a whole [`Section`](section::Section): `httparse` alone would take bare line feeds.
    pub(super) fn parse_section(raw: Bytes) -> Result<Self, HeadError> {
        let mut storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(&raw, &mut storage) {
            Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
            Ok(_) | Err(_) => return Err(HeadError::Syntax),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HeadError::Syntax);
        };
        // `httparse` also takes bytes that RFC 3986 has no place for: some servers take them, others don't.
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(HeadError::Syntax);
        }
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let (method, target) = (part_of(&raw, method.as_bytes())?, part_of(&raw, target.as_bytes())?);
        let mut fields = Fields::default();
        let mut headers = Vec::with_capacity(parsed.headers.len());
        for header in parsed.headers.iter() {
            fields.add(header.name.as_bytes(), header.value)?;
            headers.push((part_of(&raw, header.name.as_bytes())?, part_of(&raw, header.value)?));
        }
        let framing = fields.framing(version)?;
        let (asks_for_upgrade, keeps_alive) = (fields.asks_for_upgrade(), fields.keeps_alive(version));
        let headers = headers.into_boxed_slice();
        Ok(Self { raw, method, target, version, headers, framing, asks_for_upgrade, keeps_alive })
    }

    /// The whole head as sent, up to and with the empty line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The method, as sent.
    #[must_use]
    pub fn method(&self) -> &str {
        self.text(self.method)
    }

    /// The request target, as sent; visible ASCII.
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.target)
    }

    /// The version of the request line.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body is delimited.
    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// Names and values in order and case as sent, without the white space around the value.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (self.part(*name), self.part(*value)))
    }

    /// The first value of the header with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.header_values(name).next()
    }

    /// All values of the headers with this name, in any case.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Whether the client may send another request on the connection: HTTP/1.1 without `Connection: close`, HTTP/1.0
    /// with `Connection: keep-alive`.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Whether the client asks for another protocol: `Upgrade`, and `Connection: upgrade`.
    #[must_use]
    pub fn asks_for_upgrade(&self) -> bool {
        self.asks_for_upgrade
    }

    /// Memory held for the head, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.raw.len() + size_of_val(&*self.headers)
    }

    fn part(&self, part: Part) -> &[u8] {
        self.raw.get(part.start as usize..part.end as usize).unwrap_or_default()
    }

    fn text(&self, part: Part) -> &str {
        std::str::from_utf8(self.part(part)).unwrap_or_default()
    }
}

/// Where `part`, a slice of `raw`, lies in it.
fn part_of(raw: &[u8], part: &[u8]) -> Result<Part, HeadError> {
    let Range { start, end } = range_of(raw, part).ok_or(HeadError::Syntax)?;
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Ok(Part { start, end }),
        _ => Err(HeadError::Syntax),
    }
}

/// The range of `part` in `whole`, if it is a slice of it.
pub(super) fn range_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let range = start..start.checked_add(part.len())?;
    (range.end <= whole.len()).then_some(range)
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
