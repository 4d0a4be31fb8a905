//! The headers of a copy: takes the head that the client sent, gives those that v2 receives.
//!
//! Every value keeps its bytes and its place among the values of its name; hyper writes names in lower case. What
//! concerns only the client's connection stays behind (RFC 9110 section 7.6.1).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    http::{BodyFraming, RequestHead, Version},
    shadow::host,
};

/// The header that marks a copy. A request that carries it is never mirrored.
pub const LOOP_HEADER: &str = "x-shadow-copy";

/// A header that hyper can't send as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A name or value with bytes that no header may have.
    #[error("a header has bytes that can't be sent")]
    Bytes,
    /// More headers than hyper can hold.
    #[error("too many headers")]
    TooMany,
}

/// The copy's headers. `authority` replaces the Host that was sent; the suffix is added to either.
pub(super) fn of_copy(
    head: &RequestHead,
    authority: Option<&str>,
    trailers: Option<&HeaderMap>,
    suffix: &str,
) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::with_capacity(head.headers().count() + 2);
    let authority = authority.map(str::as_bytes);
    if let (Some(authority), None) = (authority, head.header("host")) {
        append(&mut headers, header::HOST, host::suffixed(authority, suffix).into())?;
    }
    let options = ConnectionOptions::of(head);
    for (name, value) in head.headers() {
        let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Bytes)?;
        if name == header::HOST {
            append(&mut headers, name, host::suffixed(authority.unwrap_or(value), suffix).into())?;
        } else if !is_hop_by_hop(&name) && !options.list(&name)
            || name == header::TRAILER && trailers.is_some()
        {
            append(&mut headers, name, head.raw().slice_ref(value))?;
        }
    }
    if head.framing() == BodyFraming::Chunked {
        append(&mut headers, header::TRANSFER_ENCODING, Bytes::from_static(b"chunked"))?;
    }
    if let Some(trailers) = trailers {
        announce(&mut headers, trailers)?;
    }
    if head.version() == Version::Http10 {
        // It is what HTTP/1.0 means anyway, and keeps hyper from using a connection again that v2 closes.
        append(&mut headers, header::CONNECTION, Bytes::from_static(b"close"))?;
    }
    append(&mut headers, HeaderName::from_static(LOOP_HEADER), Bytes::from_static(b"1"))?;
    Ok(headers)
}

/// Trailer fields as hyper takes them; `None` if there are none.
pub(super) fn trailers(fields: &[(Bytes, Bytes)]) -> Result<Option<HeaderMap>, HeaderError> {
    let mut trailers = HeaderMap::new();
    for (name, value) in fields {
        append(&mut trailers, HeaderName::from_bytes(name).map_err(|_| HeaderError::Bytes)?, value.clone())?;
    }
    Ok(Some(trailers).filter(|trailers| !trailers.is_empty()))
}

/// Adds the trailer names that the client's Trailer header doesn't list: hyper sends announced fields only.
fn announce(headers: &mut HeaderMap, trailers: &HeaderMap) -> Result<(), HeaderError> {
    for name in trailers.keys() {
        let listed = headers.get_all(header::TRAILER).iter().any(|value| lists(value.as_bytes(), name));
        if !listed {
            append(headers, header::TRAILER, Bytes::copy_from_slice(name.as_str().as_bytes()))?;
        }
    }
    Ok(())
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: Bytes) -> Result<(), HeaderError> {
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| HeaderError::Bytes)?;
    headers.try_append(name, value).map_err(|_| HeaderError::TooMany)?;
    Ok(())
}

/// Headers that every hop sets for itself. Expect is among them because the copy's body is never held back.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    const PER_HOP: [&str; 8] = [
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    PER_HOP.contains(&name.as_str())
}

/// Whether a comma-separated list of header names has `name`.
fn lists(value: &[u8], name: &HeaderName) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// What the client's Connection headers list.
struct ConnectionOptions<'a> {
    values: Vec<&'a [u8]>,
}

impl<'a> ConnectionOptions<'a> {
    fn of(head: &'a RequestHead) -> Self {
        Self { values: head.header_values("connection").collect() }
    }

    /// Host and Content-Length are for every hop, whatever a client lists: without them the copy would be another
    /// request than the one that v1 answered.
    fn list(&self, name: &HeaderName) -> bool {
        *name != header::HOST
            && *name != header::CONTENT_LENGTH
            && self.values.iter().any(|value| lists(value, name))
    }
}
