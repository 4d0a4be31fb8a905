//! Redaction: takes what the client sent and what is secret in it, gives the same with `REDACTED` in the secrets' place
//! (invariant 5).
//!
//! It reads the client's values, before anything is changed about the copy: an operator may so give v2 credentials of
//! its own. Every byte that is no secret stays as it was. Where it looks:
//!
//! - headers by name, all values; trailers too;
//! - cookies by name in `Cookie`, whatever the server takes for a separator (`;`, `,`), quoted values whole;
//! - query parameters by their decoded name in the target, in any form, and in headers that repeat a URL
//!   ([`URL_HEADERS`]), `Referer` among them. Not in forms in bodies, nor in URLs that are parameters themselves;
//! - values of JSON by pointer in bodies: see [`body`]. Not in parts of multipart bodies.
//!
//! Paths are never looked into.

pub(in crate::shadow) mod body;
mod json;
pub(in crate::shadow) mod pairs;
mod pointer;

use std::borrow::Cow;

use http::{HeaderName, header};

pub use pointer::{JsonPointer, PointerError};

use crate::shadow::copy::reserved;

/// What stands in a secret's place.
pub const REDACTED: &str = "REDACTED";

/// Headers whose values are URLs of this or another request: what browsers send, and what gateways put down.
pub const URL_HEADERS: [&str; 6] = [
    "referer",
    "x-envoy-original-path",
    "x-forwarded-uri",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// What is taken out of every copy before anything leaves the agent (invariant 5). The value of what is redacted
/// becomes `REDACTED`; the module says where it is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Headers; [reserved](reserved::is_reserved) ones stay.
    pub headers: Vec<HeaderName>,
    /// Cookies by name, as case is; the rest of `Cookie` stays.
    pub cookies: Vec<String>,
    /// Query parameters by their decoded name.
    pub query: Vec<String>,
    /// Values of JSON bodies.
    pub json: Vec<JsonPointer>,
}

impl Redaction {
    /// Whether bodies are looked into.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        !self.json.is_empty()
    }

    /// A header's or trailer's value without its secrets; `None`: it has none.
    pub(crate) fn value(&self, name: &HeaderName, value: &[u8]) -> Option<Vec<u8>> {
        if self.headers.contains(name) && !reserved::is_reserved(name) {
            return Some(REDACTED.into());
        }
        if *name == header::COOKIE && !self.cookies.is_empty() {
            return pairs::redacted(value, pairs::COOKIES, |cookie| self.is_secret_cookie(cookie));
        }
        if !self.query.is_empty() && URL_HEADERS.contains(&name.as_str()) {
            return self.url(value);
        }
        None
    }

    /// A target, or what follows its authority, without its secrets.
    pub(in crate::shadow) fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let redacted = if self.query.is_empty() { None } else { self.url(target.as_bytes()) };
        // What was put in is ASCII, and stands between characters.
        redacted.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(target), Cow::Owned)
    }

    /// No URL here has a fragment; if something stands where one would, it is read as a part of the query.
    fn url(&self, url: &[u8]) -> Option<Vec<u8>> {
        let (path, query) = url.split_at_checked(url.iter().position(|byte| *byte == b'?')? + 1)?;
        let query = pairs::redacted(query, pairs::QUERY, |name| self.is_secret_parameter(name))?;
        Some([path, &query].concat())
    }

    fn is_secret_cookie(&self, name: &[u8]) -> bool {
        self.cookies.iter().any(|secret| secret.as_bytes() == name.trim_ascii())
    }

    fn is_secret_parameter(&self, name: &[u8]) -> bool {
        self.query.iter().any(|secret| pairs::decoded(name).eq(secret.bytes()))
    }
}

#[cfg(test)]
mod tests;
