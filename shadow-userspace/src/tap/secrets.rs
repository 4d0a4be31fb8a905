//! What is secret in a head, and what stands in its place (invariant 5).

use std::borrow::Cow;

use crate::http::{RequestHead, target};

/// What stands in a secret's place.
pub(super) const MASK: &str = "***";

/// Authentication schemes whose names are shown. Of any other value it isn't known whether its first word is one.
const SCHEMES: [&str; 15] = [
    "Basic",
    "Bearer",
    "Digest",
    "DPoP",
    "GNAP",
    "HOBA",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-256",
    "Token",
    "vapid",
    "AWS4-HMAC-SHA256",
];

/// Whether secrets are shown: the values of Authorization, Proxy-Authorization, Cookie and Set-Cookie, and user
/// information in targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// As `***`.
    #[default]
    Masked,
    /// As sent.
    Shown,
}

impl Secrets {
    /// A header's value as it may be shown.
    pub(super) fn value<'a>(self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        match (self, Secret::of(name)) {
            (Self::Shown, _) | (_, None) => Cow::Borrowed(value),
            (Self::Masked, Some(Secret::Cookies)) => Cow::Borrowed(MASK.as_bytes()),
            (Self::Masked, Some(Secret::Credentials)) => mask_credentials(value),
        }
    }

    /// The request's target as it may be shown.
    pub(super) fn target(self, head: &RequestHead) -> Cow<'_, str> {
        let target = head.target();
        match target::Target::parse(target).authority {
            // It has no slash, so it can only stand first where it was found.
            Some(authority) if authority.contains('@') && self == Self::Masked => {
                Cow::Owned(target.replacen(authority, &self.authority(authority), 1))
            }
            _ => Cow::Borrowed(target),
        }
    }

    /// An authority as it may be shown.
    pub(super) fn authority(self, authority: &str) -> Cow<'_, str> {
        match (self, target::split_userinfo(authority)) {
            (Self::Masked, (Some(_), host)) => Cow::Owned(format!("{MASK}@{host}")),
            _ => Cow::Borrowed(authority),
        }
    }
}

/// Which headers are secret.
#[derive(Clone, Copy)]
enum Secret {
    Cookies,
    Credentials,
}

impl Secret {
    fn of(name: &[u8]) -> Option<Self> {
        // The length first: it tells nearly every header apart from these.
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"cookie") => Some(Self::Cookies),
            10 if name.eq_ignore_ascii_case(b"set-cookie") => Some(Self::Cookies),
            13 if name.eq_ignore_ascii_case(b"authorization") => Some(Self::Credentials),
            19 if name.eq_ignore_ascii_case(b"proxy-authorization") => Some(Self::Credentials),
            _ => None,
        }
    }
}

/// Keeps the name of the scheme, as sent.
fn mask_credentials(value: &[u8]) -> Cow<'_, [u8]> {
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_known = SCHEMES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(scheme));
    if !is_known || scheme.len() == value.len() {
        return Cow::Borrowed(MASK.as_bytes());
    }
    Cow::Owned([scheme, b" ", MASK.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_are_masked_whatever_their_case() {
        for (name, value, shown) in [
            ("Authorization", "Bearer abc", "Bearer ***"),
            ("AUTHORIZATION", "basic YTpi", "basic ***"),
            ("authorization", "abc", "***"),
            ("authorization", "Bearer", "***"),
            ("Authorization", "abc def", "***"),
            ("Authorization", "", "***"),
            ("Authorization", "Bearer\tabc", "***"),
            ("proxy-Authorization", "Digest username=\"a\"", "Digest ***"),
            ("Cookie", "a=b", "***"),
            ("SET-cookie", "a=b; Path=/", "***"),
            ("X-Authorization", "abc", "abc"),
            ("Cookies", "abc", "abc"),
            ("WWW-Authenticate", "Basic realm=\"a\"", "Basic realm=\"a\""),
            // As long as those that are secret.
            ("Accept", "a", "a"),
            ("User-Agent", "a", "a"),
            ("Last-Modified", "a", "a"),
            ("Content-Disposition", "a", "a"),
        ] {
            let masked = Secrets::Masked.value(name.as_bytes(), value.as_bytes());
            assert_eq!(*masked, *shown.as_bytes(), "{name}: {value}");
            assert_eq!(*Secrets::Shown.value(name.as_bytes(), value.as_bytes()), *value.as_bytes());
        }
    }

    #[test]
    fn user_information_in_targets_is_masked() {
        for (target, shown) in [
            ("http://me:pw@a/b@c", "http://***@a/b@c"),
            ("http://me@x:pw@a?b", "http://***@a?b"),
            ("http://me:pw@a", "http://***@a"),
            ("me:pw@a:443", "***@a:443"),
            ("http:me:pw@a", "***@a"),
            ("http://@a/", "http://***@a/"),
            ("//me:pw@a/", "//me:pw@a/"),
            ("http://a/me:pw@b", "http://a/me:pw@b"),
            ("http://me@a/me@a", "http://***@a/me@a"),
            ("/me@a", "/me@a"),
        ] {
            let head = RequestHead::parse(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
            assert_eq!(Secrets::Masked.target(&head), shown);
            assert_eq!(Secrets::Shown.target(&head), target);
        }
        assert_eq!(Secrets::Masked.authority("me:pw@a:1"), "***@a:1");
        assert_eq!(Secrets::Masked.authority("a:1"), "a:1");
    }
}
