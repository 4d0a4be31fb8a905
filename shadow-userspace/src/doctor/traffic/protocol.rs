//! What a segment's first bytes speak. Only a look: the decoders of `http` and the kernel programs know better.

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A request line.
    Http1Request,
    /// A status line.
    Http1Response,
    /// The connection preface, or a frame.
    Http2,
    /// A record.
    Tls,
    /// Something else: the middle of a body, another protocol.
    Other,
}

/// The preface of HTTP/2 connections (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The longest method taken for one.
const MAX_METHOD: usize = 32;

/// The largest TLS record in bytes, with what encryption adds (RFC 5246 section 6.2.3).
const MAX_RECORD: u16 = (1 << 14) + 2048;

/// The largest frame in bytes that nobody has to agree to (RFC 9113 section 4.2).
const MAX_FRAME: u32 = 1 << 14;

/// Looks at the first bytes of a segment's payload; what follows may be cut off.
pub(super) fn recognise(bytes: &[u8]) -> Protocol {
    if bytes.starts_with(b"HTTP/1.") {
        Protocol::Http1Response
    } else if bytes.starts_with(PREFACE) || is_frame(bytes) {
        Protocol::Http2
    } else if is_record(bytes) {
        Protocol::Tls
    } else if is_request_line(bytes) {
        Protocol::Http1Request
    } else {
        Protocol::Other
    }
}

/// `METHOD target HTTP/1.x`, or as much of it as there is. Stricter than a decoder, which knows where it is: the middle
/// of a body may well begin with a word and a space.
fn is_request_line(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(2, |&byte| byte == b' ');
    let (Some(method), Some(rest)) = (words.next(), words.next()) else { return false };
    let is_method = !method.is_empty()
        && method.len() <= MAX_METHOD
        && method.iter().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte));
    let line = rest.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or(rest);
    let ends = if line.len() < rest.len() {
        line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
    } else {
        rest.starts_with(b"/") && !rest.contains(&b' ')
    };
    is_method && ends
}

/// Type, version 3.x, and a length that fits (RFC 8446 section 5.1).
fn is_record(bytes: &[u8]) -> bool {
    match bytes {
        &[kind, 0x03, minor, high, low, ..] => {
            let length = u16::from_be_bytes([high, low]);
            (0x14..=0x17).contains(&kind) && minor <= 4 && (1..=MAX_RECORD).contains(&length)
        }
        _ => false,
    }
}

/// A frame's header whose fields fit its type (RFC 9113 section 6): chance rarely makes one.
fn is_frame(bytes: &[u8]) -> bool {
    let &[l0, l1, l2, kind, flags, s0, s1, s2, s3, ..] = bytes else { return false };
    let length = u32::from_be_bytes([0, l0, l1, l2]);
    let stream = u32::from_be_bytes([s0, s1, s2, s3]);
    let fits = match kind {
        // DATA: END_STREAM, PADDED.
        0 => stream > 0 && flags & !0x09 == 0 && length > 0,
        // HEADERS: END_STREAM, END_HEADERS, PADDED, PRIORITY.
        1 => stream > 0 && flags & !0x2d == 0 && length > 0,
        // RST_STREAM.
        3 => stream > 0 && flags == 0 && length == 4,
        // SETTINGS: an acknowledgement has nothing in it.
        4 => stream == 0 && (flags == 0 && length.is_multiple_of(6) || flags == 1 && length == 0),
        // PING: ACK.
        6 => stream == 0 && flags & !0x01 == 0 && length == 8,
        // GOAWAY.
        7 => stream == 0 && flags == 0 && length >= 8,
        // WINDOW_UPDATE.
        8 => flags == 0 && length == 4,
        _ => false,
    };
    fits && length <= MAX_FRAME && stream < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_by_their_first_bytes() {
        use Protocol::{Http1Request, Http1Response, Http2, Other, Tls};
        let long_target = [b"GET /".as_slice(), &b"a".repeat(600)].concat();
        for (bytes, protocol) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], Http1Request),
            (b"M-SEARCH * HTTP/1.1\r\n", Http1Request),
            (b"OPTIONS * HTTP/1.0\n", Http1Request),
            (b"CONNECT a:443 HTTP/1.1\r\n", Http1Request),
            (b"GET /a", Http1Request),
            (&long_target, Http1Request),
            (b"HTTP/1.1 200 OK\r\n", Http1Response),
            (b"HTTP/1.0 404\r\n", Http1Response),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3], Http2),
            (&[0, 0, 0, 4, 1, 0, 0, 0, 0], Http2),
            (&[0, 0, 40, 1, 5, 0, 0, 0, 1, 0x82], Http2),
            (&[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 9], Http2),
            (&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1], Http2),
            // TLS: ClientHello, application data; too long; empty; unknown type; cut.
            (&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], Tls),
            (&[0x17, 0x03, 0x03, 0x00, 0x20, 0xaa], Tls),
            (&[0x17, 0x03, 0x03, 0xff, 0xff, 0xaa], Other),
            (&[0x17, 0x03, 0x03, 0x00, 0x00], Other),
            (&[0x19, 0x03, 0x03, 0x00, 0x20], Other),
            (&[0x16, 0x03], Other),
            // Bodies, and other protocols.
            (b"hello world\r\n", Other),
            (b"hello /world", Other),
            (b"GET / HTTP/3.0\r\n", Other),
            (b"HELO mail.example\r\n", Other),
            (b"SSH-2.0-x\r\n", Other),
            (b"", Other),
            (b" / HTTP/1.1\r\n", Other),
            (&[0; 40], Other),
            (&[0, 0, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0, 9], Other),
            (&[0, 0, 40, 1, 5, 0x80, 0, 0, 1], Other),
        ] {
            assert_eq!(recognise(bytes), protocol, "{}", bytes.escape_ascii());
        }
    }
}
