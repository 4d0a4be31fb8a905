//! The request target of a copy: takes what the request line asks for, gives what v2 is asked for.
//!
//! Secret query parameters are replaced, and the path rewritten if the policy says so. hyper sends only what its `Uri`
//! can hold: a target that would not reach v2 byte for byte is refused, never mended (invariant 3).

use std::borrow::Cow;

use http::uri::PathAndQuery;

use crate::shadow::copy::policy::{CopyPolicy, PathRewrite};

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
    /// What a copy of a request for `target` asks for.
    ///
    /// The absolute form is what clients send to proxies. Its authority overrides the Host header (RFC 9112 section
    /// 3.2.2), so passing it on would lead v2 to the host without the suffix. Like Envoy and every gateway, the copy
    /// asks in origin form and names the authority in Host.
    ///
    /// # Errors
    /// If it is of no known form, or hyper can't send it byte for byte.
    pub fn of_copy(target: &'a str, method: &str, policy: &CopyPolicy) -> Result<Self, TargetError> {
        let absolute = Absolute::split(target);
        let asked = match &absolute {
            None => Cow::Borrowed(target),
            Some(absolute) => absolute.path(method),
        };
        let mut path = policy.redaction.target(&asked);
        if let Some(rewritten) = policy.path.as_ref().and_then(|rewrite| rewritten(&path, rewrite)) {
            path = Cow::Owned(rewritten?);
        }
        Ok(Self { path: exact(&path)?, authority: absolute.map(|absolute| absolute.host()) })
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

    fn path(&self, method: &str) -> Cow<'a, str> {
        match self.rest.as_bytes().first() {
            // RFC 9112 section 3.2.4: the last one before the origin turns this into `*`.
            None if method == "OPTIONS" => "*".into(),
            None => "/".into(),
            Some(b'?') => format!("/{}", self.rest).into(),
            Some(_) => self.rest.into(),
        }
    }
}

/// `target` with its path rewritten and its query as it was; `None` if it stays as it is. Only the operator's text can
/// bring a query or fragment into the path, and it may not.
fn rewritten(target: &str, rewrite: &PathRewrite) -> Option<Result<String, TargetError>> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    if !path.starts_with('/') {
        return None;
    }
    let mut rewritten = match rewrite {
        PathRewrite::Prefix { from, to } => {
            let rest = path.strip_prefix(from.as_str())?;
            // As Gateway API has it: `/a` by `/` makes `/b` of `/a/b`.
            let rest = if to.ends_with('/') { rest.strip_prefix('/').unwrap_or(rest) } else { rest };
            format!("{to}{rest}")
        }
        PathRewrite::Regex { pattern, substitution } => match pattern.replace_all(path, substitution) {
            Cow::Borrowed(_) => return None,
            Cow::Owned(rewritten) => rewritten,
        },
    };
    if !rewritten.starts_with('/') {
        rewritten.insert(0, '/');
    }
    let is_path = !rewritten.contains(['?', '#']);
    rewritten.push_str(query);
    Some(if is_path { Ok(rewritten) } else { Err(TargetError) })
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
    use std::sync::Arc;

    use regex::Regex;

    use super::*;
    use crate::shadow::copy::redact::Redaction;

    fn of_copy<'a>(target: &'a str, method: &str) -> Result<Target<'a>, TargetError> {
        Target::of_copy(target, method, &CopyPolicy::default())
    }

    fn rewriting(path: PathRewrite) -> impl Fn(&str) -> Option<String> {
        let redaction = Arc::new(Redaction { query: vec!["token".to_owned()], ..Redaction::default() });
        let policy = CopyPolicy { path: Some(path), redaction, ..CopyPolicy::default() };
        move |target| {
            Target::of_copy(target, "GET", &policy).ok().map(|target| target.path.as_str().to_owned())
        }
    }

    fn prefix(from: &str, to: &str) -> impl Fn(&str) -> Option<String> {
        rewriting(PathRewrite::Prefix { from: from.to_owned(), to: to.to_owned() })
    }

    fn regex(pattern: &str, substitution: &str) -> impl Fn(&str) -> Option<String> {
        let pattern = Regex::new(pattern).unwrap();
        rewriting(PathRewrite::Regex { pattern, substitution: substitution.to_owned() })
    }

    #[test]
    fn a_prefix_is_replaced_and_the_query_stays() {
        for (from, to, target, path) in [
            ("/pets", "/v2", "/pets/1?a=/pets", "/v2/1?a=/pets"),
            ("/pets", "/v2", "/pets", "/v2"),
            ("/pets", "/v2", "/petshop", "/v2hop"),
            ("/pets", "/v2", "/a/pets", "/a/pets"),
            ("/pets", "/v2", "/?/pets", "/?/pets"),
            ("/pets", "/v2", "http://a/pets?b", "/v2?b"),
            ("/pets", "/", "/pets/1", "/1"),
            ("/pets", "/", "/pets", "/"),
            ("/pets", "", "/pets?a", "/?a"),
            ("/pets/", "", "/pets/1", "/1"),
            ("/pets/", "/v2/", "/pets/1", "/v2/1"),
            ("/", "/v2/", "/pets", "/v2/pets"),
            ("/", "/v2/", "*", "*"),
            ("/", "/v2", "/?token=a", "/v2?token=REDACTED"),
        ] {
            assert_eq!(prefix(from, to)(target).as_deref(), Some(path), "{from} {to} {target}");
        }
    }

    #[test]
    fn every_match_of_a_regex_is_replaced_and_the_query_stays() {
        for (pattern, substitution, target, path) in [
            ("^/pets/([0-9]+)", "/v2/$1/pet", "/pets/12?a=1", "/v2/12/pet?a=1"),
            ("(?P<x>a)", "${x}b", "/a/a?a", "/ab/ab?a"),
            ("^/a$", "b", "/a", "/b"),
            ("^/x", "/y", "/a?/x", "/a?/x"),
            ("a", "b", "http://a/a?token=a&a", "/b?token=REDACTED&a"),
            (".*", "/x", "*", "*"),
        ] {
            assert_eq!(regex(pattern, substitution)(target).as_deref(), Some(path), "{pattern} {target}");
        }
    }

    #[test]
    fn what_rewriting_makes_unsendable_is_refused() {
        for text in ["/a?b", "/a#b", "/a b", "/<a>", "/a\nb"] {
            assert_eq!(prefix("/a", text)("/a"), None, "{text}");
            assert_eq!(regex("^/a", text)("/a"), None, "{text}");
            assert_eq!(prefix("/a", text)("/c").as_deref(), Some("/c"));
        }
    }

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
            let got = of_copy(target, "GET").unwrap();
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
            assert_eq!(of_copy(target, "GET"), Err(TargetError), "{target}");
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
            let got = of_copy(target, method).unwrap();
            assert_eq!(got.path.as_str(), path, "{target}");
            assert_eq!(got.authority, Some(host));
            assert_eq!(authority(target), Some(host));
        }
        assert_eq!(authority("/http://a/"), None);
    }
}
