//! What is changed about a copy, as the configuration says it: pure data, compiled once.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use regex::Regex;

use crate::shadow::copy::{host, redact::Redaction};

/// The header that marks a copy unless another is configured. A request that carries it is never mirrored.
pub const LOOP_HEADER: &str = "x-shadow-copy";

/// How one route's copies for one upstream differ from what the client sent.
#[derive(Clone, Debug)]
pub struct CopyPolicy {
    /// The copy's Host.
    pub host: HostRule,
    /// Changes of its headers, in order.
    pub headers: Vec<HeaderMutation>,
    /// What becomes of the path.
    pub path: Option<PathRewrite>,
    /// Whether the client's address is appended to `X-Forwarded-For`, as Envoy does.
    pub forwarded_for: bool,
    /// What becomes of `traceparent`.
    pub trace: Trace,
    /// What never leaves the agent.
    pub redaction: Arc<Redaction>,
    /// The header that marks copies; its value is `1`.
    pub loop_header: HeaderName,
}

impl Default for CopyPolicy {
    /// Host with the suffix, and the loop header; nothing else changed.
    fn default() -> Self {
        Self {
            host: HostRule::Suffix(host::SUFFIX.to_owned()),
            headers: Vec::new(),
            path: None,
            forwarded_for: false,
            trace: Trace::Keep,
            redaction: Arc::default(),
            loop_header: HeaderName::from_static(LOOP_HEADER),
        }
    }
}

/// The copy's Host (Envoy's rules: FIELD-NOTES 1 and 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The client's, with this before its port; empty: as it is.
    Suffix(String),
    /// This, whatever the client sent; no suffix.
    Rewrite(HeaderValue),
}

/// One change of the copy's headers. Those that are [reserved](crate::shadow::copy::reserved::is_reserved) stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderMutation {
    /// This value instead of all that it has.
    Set(HeaderName, HeaderValue),
    /// This value beside those that it has.
    Add(HeaderName, HeaderValue),
    /// None.
    Remove(HeaderName),
}

/// What becomes of the path; the query stays.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// The prefix that the path begins with is replaced; other paths stay.
    Prefix {
        /// What is replaced.
        from: String,
        /// By what.
        to: String,
    },
    /// Every match is replaced.
    Regex {
        /// What is replaced.
        pattern: Regex,
        /// By what; `$1` or `${name}` is a group.
        substitution: String,
    },
}

/// What becomes of the header `traceparent` (W3C Trace Context).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// It stays.
    #[default]
    Keep,
    /// The same trace, with a parent id of the copy's own.
    Child,
}

/// How copies made by this agent, or another, are recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopGuard {
    /// A request that has it is a copy.
    pub header: HeaderName,
    /// A request whose Host ends in one of these is a copy; none of them is empty.
    pub suffixes: Vec<String>,
}

impl Default for LoopGuard {
    fn default() -> Self {
        Self { header: HeaderName::from_static(LOOP_HEADER), suffixes: vec![host::SUFFIX.to_owned()] }
    }
}
