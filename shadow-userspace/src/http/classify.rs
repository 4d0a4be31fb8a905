//! What the first bytes of a request are, if they are a request at all.

/// What a connection speaks if it isn't HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/2 with prior knowledge: the connection preface.
    Http2,
    /// TLS: a handshake record.
    Tls,
    /// Anything else.
    Other,
}

/// What is known from the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// More bytes are needed.
    Undecided,
    /// A method token and a space.
    Request,
    /// No HTTP/1 request.
    Not(Protocol),
}

/// The longest method taken for one; the longest registered has 17 bytes.
const MAX_METHOD: usize = 32;

/// So many bytes are always enough to decide.
pub(super) const PROBE: usize = MAX_METHOD + 1;

/// As much of the HTTP/2 preface as no request line of HTTP/1 begins with (RFC 9113 section 3.4). It stops before the
/// line ends, so that undecided bytes never hold a line end.
const PREFACE: &[u8] = b"PRI * HTTP/2.";

/// Type and major version of a TLS handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

/// Looks at the first [`PROBE`] bytes of `bytes`, which begin where a request is expected.
pub(crate) fn classify(bytes: &[u8]) -> Class {
    // Most are; the rest of this function would say the same.
    if bytes.starts_with(b"GET ") || bytes.starts_with(b"POST ") {
        return Class::Request;
    }
    let bytes = bytes.get(..PROBE).unwrap_or(bytes);
    for (magic, protocol) in [(PREFACE, Protocol::Http2), (TLS_HANDSHAKE, Protocol::Tls)] {
        if bytes.starts_with(magic) {
            return Class::Not(protocol);
        }
        if magic.starts_with(bytes) {
            return Class::Undecided;
        }
    }
    match bytes.iter().position(|byte| !is_token(*byte)) {
        Some(length) if length > 0 && bytes.get(length) == Some(&b' ') => Class::Request,
        None if bytes.len() < PROBE => Class::Undecided,
        _ => Class::Not(Protocol::Other),
    }
}

/// A `tchar` (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_requests_from_other_protocols() {
        let longest = [b"M".repeat(MAX_METHOD), b" ".to_vec()].concat();
        let too_long = b"M".repeat(MAX_METHOD + 1);
        for (bytes, class) in [
            (&b""[..], Class::Undecided),
            (b"G", Class::Undecided),
            (b"GET", Class::Undecided),
            (b"GET ", Class::Request),
            (b"M-SEARCH * HTTP/1.1\r\n", Class::Request),
            (b"PRI * HTTP/2", Class::Undecided),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Class::Not(Protocol::Http2)),
            (b"PRI * HTTP/1.1\r\n", Class::Request),
            (b"PRINT ", Class::Request),
            (&[0x16], Class::Undecided),
            (&[0x16, 0x03, 0x01, 0x02, 0x00], Class::Not(Protocol::Tls)),
            (&[0x16, 0x04], Class::Not(Protocol::Other)),
            (b" GET /", Class::Not(Protocol::Other)),
            (b"GET\t/", Class::Not(Protocol::Other)),
            (b"GET\r\n", Class::Not(Protocol::Other)),
            (b"\n", Class::Not(Protocol::Other)),
            (&[0], Class::Not(Protocol::Other)),
            (&longest, Class::Request),
            (&too_long, Class::Not(Protocol::Other)),
        ] {
            assert_eq!(classify(bytes), class, "{}", bytes.escape_ascii());
        }
    }
}
