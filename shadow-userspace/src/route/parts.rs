//! What routes look at: takes a head, gives its host, path and query as they are compared.

use std::borrow::Cow;

use crate::http::{
    RequestHead,
    target::{self, Target},
};

/// The parts of a head that are found once, however many routes look at them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// The whole head.
    pub(super) head: &'a RequestHead,
    /// Whom the request is for, without port and without a dot at the end, in any case; empty if nobody is named.
    pub(super) host: &'a str,
    /// Path on the wire; `*` for the server as a whole.
    pub(super) path: &'a str,
    /// What follows the question mark.
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// The authority of an absolute-form target goes before Host (RFC 9112 section 3.2.2).
    pub(super) fn of(head: &'a RequestHead) -> Self {
        let target = Target::parse(head.target());
        let (path, query) = target.path().split_once('?').unwrap_or((target.path(), ""));
        // `http://a?b` asks for the root.
        let path = if path.is_empty() && target.scheme.is_some() { "/" } else { path };
        let (_, authority) = target::split_userinfo(target::authority(head).unwrap_or_default());
        let (host, _) = target::split_port(authority);
        // With the dot it is the same name, just not relative to anything (RFC 1034 section 3.1).
        Self { head, host: host.strip_suffix('.').unwrap_or(host), path, query }
    }

    /// All values of a header, joined with commas as Envoy does; none if it is absent.
    pub(super) fn header(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut values = self.head.header_values(name);
        let mut joined = Cow::Borrowed(values.next()?);
        for value in values {
            let all = joined.to_mut();
            all.push(b',');
            all.extend_from_slice(value);
        }
        Some(joined)
    }

    /// The first value of a query parameter, decoded; empty for `?name`, none if it is absent.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.query.split('&').find_map(|pair| {
            let (given, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_it = !pair.is_empty() && *decoded(given) == *name.as_bytes();
            is_it.then(|| decoded(value))
        })
    }
}

/// Percent-decoded, with `+` for a space, as forms are sent. A percent sign without two digits stands for itself.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    while let Some((&first, rest)) = bytes.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'+', _) => (b' ', rest),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (first, rest),
            },
            _ => (first, rest),
        };
        out.push(byte);
        bytes = rest;
    }
    Cow::Owned(out)
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_are_found_in_every_target() {
        for (target, host, expected) in [
            ("/pets?a=/b?c", "a", ("a", "/pets")),
            ("/", "A.Example.:8080", ("A.Example", "/")),
            ("/", "[::1]:80", ("[::1]", "/")),
            ("/", "[::1]", ("[::1]", "/")),
            ("/", "", ("", "/")),
            ("http://b:81/x?y", "a", ("b", "/x")),
            ("http://me:pw@b?y", "a", ("b", "/")),
            ("http://b", "a", ("b", "/")),
            ("*", "a", ("a", "*")),
            ("//evil/x", "a", ("a", "//evil/x")),
            ("/%70ets/../x", "a", ("a", "/%70ets/../x")),
        ] {
            let head =
                RequestHead::parse(format!("OPTIONS {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
            let parts = Parts::of(&head);
            assert_eq!((parts.host, parts.path), expected, "{target} {host}");
        }
        let head = RequestHead::parse("GET / HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(Parts::of(&head).host, "");
    }

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        for (query, value) in [
            ("", None),
            ("?", None),
            ("?&&", None),
            ("?b=1", None),
            ("?a", Some("")),
            ("?a=", Some("")),
            ("?a=1&a=2", Some("1")),
            ("?b=a&a=1=2", Some("1=2")),
            ("?%61=x%20y+z%2B", Some("x y z+")),
            ("?a=%", Some("%")),
            ("?a=%4&b", Some("%4")),
            ("?a=%zz%41%c3%bc", Some("%zzA\u{fc}")),
            ("?A=1", None),
            ("?a=?", Some("?")),
        ] {
            let head = RequestHead::parse(format!("GET /{query} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
            let got = Parts::of(&head).parameter("a");
            assert_eq!(got.as_deref(), value.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn values_of_one_header_are_joined() {
        let head =
            RequestHead::parse("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY:\r\nx: 2, 3\r\nX:\r\n\r\n").unwrap();
        let parts = Parts::of(&head);
        assert_eq!(parts.header("x").as_deref(), Some(&b"1,2, 3,"[..]));
        assert_eq!(parts.header("y").as_deref(), Some(&b""[..]));
        assert_eq!(parts.header("z"), None);
        assert!(matches!(parts.header("host"), Some(Cow::Borrowed(b"a"))), "nothing is copied");
    }
}
