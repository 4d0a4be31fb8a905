//! What a route matches: pure data, compiled once. As in Gloo and Envoy all conditions must hold.

use http::{HeaderName, Method};
use regex::Regex;

use super::parts::Parts;

/// Compiles `pattern` so that only a whole text matches it, as Envoy's regular expressions do.
///
/// # Errors
/// If it is no regular expression, or too large.
pub fn full_match(pattern: &str) -> Result<Regex, regex::Error> {
    // By itself first: `a)(b` is none, though it becomes one between brackets.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

/// The requests that a route is for; every condition must hold, and an empty list holds for all.
#[derive(Clone, Debug, Default)]
pub struct RouteMatch {
    /// Host without its port, in any case; one of them.
    pub hosts: Vec<HostMatch>,
    /// The path without the query.
    pub path: Option<PathMatch>,
    /// One of them.
    pub methods: Vec<Method>,
    /// All of them.
    pub headers: Vec<HeaderMatch>,
    /// All of them.
    pub query: Vec<QueryMatch>,
}

/// A host, in lower case, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// `*`.
    Any,
    /// This one.
    Exact(String),
    /// `*.example.com`: what ends in this, which begins with the dot, and has something before it.
    Suffix(String),
}

/// A path, without the query, as it is on the wire: nothing is decoded or normalised, so `/%70ets` is not `/pets`.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// Begins with this.
    Prefix(String),
    /// Is this.
    Exact(String),
    /// All of it matches.
    Regex(Regex),
}

/// A header, by its values joined with commas if it has several.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Which.
    pub name: HeaderName,
    /// What it must be.
    pub value: ValueMatch,
    /// Holds if the value is another, or, for [`ValueMatch::Present`], if there is none. As in Envoy a condition on the
    /// value never holds for a header that is absent, inverted or not.
    pub invert: bool,
}

/// A query parameter, by its decoded name and its first decoded value.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Which, as case is.
    pub name: String,
    /// What it must be.
    pub value: ValueMatch,
    /// As in [`HeaderMatch`].
    pub invert: bool,
}

/// What a value must be.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// It is there.
    Present,
    /// Is this.
    Exact(String),
    /// Begins with this.
    Prefix(String),
    /// All of it matches.
    Regex(Regex),
}

impl RouteMatch {
    pub(super) fn fits(&self, request: &Parts<'_>) -> bool {
        let Self { hosts, path, methods, headers, query } = self;
        (hosts.is_empty() || hosts.iter().any(|host| host.fits(request.host)))
            && path.as_ref().is_none_or(|path| path.fits(request.path))
            && is_among(methods, request.head.method())
            && headers.iter().all(|header| header.fits(request))
            && query.iter().all(|parameter| parameter.fits(request))
    }
}

/// Whether a method is one of these; no list has them all.
pub(super) fn is_among(methods: &[Method], method: &str) -> bool {
    methods.is_empty() || methods.iter().any(|one| one.as_str() == method)
}

impl HostMatch {
    fn fits(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Suffix(suffix) => {
                let split = host.len().checked_sub(suffix.len()).and_then(|at| host.split_at_checked(at));
                split.is_some_and(|(before, end)| !before.is_empty() && end.eq_ignore_ascii_case(suffix))
            }
        }
    }
}

impl PathMatch {
    fn fits(&self, path: &str) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Exact(exact) => path == exact,
            Self::Regex(pattern) => pattern.is_match(path),
        }
    }
}

impl HeaderMatch {
    fn fits(&self, request: &Parts<'_>) -> bool {
        self.value.fits(request.header(self.name.as_str()).as_deref(), self.invert)
    }
}

impl QueryMatch {
    fn fits(&self, request: &Parts<'_>) -> bool {
        self.value.fits(request.parameter(&self.name).as_deref(), self.invert)
    }
}

impl ValueMatch {
    /// A condition on a value that isn't there never holds.
    fn fits(&self, value: Option<&[u8]>, invert: bool) -> bool {
        let Some(value) = value else { return invert && matches!(self, Self::Present) };
        let fits = match self {
            Self::Present => true,
            Self::Exact(exact) => value == exact.as_bytes(),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            // What is no text matches no pattern.
            Self::Regex(pattern) => std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value)),
        };
        fits != invert
    }
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
