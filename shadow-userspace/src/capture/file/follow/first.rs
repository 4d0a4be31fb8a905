//! What a segment's first bytes say: whether a request or a response begins with it.

use crate::http::{Class, classify};

/// Whether a request begins here. `is_strict` where nothing but the bytes says that HTTP is spoken: a method token and
/// a space is what many protocols begin with.
#[inline]
pub(super) fn is_request(payload: &[u8], is_strict: bool) -> bool {
    classify(payload) == Class::Request && (!is_strict || has_version(payload))
}

/// Whether a connection that begins so may speak HTTP, or something that the decoder knows by name.
pub(super) fn may_be_http(payload: &[u8]) -> bool {
    let line = payload.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let payload = line.and_then(|at| payload.get(at..)).unwrap_or_default();
    classify(payload) != Class::Request || has_version(payload)
}

/// Whether the first line, if all of it is there, ends as a request line of HTTP/1 does.
fn has_version(payload: &[u8]) -> bool {
    let Some(end) = payload.iter().position(|byte| *byte == b'\n') else { return true };
    let line = payload.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.split_last_chunk().is_some_and(|(_, version): (_, &[u8; 9])| version.starts_with(b" HTTP/1."))
}

/// A response's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 1xx: the final one is still to come (RFC 9110 section 15.2).
    Interim,
    Final,
}

/// The response that begins here, if one does.
#[inline]
pub(super) fn answer(payload: &[u8]) -> Option<Answer> {
    match payload.strip_prefix(b"HTTP/1.")? {
        [b'0'..=b'9', b' ', b'1', ..] => Some(Answer::Interim),
        [b'0'..=b'9', b' ', b'2'..=b'9', ..] => Some(Answer::Final),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_requests() {
        for (payload, loosely, strictly, may_begin) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], true, true, true),
            (b"GET / HTTP/1.0\n", true, true, true),
            (b"GET /a-long-line-that-goes-on", true, true, true),
            (b"\r\nGET / HTTP/1.1\r\n", false, false, true),
            (b"MAIL FROM:<a@b>\r\n", true, false, false),
            (b"\r\n\r\nMAIL FROM:<a@b>\r\n", false, false, false),
            (b"SSH-2.0-OpenSSH_9.2 Debian\r\n", true, false, false),
            (b"GE", false, false, true),
            (b"", false, false, true),
            (&[0x16, 0x03, 0x01], false, false, true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, false, true),
        ] {
            let told = (is_request(payload, false), is_request(payload, true), may_be_http(payload));
            assert_eq!(told, (loosely, strictly, may_begin), "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn tells_final_answers_from_interim_ones() {
        for (payload, told) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], Some(Answer::Final)),
            (b"HTTP/1.0 999", Some(Answer::Final)),
            (b"HTTP/1.1 100 Continue\r\n", Some(Answer::Interim)),
            (b"HTTP/1.1 101 Switching Protocols\r\n", Some(Answer::Interim)),
            (b"HTTP/1.1 ", None),
            (b"HTTP/1.1  200", None),
            (b"HTTP/2 200", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(answer(payload), told, "{}", payload.escape_ascii());
        }
    }
}
