//! A response's head: the bytes as they were on the wire, and where its parts lie in them.

use bytes::Bytes;

use super::{
    framing::{HeadError, MAX_HEADERS, Version},
    head::range_of,
    section,
};

/// Status line and headers, kept in wire form.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    version: Version,
    status: u16,
    reason: Bytes,
    headers: Box<[(Bytes, Bytes)]>,
}

impl ResponseHead {
    /// Parses a whole head: status line and headers, up to and with the empty line, and nothing else.
    ///
    /// # Errors
    /// What makes it unreliable.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, HeadError> {
        let raw = raw.into();
        let mut storage = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut storage);
        match parsed.parse(&raw) {
            Ok(httparse::Status::Complete(length)) if length == raw.len() && section::is_whole(&raw) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
            Ok(_) | Err(_) => return Err(HeadError::Syntax),
        }
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(HeadError::Syntax);
        };
        let part =
            |bytes: &[u8]| range_of(&raw, bytes).map(|range| raw.slice(range)).ok_or(HeadError::Syntax);
        let reason = part(parsed.reason.unwrap_or_default().as_bytes()).unwrap_or_default();
        let headers = parsed.headers.iter();
        let headers = headers.map(|field| Ok((part(field.name.as_bytes())?, part(field.value)?)));
        let headers = headers.collect::<Result<_, HeadError>>()?;
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        Ok(Self { version, status, reason, headers })
    }

    /// The version of the status line.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status code, 100 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, as sent; often empty.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        &self.reason
    }

    /// Names and values in order and case as sent, without the white space around the value.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (&**name, &**value))
    }
}
