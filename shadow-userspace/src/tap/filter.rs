//! Which exchanges are wanted: takes what users write, judges heads.

use std::{net::Ipv6Addr, str::FromStr};

use crate::http::{
    RequestHead,
    target::{self, Target},
};

/// Which exchanges are wanted: those that fit each kind of condition, by any of its values. A kind without a value fits
/// everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By method.
    pub methods: Vec<Method>,
    /// By the beginning of the path.
    pub path_prefixes: Vec<PathPrefix>,
    /// By authority: the target's, else the Host header.
    pub hosts: Vec<HostPattern>,
    /// By the response's status; an exchange without response doesn't fit.
    pub statuses: Vec<StatusRange>,
}

impl Filter {
    /// Whether a request with this head is wanted, whatever is answered; none: its head was never seen whole.
    pub(super) fn fits_request(&self, head: Option<&RequestHead>) -> bool {
        let Self { methods, path_prefixes, hosts, statuses: _ } = self;
        let Some(head) = head else {
            return methods.is_empty() && path_prefixes.is_empty() && hosts.is_empty();
        };
        let path = || Target::parse(head.target()).path();
        let authority = || target::authority(head).unwrap_or_default();
        (methods.is_empty() || methods.iter().any(|method| method.fits(head.method())))
            && (path_prefixes.is_empty() || path_prefixes.iter().any(|prefix| prefix.fits(path())))
            && (hosts.is_empty() || hosts.iter().any(|host| host.fits(authority())))
    }

    /// Whether an exchange with this status is wanted; none: there is no response.
    pub(super) fn fits_status(&self, status: Option<u16>) -> bool {
        let fits = |status| self.statuses.iter().any(|range| (range.first..=range.last).contains(&status));
        self.statuses.is_empty() || status.is_some_and(fits)
    }
}

/// A text that is no condition of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// See [`Method`].
    #[error("{0:?} is no method: give one such as GET")]
    Method(String),
    /// See [`PathPrefix`].
    #[error("{0:?} is no beginning of a path: give one such as /api/")]
    PathPrefix(String),
    /// See [`HostPattern`].
    #[error("{0:?} is no host: give one such as shop.example.com, *.example.com, 10.0.0.1:8080 or [::1]")]
    Host(String),
    /// See [`StatusRange`].
    #[error("{0:?} is no status: give one from 100 to 999, such as 200, or several, such as 5xx or 400-499")]
    Status(String),
}

/// A method, compared in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(String);

impl Method {
    fn fits(&self, method: &str) -> bool {
        self.0.eq_ignore_ascii_case(method)
    }
}

impl FromStr for Method {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        // What could be in a request line (RFC 9110 section 5.6.2), or it would never fit.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_method = !text.is_empty() && text.bytes().all(is_token);
        if is_method { Ok(Self(text.to_owned())) } else { Err(FilterError::Method(text.to_owned())) }
    }
}

/// The beginning of a path, compared with the target without scheme and authority, as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(String);

impl PathPrefix {
    fn fits(&self, path: &str) -> bool {
        path.starts_with(&self.0)
    }
}

impl FromStr for PathPrefix {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let is_path = text.starts_with('/') || text == "*";
        if is_path { Ok(Self(text.to_owned())) } else { Err(FilterError::PathPrefix(text.to_owned())) }
    }
}

/// A host, compared in any case; `*.` before it stands for everything below it. With a port only that one fits, where
/// an authority without port means 80.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    below: bool,
    port: Option<u16>,
}

/// What an authority without a port means.
const HTTP_PORT: u16 = 80;

impl HostPattern {
    fn fits(&self, authority: &str) -> bool {
        let (_, host_and_port) = target::split_userinfo(authority);
        let (host, port) = target::split_port(host_and_port);
        let fits_host = if self.below {
            let parts = host.len().checked_sub(self.host.len()).and_then(|at| host.split_at_checked(at));
            parts.is_some_and(|(below, host)| {
                below.len() > 1 && below.ends_with('.') && host.eq_ignore_ascii_case(&self.host)
            })
        } else {
            host.eq_ignore_ascii_case(&self.host)
        };
        let port = || port.map_or(Ok(HTTP_PORT), str::parse);
        fits_host && self.port.is_none_or(|wanted| port() == Ok(wanted))
    }
}

impl FromStr for HostPattern {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let refused = || FilterError::Host(text.to_owned());
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: format!("[{text}]"), below, port: None });
        }
        let (host, port) = target::split_port(rest);
        let port = port.map(str::parse).transpose().map_err(|_| refused())?;
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b",/?#@\\\"<>*:[]".contains(&byte);
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => !below && address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_name),
        };
        if !is_host {
            return Err(refused());
        }
        Ok(Self { host: host.to_owned(), below, port })
    }
}

/// Statuses from the first to the last: `200`, `5xx`, `400-499`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl FromStr for StatusRange {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let status = |text: &str| match text.as_bytes() {
            [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => text.parse().ok(),
            _ => None,
        };
        let range = match text.as_bytes() {
            [digit @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => {
                let first = u16::from(digit - b'0') * 100;
                Some((first, first + 99))
            }
            _ => match text.split_once('-') {
                Some((first, last)) => status(first).zip(status(last)),
                None => status(text).map(|status| (status, status)),
            },
        };
        match range {
            Some((first, last)) if first <= last => Ok(Self { first, last }),
            _ => Err(FilterError::Status(text.to_owned())),
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
