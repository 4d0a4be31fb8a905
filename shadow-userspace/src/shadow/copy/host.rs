//! The Host of a copy: takes the value that the client sent, gives the one that v2 receives.
//!
//! Envoy's rule: the suffix goes before the port, so `a:8080` becomes `a-shadow:8080`. A Host that already ends in
//! the suffix belongs to a copy; mirroring it again would be a loop.

/// The suffix unless another is configured; Envoy's.
pub const SUFFIX: &str = "-shadow";

/// Where the port begins (at its colon), or the end of `host` if it has none.
///
/// As in Envoy the last colon counts, unless it stands inside an IPv6 literal's brackets. Nothing else is validated:
/// what the client sent is v2's to judge.
fn port_start(host: &[u8]) -> usize {
    let colon = host.iter().rposition(|&byte| byte == b':');
    let bracket = host.iter().rposition(|&byte| byte == b']');
    match colon {
        Some(colon) if bracket.is_none_or(|bracket| bracket < colon) => colon,
        _ => host.len(),
    }
}

/// `host` with `suffix` before its port.
///
/// An empty name stays as sent: RFC 9110 section 7.2 has clients send it where the target has no authority, and a
/// suffix alone would invent one.
#[must_use]
pub fn suffixed(host: &[u8], suffix: &str) -> Vec<u8> {
    let (name, port) = host.split_at(port_start(host));
    let suffix = if name.is_empty() { &[] } else { suffix.as_bytes() };
    [name, suffix, port].concat()
}

/// Whether `host` is that of a copy. Names are compared without case (RFC 9110 section 4.2.3), since a client or a
/// gateway on the way may have changed it.
#[must_use]
pub fn is_suffixed(host: &[u8], suffix: &str) -> bool {
    let name = &host[..port_start(host)];
    let Some(tail) = name.len().checked_sub(suffix.len()) else { return false };
    !suffix.is_empty() && name[tail..].eq_ignore_ascii_case(suffix.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_suffix_goes_before_the_port() {
        for (host, expected) in [
            (&b"a"[..], &b"a-shadow"[..]),
            (b"a:8080", b"a-shadow:8080"),
            (b"a.example.com:443", b"a.example.com-shadow:443"),
            (b"192.0.2.1:80", b"192.0.2.1-shadow:80"),
            (b"[::1]:8080", b"[::1]-shadow:8080"),
            (b"[::1]", b"[::1]-shadow"),
            (b"[2001:db8::a:b]", b"[2001:db8::a:b]-shadow"),
            (b"a:", b"a-shadow:"),
            (b"a.", b"a.-shadow"),
            (b"b\xfccher:80", b"b\xfccher-shadow:80"),
            // No authority: nothing to suffix.
            (b"", b""),
            (b":80", b":80"),
            // Invalid, and still what Envoy does.
            (b"::1", b":-shadow:1"),
        ] {
            let got = suffixed(host, SUFFIX);
            assert_eq!(got, expected, "{} became {}", host.escape_ascii(), got.escape_ascii());
        }
        assert_eq!(suffixed(b"a:80", "-canary"), b"a-canary:80");
        assert_eq!(suffixed(b"a:80", ""), b"a:80");
    }

    #[test]
    fn a_copy_is_known_by_its_host() {
        for host in [&b"a-shadow"[..], b"a-shadow:8080", b"[::1]-shadow:1", b"A-SHADOW:80", b"-shadow"] {
            assert!(is_suffixed(host, SUFFIX), "{}", host.escape_ascii());
        }
        for host in
            [&b"a"[..], b"", b":80", b"shadow", b"a-shadow.example.com", b"a:80-shadow", b"a-shadow-b:80"]
        {
            assert!(!is_suffixed(host, SUFFIX), "{}", host.escape_ascii());
        }
        assert!(!is_suffixed(b"a", ""), "without a suffix no Host tells a copy");
    }

    proptest! {
        #[test]
        fn suffixing_inserts_once_and_is_recognised(host in proptest::collection::vec(any::<u8>(), 0..40)) {
            let copy = suffixed(&host, SUFFIX);
            let at = port_start(&host);
            if at == 0 {
                prop_assert_eq!(&copy, &host);
            } else {
                prop_assert!(is_suffixed(&copy, SUFFIX));
                prop_assert_eq!(&copy[..at], &host[..at]);
                prop_assert_eq!(&copy[at..at + SUFFIX.len()], SUFFIX.as_bytes());
                prop_assert_eq!(&copy[at + SUFFIX.len()..], &host[at..]);
            }
        }
    }
}
