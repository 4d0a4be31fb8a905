//! The parts of a request target (RFC 9112 section 3.2), without judging it: every target has them.

use super::RequestHead;

/// A request target in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Of the absolute form: `http`.
    pub(crate) scheme: Option<&'a str>,
    /// Of the absolute and the authority form, with user information if there is some.
    pub(crate) authority: Option<&'a str>,
    /// Path and query, as sent; may be empty in the absolute and the authority form.
    pub(crate) path_and_query: &'a str,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(target: &'a str) -> Self {
        if target.starts_with('/') || target == "*" {
            return Self { scheme: None, authority: None, path_and_query: target };
        }
        let (scheme, rest) = match target.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, target),
        };
        let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at_checked(length).unwrap_or((rest, ""));
        Self { scheme, authority: Some(authority), path_and_query }
    }

    /// The path that prefixes are compared with: an absolute form's empty one stands for `/` (RFC 9110 section 4.2.3).
    pub(crate) fn path(&self) -> &'a str {
        match (self.scheme, self.path_and_query) {
            (Some(_), "") => "/",
            _ => self.path_and_query,
        }
    }

    /// What stands behind the question mark.
    pub(crate) fn query(&self) -> Option<&'a str> {
        self.path_and_query.split_once('?').map(|(_, query)| query)
    }
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whom the request is for: the target's authority, else the Host header.
pub(crate) fn authority(head: &RequestHead) -> Option<&str> {
    let of_target = Target::parse(head.target()).authority.filter(|authority| !authority.is_empty());
    // A head with a Host that isn't ASCII isn't believed.
    of_target.or_else(|| std::str::from_utf8(head.header("host")?).ok())
}

/// An authority's user information and the rest.
pub(crate) fn split_userinfo(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    }
}

/// Host and port; the colons of an IPv6 address stand in brackets.
pub(crate) fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_parts() {
        for (target, scheme, authority, path, query) in [
            ("/", None, None, "/", None),
            ("/a?b=c?d", None, None, "/a?b=c?d", Some("b=c?d")),
            ("//me:pw@a/b", None, None, "//me:pw@a/b", None),
            ("/a?u=http://b", None, None, "/a?u=http://b", Some("u=http://b")),
            ("*", None, None, "*", None),
            ("http://a", Some("http"), Some("a"), "/", None),
            ("HTTPS://me:pw@a:1/b?c", Some("HTTPS"), Some("me:pw@a:1"), "/b?c", Some("c")),
            ("http://a?b@c", Some("http"), Some("a"), "?b@c", Some("b@c")),
            ("http:///a", Some("http"), Some(""), "/a", None),
            ("http://a#b@c", Some("http"), Some("a"), "#b@c", None),
            ("a+b-c.1://d", Some("a+b-c.1"), Some("d"), "/", None),
            ("a_b://c@d", None, Some("a_b:"), "//c@d", None),
            ("a.example:443", None, Some("a.example:443"), "", None),
            ("1://a@b", None, Some("1:"), "//a@b", None),
            ("?", None, Some(""), "?", Some("")),
        ] {
            let parts = Target::parse(target);
            assert_eq!((parts.scheme, parts.authority), (scheme, authority), "{target}");
            assert_eq!((parts.path(), parts.query()), (path, query), "{target}");
        }
    }

    #[test]
    fn the_targets_authority_goes_before_the_host() {
        for (target, host, expected) in [
            ("/", "Host: a:80\r\n", Some("a:80")),
            ("http://b:81/", "Host: a\r\n", Some("b:81")),
            ("b:443", "Host: a\r\n", Some("b:443")),
            ("http:///", "Host: a\r\n", Some("a")),
            ("/", "Host:\r\n", Some("")),
            ("/", "", None),
        ] {
            let head = RequestHead::parse(format!("GET {target} HTTP/1.0\r\n{host}\r\n")).unwrap();
            assert_eq!(authority(&head), expected, "{target} {host}");
        }
    }

    #[test]
    fn authorities_are_split_from_behind() {
        assert_eq!(split_userinfo("a"), (None, "a"));
        assert_eq!(split_userinfo("me@x:p@a:1"), (Some("me@x:p"), "a:1"));
        for (host, parts) in [
            ("a", ("a", None)),
            ("a:1", ("a", Some("1"))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some("80"))),
        ] {
            assert_eq!(split_port(host), parts);
        }
    }
}
