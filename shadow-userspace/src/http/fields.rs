//! The header fields that decide where a message ends and whom a request is for.
//!
//! Takes fields one by one, gives the body's framing. Whatever RFC 9112 leaves open, or leaves to the recipient, is an
//! error here.

use super::{
    classify::is_token,
    framing::{BodyFraming, HeadError, ResponseFraming, Version},
};

/// What the fields seen so far say.
#[derive(Debug, Default)]
pub(super) struct Fields {
    host: Host,
    content_length: Option<u64>,
    coding: Coding,
    upgrade: bool,
    /// Options of `Connection`.
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
}

/// The `Host` of a request. In a response it means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Host {
    #[default]
    None,
    One,
    /// Several, or not a host.
    Invalid,
}

/// The transfer codings of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    /// Others, without chunked.
    Other,
}

impl Fields {
    /// Takes the next field.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        // The length first: it tells nearly every field apart from these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.add_host(value);
                Ok(())
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.add_connection(value);
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.add_content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.add_transfer_encoding(value),
            _ => Ok(()),
        }
    }

    /// The framing of a request's body, now that all fields are there.
    pub(super) fn request_framing(&self, version: Version) -> Result<BodyFraming, HeadError> {
        match self.host {
            Host::None if version == Version::Http11 => return Err(HeadError::Host),
            Host::Invalid => return Err(HeadError::Host),
            Host::None | Host::One => {}
        }
        self.check_coding(version)?;
        match (self.coding, self.content_length) {
            (Coding::Other, _) => Err(HeadError::TransferEncoding),
            (Coding::Chunked, _) => Ok(BodyFraming::Chunked),
            (Coding::None, Some(length)) => Ok(BodyFraming::Length(length)),
            (Coding::None, None) => Ok(BodyFraming::None),
        }
    }

    /// The framing of a response's body, now that all fields are there, if the response has one.
    pub(super) fn response_framing(
        &self,
        version: Version,
        status: u16,
    ) -> Result<ResponseFraming, HeadError> {
        self.check_coding(version)?;
        // A server must not send these (RFC 9110 section 8.6, RFC 9112 section 6.1), and some clients would read a
        // body.
        if matches!(status, 100..=199 | 204) {
            if self.coding != Coding::None {
                return Err(HeadError::TransferEncoding);
            }
            if self.content_length.is_some_and(|length| length > 0) {
                return Err(HeadError::ContentLength);
            }
        }
        Ok(match (self.coding, self.content_length) {
            (Coding::Chunked, _) => ResponseFraming::Chunked,
            (Coding::None, Some(length)) => ResponseFraming::Length(length),
            (Coding::Other, _) | (Coding::None, None) => ResponseFraming::Close,
        })
    }

    /// A coding with a length, or in HTTP/1.0, is what smuggling is made of (RFC 9112 section 6.1).
    fn check_coding(&self, version: Version) -> Result<(), HeadError> {
        match self.coding {
            Coding::Chunked | Coding::Other
                if version == Version::Http10 || self.content_length.is_some() =>
            {
                Err(HeadError::TransferEncoding)
            }
            Coding::None | Coding::Chunked | Coding::Other => Ok(()),
        }
    }

    /// Whether the client asks for another protocol on this connection.
    pub(super) fn asks_for_upgrade(&self) -> bool {
        self.upgrade && self.upgrade_option
    }

    /// Whether another request may follow on the connection (RFC 9112 section 9.3).
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    fn add_host(&mut self, value: &[u8]) {
        let is_host = value.iter().fold(true, |is_host, byte| is_host & IS_HOST[usize::from(*byte)]);
        self.host = if is_host && self.host == Host::None { Host::One } else { Host::Invalid };
    }

    fn add_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn add_content_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        // A second one is refused even if it says the same: RFC 9110 section 8.6 lets a recipient do either.
        match decimal(value) {
            Some(length) if self.content_length.is_none() => self.content_length = Some(length),
            _ => return Err(HeadError::ContentLength),
        }
        Ok(())
    }

    fn add_transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        self.coding = match self.coding {
            Coding::None if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
            Coding::None | Coding::Other if value.split(|byte| *byte == b',').all(is_other_coding) => {
                Coding::Other
            }
            _ => return Err(HeadError::TransferEncoding),
        };
        Ok(())
    }
}

/// A coding's name without parameters that nobody could take for chunked.
fn is_other_coding(coding: &[u8]) -> bool {
    const CHUNKED: &[u8] = b"chunked";
    let coding = coding.trim_ascii();
    let is_token = !coding.is_empty() && coding.iter().all(|byte| is_token(*byte));
    is_token && !coding.windows(CHUNKED.len()).any(|part| part.eq_ignore_ascii_case(CHUNKED))
}

/// What a host and port consist of: visible ASCII without the delimiters that would make it more than one (RFC 3986
/// section 3.2).
const IS_HOST: [bool; 256] = {
    let mut is_host = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        is_host[byte as usize] =
            !matches!(byte, b',' | b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>');
        byte += 1;
    }
    is_host
};

/// Whether a field of this name has no place in a trailer section (RFC 9110 section 6.5.1), because a recipient that
/// merges it into the head would frame or route the request otherwise.
pub(super) fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    [&b"content-length"[..], b"transfer-encoding", b"host", b"connection", b"upgrade", b"trailer"]
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// Digits and nothing else, as a number that fits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
