//! The header fields that decide where a request ends and whom it is for.
//!
//! Takes fields one by one, gives the body's framing. Whatever RFC 9112 leaves open, or leaves to the recipient, is an
//! error here.

use super::framing::{BodyFraming, HeadError, Version};

/// What the fields seen so far say.
#[derive(Debug, Default)]
pub(super) struct Fields {
    host: bool,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    /// Options of `Connection`.
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
}

impl Fields {
    /// Takes the next field.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        // The length first: it tells nearly every field apart from these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.add_host(value),
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

    /// The body's framing, now that all fields are there.
    pub(super) fn framing(&self, version: Version) -> Result<BodyFraming, HeadError> {
        if version == Version::Http11 && !self.host {
            return Err(HeadError::Host);
        }
        match (self.chunked, self.content_length) {
            (true, None) if version == Version::Http11 => Ok(BodyFraming::Chunked),
            (true, _) => Err(HeadError::TransferEncoding),
            (false, Some(length)) => Ok(BodyFraming::Length(length)),
            (false, None) => Ok(BodyFraming::None),
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

    fn add_host(&mut self, value: &[u8]) -> Result<(), HeadError> {
        // Without the delimiters that would make it more than one host and port (RFC 3986 section 3.2).
        let is_valid = value.iter().all(|byte| byte.is_ascii_graphic() && !b",/?#@\\\"<>".contains(byte));
        if self.host || !is_valid {
            return Err(HeadError::Host);
        }
        self.host = true;
        Ok(())
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
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadError::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }
}

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
