//! What a route matches: pure data, compiled once. As in Gloo and Envoy all conditions must hold.

use http::{HeaderName, Method};
use regex::Regex;

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
