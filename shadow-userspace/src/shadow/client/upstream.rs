//! The upstream that receives copies: takes the URL that the operator gave, gives where to connect.

use std::{fmt, str::FromStr};

use http::uri::{Authority, Scheme, Uri};

/// One v2, as `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    tls: bool,
    authority: Authority,
    host: String,
    port: u16,
}

/// Why a text names no upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Not a URL at all, or without scheme or host.
    #[error("{0:?} is no upstream URL: give one like http://petstore-v2:8080")]
    NoUrl(String),
    /// Neither `http` nor `https`.
    #[error("scheme {0:?} is not supported: give an http:// or https:// URL")]
    Scheme(String),
    /// A path, a query or a fragment.
    #[error("an upstream has no path, a copy keeps the request's own: give {0}")]
    Path(String),
    /// User name or password.
    #[error("an upstream URL has no user name or password: give one like http://petstore-v2:8080")]
    UserInfo,
    /// Port 0, or no number from 1 to 65535.
    #[error("the upstream's port must be a number from 1 to 65535")]
    Port,
}

impl Upstream {
    /// Whether it is reached by TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The URL's scheme.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Name or address to resolve, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as hyper's pool wants them.
    #[cfg(test)]
    pub(in crate::shadow) const fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        // Before anything quotes the text: it may hold a password.
        if text.contains('@') {
            return Err(UpstreamError::UserInfo);
        }
        let no_url = || UpstreamError::NoUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| no_url())?;
        let (scheme, authority) = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) if !authority.host().is_empty() => (scheme, authority),
            _ => return Err(no_url()),
        };
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err(UpstreamError::Scheme(scheme.as_str().to_owned()));
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return Err(UpstreamError::Path(format!("{scheme}://{authority}")));
        }
        let port =
            match authority.as_str().strip_prefix(authority.host()).and_then(|tail| tail.strip_prefix(':')) {
                None if tls => 443,
                None => 80,
                Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or(UpstreamError::Port)?,
            };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { tls, authority: authority.clone(), host, port })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_host_and_port() {
        for (text, host, port) in [
            ("https://petstore-v2", "petstore-v2", 443),
            ("https://[::1]:8443/", "::1", 8443),
            ("http://petstore-v2:8080", "petstore-v2", 8080),
            ("http://petstore-v2/", "petstore-v2", 80),
            ("HTTP://192.0.2.1:1", "192.0.2.1", 1),
            ("http://[::1]:65535", "::1", 65535),
            ("http://[::1]", "::1", 80),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!((upstream.host(), upstream.port()), (host, port), "{text}");
            assert_eq!(upstream.is_tls(), text.starts_with("https"));
            assert_eq!(upstream.to_string().parse(), Ok(upstream), "what is shown can be given");
        }
    }

    #[test]
    fn refuses_everything_else_and_says_what_to_give() {
        for (text, word) in [
            ("", "is no upstream URL"),
            ("petstore-v2:8080", "is no upstream URL"),
            ("petstore-v2", "is no upstream URL"),
            ("http://", "is no upstream URL"),
            ("http://:80", "is no upstream URL"),
            ("http://a b", "is no upstream URL"),
            ("ftp://petstore-v2", "\"ftp\" is not supported"),
            ("http://a:80/base", "give http://a:80"),
            ("http://a/?q", "give http://a"),
            ("https://a/base", "give https://a"),
            ("http://a/#f", "give http://a"),
            ("http://a:0", "1 to 65535"),
            ("http://a:65536", "1 to 65535"),
            ("http://user:secret@a", "no user name"),
        ] {
            let error = text.parse::<Upstream>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
        }
    }
}
