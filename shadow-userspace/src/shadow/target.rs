//! The request target of a copy: takes what the request line asks for, gives what v2 is asked for.
//!
//! hyper sends only what its `Uri` can hold. A target that would not reach v2 byte for byte is refused, never
//! mended (invariant 3).

use http::uri::PathAndQuery;

/// A target as it goes to v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Path and query in origin form, or `*`.
    pub path: PathAndQuery,
    /// The authority of an absolute-form target, without user information.
    pub authority: Option<&'a str>,
}

/// The target can't be sent to v2 as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request target can't be sent as it is")]
pub struct TargetError;

impl<'a> Target<'a> {
    /// What `target` asks for.
    ///
    /// The absolute form is what clients send to proxies. Its authority overrides the Host header (RFC 9112 section
    /// 3.2.2), so passing it on would lead v2 to the host without the suffix. Like Envoy and every gateway, the copy
    /// asks in origin form and names the authority in Host.
    ///
    /// # Errors
    /// If it is of no known form, or hyper can't send it byte for byte.
    pub fn new(target: &'a str, method: &str) -> Result<Self, TargetError> {
        match Absolute::split(target) {
            None => Ok(Self { path: exact(target)?, authority: None }),
            Some(absolute) => Ok(Self { path: absolute.path(method)?, authority: Some(absolute.host()) }),
        }
    }
}

/// The host and port that an absolute-form target names; `None` for every other form.
#[must_use]
pub fn authority(target: &str) -> Option<&str> {
    Absolute::split(target).map(|absolute| absolute.host())
}

/// An absolute-form target, taken apart.
struct Absolute<'a> {
    authority: &'a str,
    /// What follows the authority: a path, a query, both or nothing.
    rest: &'a str,
}

impl<'a> Absolute<'a> {
    fn split(target: &'a str) -> Option<Self> {
        let (scheme, after) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        Some(Self { authority, rest })
    }

    /// User information is a secret of the client's and no part of Host (RFC 9110 section 4.2.4).
    fn host(&self) -> &'a str {
        self.authority.rsplit_once('@').map_or(self.authority, |(_, host)| host)
    }

    fn path(&self, method: &str) -> Result<PathAndQuery, TargetError> {
        match self.rest.as_bytes().first() {
            // RFC 9112 section 3.2.4: the last one before the origin turns this into `*`.
            None if method == "OPTIONS" => Ok(PathAndQuery::from_static("*")),
            None => Ok(PathAndQuery::from_static("/")),
            Some(b'?') => exact(&format!("/{}", self.rest)),
            Some(_) => exact(self.rest),
        }
    }
}

/// `path` if hyper sends exactly this. `PathAndQuery` cuts fragments off and puts a slash before a bare query.
fn exact(path: &str) -> Result<PathAndQuery, TargetError> {
    if !path.starts_with('/') && path != "*" {
        return Err(TargetError);
    }
    let parsed: PathAndQuery = path.parse().map_err(|_| TargetError)?;
    if parsed.as_str() == path { Ok(parsed) } else { Err(TargetError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_form_is_kept_byte_for_byte() {
        for target in [
            "/",
            "/a/b?c=d",
            "//x",
            "//evil.example/x",
            "/a?",
            "/a??",
            "/a|",
            "/a\"",
            "/{a}?b={c}",
            "/%2e%2e/%00",
            "/a/../b/./c",
            "/http://a/x",
            "/a;b=c,d!e$f&g'h(i)j*k+l=m:n@o~p",
            "/[a]^_\\",
            "/bücher?q=ü",
            "*",
        ] {
            let got = Target::new(target, "GET").unwrap();
            assert_eq!(got.path.as_str(), target, "{target}");
            assert_eq!(got.authority, None);
        }
    }

    #[test]
    fn what_hyper_would_change_or_refuse_is_unsendable() {
        let long = format!("/{}", "a".repeat(70_000));
        for target in [
            "",
            "/a#",
            "/a?b#c",
            "?a",
            "a/",
            "/a ",
            "/<a>",
            "/a`",
            "/a?b=\"c\"",
            "/\x01",
            "example.com:443",
            "http://a/b#c",
            "http://a#c",
            "**",
            &long,
        ] {
            assert_eq!(Target::new(target, "GET"), Err(TargetError), "{target}");
        }
    }

    #[test]
    fn absolute_form_becomes_origin_form_and_an_authority() {
        for (target, method, path, host) in [
            ("http://a/x?y", "GET", "/x?y", "a"),
            ("HTTP://A:80/x", "GET", "/x", "A:80"),
            ("https://a//x", "GET", "//x", "a"),
            ("http://a", "GET", "/", "a"),
            ("http://a", "OPTIONS", "*", "a"),
            ("http://a/", "OPTIONS", "/", "a"),
            ("http://a?q", "GET", "/?q", "a"),
            ("http://[::1]:8080/x", "GET", "/x", "[::1]:8080"),
            ("http://user:secret@a:1/x", "GET", "/x", "a:1"),
            ("http://a/x@", "GET", "/x@", "a"),
        ] {
            let got = Target::new(target, method).unwrap();
            assert_eq!(got.path.as_str(), path, "{target}");
            assert_eq!(got.authority, Some(host));
            assert_eq!(authority(target), Some(host));
        }
        assert_eq!(authority("/http://a/"), None);
    }
}
