//! Cookies as HAR lists them (RFC 6265). Where secrets are masked, their names are too: what looks like a name may be
//! the beginning of a value.

use serde::Serialize;

use crate::{
    http::{RequestHead, ResponseHead},
    tap::{Secrets, encode::Wire, secrets::MASK},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cookie<'a> {
    name: Wire<'a>,
    value: Wire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Wire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Wire<'a>>,
    /// As RFC 3339 has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secure: Option<bool>,
}

/// Those of the Cookie header.
pub(super) fn sent(head: &RequestHead, secrets: Secrets) -> Vec<Cookie<'_>> {
    let pairs = head.header_values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    let pairs = pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty());
    pairs.map(|pair| Cookie::new(pair, secrets)).collect()
}

/// Those of the Set-Cookie headers.
pub(super) fn set(head: &ResponseHead, secrets: Secrets) -> Vec<Cookie<'_>> {
    head.header_values("set-cookie").map(|value| Cookie::with_attributes(value, secrets)).collect()
}

impl<'a> Cookie<'a> {
    fn new(pair: &'a [u8], secrets: Secrets) -> Self {
        let (name, value) = match secrets {
            Secrets::Shown => split(pair),
            Secrets::Masked => (MASK.as_bytes(), MASK.as_bytes()),
        };
        let (name, value) = (Wire::of(name), Wire::of(value));
        Self { name, value, path: None, domain: None, expires: None, http_only: None, secure: None }
    }

    fn with_attributes(header: &'a [u8], secrets: Secrets) -> Self {
        let mut parts = header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let mut cookie = Self::new(parts.next().unwrap_or_default(), secrets);
        if secrets == Secrets::Masked {
            return cookie;
        }
        (cookie.http_only, cookie.secure) = (Some(false), Some(false));
        for (name, value) in parts.map(split) {
            match name.to_ascii_lowercase().as_slice() {
                b"path" => cookie.path = Some(Wire::of(value)),
                b"domain" => cookie.domain = Some(Wire::of(value)),
                b"expires" => cookie.expires = timestamp(value),
                b"httponly" => cookie.http_only = Some(true),
                b"secure" => cookie.secure = Some(true),
                _ => {}
            }
        }
        cookie
    }
}

/// Name and value; what has no `=` is a name in an attribute, and browsers take it so in a cookie too.
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = pair.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// A date of HTTP (RFC 9110 section 5.6.7); its older forms are left out.
fn timestamp(date: &[u8]) -> Option<String> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(cookies: &[Cookie<'_>]) -> serde_json::Value {
        serde_json::to_value(cookies).unwrap()
    }

    #[test]
    fn cookies_are_listed_with_their_attributes() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b=c; d ;\r\ncookie: e=\"f\"\r\n\r\n";
        let request = RequestHead::parse(request).unwrap();
        assert_eq!(
            json(&sent(&request, Secrets::Shown)),
            serde_json::json!([
                {"name": "a", "value": "b=c"},
                {"name": "d", "value": ""},
                {"name": "e", "value": "\"f\""},
            ])
        );
        let response = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/x; DOMAIN=y; Secure; HttpOnly; Max-Age=1; \
                        Expires=Wed, 21 Oct 2015 07:28:00 GMT\r\nset-cookie: c=d; expires=never\r\n\r\n";
        let response = ResponseHead::parse(response).unwrap();
        assert_eq!(
            json(&set(&response, Secrets::Shown)),
            serde_json::json!([
                {"name": "a", "value": "b", "path": "/x", "domain": "y", "expires": "2015-10-21T07:28:00Z",
                 "httpOnly": true, "secure": true},
                {"name": "c", "value": "d", "httpOnly": false, "secure": false},
            ])
        );
    }

    #[test]
    fn masked_ones_are_only_counted() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=s3cret; s3cret; s3cret==\r\n\r\n";
        let masked = json(&sent(&RequestHead::parse(request).unwrap(), Secrets::Masked));
        let one = serde_json::json!({"name": "***", "value": "***"});
        assert_eq!(masked, serde_json::json!([one, one, one]));
        let response = "HTTP/1.1 200 OK\r\nSet-Cookie: s3cret; Path=/s3cret\r\n\r\n";
        let masked = json(&set(&ResponseHead::parse(response).unwrap(), Secrets::Masked));
        assert_eq!(masked, serde_json::json!([{"name": "***", "value": "***"}]));
    }
}
