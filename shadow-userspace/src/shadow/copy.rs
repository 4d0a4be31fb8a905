//! The copy: takes a captured request, gives the one that hyper sends to v2.
//!
//! Method, target, header values, body and framing are the client's; Host gets the suffix and hop-by-hop headers
//! are left out. What can't be said to v2 exactly is refused (invariant 3).

use bytes::Bytes;
use http::{
    Method, Request, Uri,
    uri::{PathAndQuery, Scheme},
};

use crate::{
    http::{BodyFraming, RequestHead, Version},
    ledger::DropReason,
    shadow::{
        body::CopyBody,
        headers::{self, HeaderError, LOOP_HEADER},
        host,
        target::{self, Target, TargetError},
        upstream::Upstream,
    },
};

/// Why a request can't be sent to v2 as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The method is no token.
    #[error("the method can't be sent as it is")]
    Method,
    /// See [`TargetError`].
    #[error(transparent)]
    Target(#[from] TargetError),
    /// See [`HeaderError`].
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The body is not as long as its head says.
    #[error("the body is not as long as its head says")]
    Length,
}

/// Makes the copy for `upstream`.
///
/// # Errors
/// If hyper would send something else than what was captured.
pub fn copy(
    head: &RequestHead,
    body: Bytes,
    trailers: &[(Bytes, Bytes)],
    upstream: &Upstream,
    suffix: &str,
) -> Result<Request<CopyBody>, CopyError> {
    let target = Target::new(head.target(), head.method())?;
    let body = match head.framing() {
        BodyFraming::Chunked => CopyBody::chunked(body, headers::trailers(trailers)?),
        BodyFraming::None if body.is_empty() => CopyBody::sized(body),
        BodyFraming::Length(length) if length == body.len() as u64 => CopyBody::sized(body),
        BodyFraming::None | BodyFraming::Length(_) => return Err(CopyError::Length),
    };
    let headers = headers::of_copy(head, target.authority, body.trailers(), suffix)?;

    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(head.method().as_bytes()).map_err(|_| CopyError::Method)?;
    *request.uri_mut() = uri(target.path, upstream)?;
    *request.version_mut() = match head.version() {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    };
    *request.headers_mut() = headers;
    Ok(request)
}

/// Whether a request is worth following to its end.
///
/// # Errors
/// [`DropReason::Loop`] if it is a copy itself.
pub fn admit(head: &RequestHead, suffix: &str) -> Result<(), DropReason> {
    let is_copy = head.header(LOOP_HEADER).is_some()
        || head.header_values("host").any(|value| host::is_suffixed(value, suffix))
        || target::authority(head.target()).is_some_and(|value| host::is_suffixed(value.as_bytes(), suffix));
    if is_copy { Err(DropReason::Loop) } else { Ok(()) }
}

/// Scheme and authority choose the pool's connection; hyper sends the path alone.
fn uri(path: PathAndQuery, upstream: &Upstream) -> Result<Uri, CopyError> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(upstream.authority().clone());
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| CopyError::Target(TargetError))
}

#[cfg(test)]
mod tests;
