//! The copy: takes a captured request and a policy, gives what is sent to v2.
//!
//! Method, target, header values, body and framing are the client's but for what the policy changes; hop-by-hop headers
//! are left out. What can't be said to v2 exactly is refused (invariant 3), and secrets are replaced (invariant 5).
//!
//! [`policy`] says what is changed: [`host`] and [`target`] where it claims to go, [`headers`] and [`trace`] what its head
//! says, [`redact`] what never leaves.

pub mod headers;
pub mod host;
pub mod policy;
pub mod redact;
pub mod reserved;
pub mod target;
pub(crate) mod trace;

use std::net::IpAddr;

use bytes::Bytes;
use http::{Method, Request, Uri, request::Parts};

use crate::{
    http::{BodyFraming, RequestHead, Version},
    ledger::{DropReason, FailReason, Outcome},
    shadow::{
        client::body::CopyBody,
        copy::{
            headers::{HeaderError, Surroundings, Trailers},
            policy::{CopyPolicy, LoopGuard},
            redact::Redaction,
            target::{Target, TargetError},
        },
    },
};

/// Why a request can't be sent to v2.
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
    /// See [`DropReason::Unredactable`].
    #[error("what must be redacted can't be found in the body")]
    Unredactable,
}

impl CopyError {
    /// What becomes of the copy.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Unredactable => Outcome::Dropped(DropReason::Unredactable),
            Self::Method | Self::Target(_) | Self::Header(_) | Self::Length => {
                Outcome::Failed(FailReason::Unsendable)
            }
        }
    }
}

/// Whether a request is worth following to its end.
///
/// # Errors
/// [`DropReason::Loop`] if it is a copy itself.
pub fn admit(head: &RequestHead, guard: &LoopGuard) -> Result<(), DropReason> {
    let is_copied = |host: &[u8]| guard.suffixes.iter().any(|suffix| host::is_suffixed(host, suffix));
    let is_copy = head.header(guard.header.as_str()).is_some()
        || head.header_values("host").any(is_copied)
        || target::authority(head.target()).is_some_and(|host| is_copied(host.as_bytes()));
    if is_copy { Err(DropReason::Loop) } else { Ok(()) }
}

/// The copy of a whole request; its URI is a path alone.
///
/// # Errors
/// If hyper would send something else than what was captured, or a secret can't be found.
pub fn whole(
    head: &RequestHead,
    body: Bytes,
    trailers: &[(Bytes, Bytes)],
    client: IpAddr,
    policy: &CopyPolicy,
) -> Result<(Parts, CopyBody), CopyError> {
    match head.framing() {
        BodyFraming::Chunked => {}
        BodyFraming::None if body.is_empty() => {}
        BodyFraming::Length(length) if length == body.len() as u64 => {}
        BodyFraming::None | BodyFraming::Length(_) => return Err(CopyError::Length),
    }
    let redacted =
        redact::body::redacted(head, &body, &policy.redaction).map_err(|_| CopyError::Unredactable)?;
    let new_length = redacted.as_ref().map(Bytes::len);
    let body = redacted.unwrap_or(body);
    let trailers = headers::trailers(trailers, policy, new_length.is_some())?;
    let following = trailers.as_ref().map_or(Trailers::None, Trailers::These);
    let parts = parts(head, following, client, policy, new_length)?;
    let body = match head.framing() {
        BodyFraming::Chunked => CopyBody::chunked(body, trailers),
        BodyFraming::None | BodyFraming::Length(_) => CopyBody::sized(body),
    };
    Ok((parts, body))
}

/// The head of a copy whose body is sent as the client sent it; its URI is a path alone. The client's own announcement of
/// trailers stays.
///
/// # Errors
/// If hyper would send something else than what was captured.
pub fn head_of_copy(head: &RequestHead, client: IpAddr, policy: &CopyPolicy) -> Result<Parts, CopyError> {
    parts(head, Trailers::ToCome, client, policy, None)
}

/// A whole body without its secrets, for fuzzing. If it isn't the same any more, the head must be made by [`whole`].
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn redact_body(
    head: &RequestHead,
    body: Bytes,
    redaction: &Redaction,
) -> Result<Bytes, DropReason> {
    Ok(redact::body::redacted(head, &body, redaction)?.unwrap_or(body))
}

/// Whether a body with this head must be whole before any of it is sent, since there may be secrets in it.
#[must_use]
pub fn reads_body(head: &RequestHead, redaction: &Redaction) -> bool {
    redact::body::is_read(head, redaction)
}

/// Method, target, version and headers; `new_length` is that of a body that was redacted.
fn parts(
    head: &RequestHead,
    trailers: Trailers<'_>,
    client: IpAddr,
    policy: &CopyPolicy,
    new_length: Option<usize>,
) -> Result<Parts, CopyError> {
    let target = Target::of_copy(head.target(), head.method(), policy)?;
    let about = Surroundings { authority: target.authority, trailers, client, new_length };
    let headers = headers::of_copy(head, policy, about)?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(head.method().as_bytes()).map_err(|_| CopyError::Method)?;
    parts.uri = Uri::from(target.path);
    parts.version = match head.version() {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    };
    parts.headers = headers;
    Ok(parts)
}

#[cfg(test)]
mod tests;
