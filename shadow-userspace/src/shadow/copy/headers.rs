//! The headers of a copy: takes the head that the client sent, gives those that v2 receives.
//!
//! Every value keeps its bytes and its place among the values of its name, unless the policy says otherwise; hyper
//! writes names in lower case. What concerns only the client's connection stays behind (RFC 9110 section 7.6.1). In
//! this order: secrets are replaced, Host is rewritten, the client's address and the trace are seen to, the operator's
//! changes made.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    http::{BodyFraming, RequestHead, Version},
    shadow::copy::{
        host,
        policy::{CopyPolicy, HeaderMutation, HostRule, Trace},
        reserved::{is_hop_by_hop, is_reserved},
        trace,
    },
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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

/// What the copy's headers depend on beside the client's and the policy.
#[derive(Clone, Copy, Debug)]
pub(in crate::shadow) struct Surroundings<'a> {
    /// The target's authority: it counts instead of the Host that was sent.
    pub(in crate::shadow) authority: Option<&'a str>,
    /// What will follow the body.
    pub(in crate::shadow) trailers: Trailers<'a>,
    /// The client's address.
    pub(in crate::shadow) client: IpAddr,
    /// The body's length in bytes if it isn't the client's body any more.
    pub(in crate::shadow) new_length: Option<usize>,
}

/// What will follow the body.
#[derive(Clone, Copy, Debug)]
pub(in crate::shadow) enum Trailers<'a> {
    /// Nothing.
    None,
    /// This.
    These(&'a HeaderMap),
    /// What the client announced, if it keeps its word: the body is still to come.
    ToCome,
}

/// The copy's headers.
pub(in crate::shadow) fn of_copy(
    head: &RequestHead,
    policy: &CopyPolicy,
    about: Surroundings<'_>,
) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::with_capacity(head.headers().count() + 2);
    add_clients(&mut headers, head, policy, about)?;
    if head.framing() == BodyFraming::Chunked {
        append(&mut headers, header::TRANSFER_ENCODING, Bytes::from_static(b"chunked"))?;
    }
    if let Trailers::These(trailers) = about.trailers {
        announce(&mut headers, trailers)?;
    }
    if head.version() == Version::Http10 {
        // It is what HTTP/1.0 means anyway, and keeps hyper from using a connection again that v2 closes.
        append(&mut headers, header::CONNECTION, Bytes::from_static(b"close"))?;
    }
    if policy.forwarded_for {
        forward_for(&mut headers, about.client)?;
    }
    if policy.trace == Trace::Child {
        trace::make_child(&mut headers);
    }
    for mutation in &policy.headers {
        mutate(&mut headers, mutation)?;
    }
    // Last, so that nothing can take it away.
    let mark = HeaderValue::from_static("1");
    headers.try_insert(policy.loop_header.clone(), mark).map_err(|_| HeaderError::TooMany)?;
    Ok(headers)
}

/// What the client sent, without its secrets and what is for one hop.
fn add_clients(
    headers: &mut HeaderMap,
    head: &RequestHead,
    policy: &CopyPolicy,
    about: Surroundings<'_>,
) -> Result<(), HeaderError> {
    if head.header("host").is_none()
        && let Some(host) = host_of_copy(&policy.host, about.authority.map(str::as_bytes))
    {
        append(headers, header::HOST, host)?;
    }
    let options = ConnectionOptions::of(head);
    let is_announced = match about.trailers {
        Trailers::None => false,
        Trailers::These(_) => true,
        Trailers::ToCome => head.framing() == BodyFraming::Chunked,
    };
    for (name, value) in head.headers() {
        let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Bytes)?;
        let value = match name {
            header::HOST => host_of_copy(&policy.host, Some(about.authority.map_or(value, str::as_bytes))),
            header::TRAILER if is_announced => Some(head.raw().slice_ref(value)),
            _ if is_hop_by_hop(&name) || options.list(&name) => None,
            _ if about.new_length.is_some() && tells_of_body(&name) => about
                .new_length
                .filter(|_| name == header::CONTENT_LENGTH)
                .map(|length| length.to_string().into()),
            _ => {
                let redacted = policy.redaction.value(&name, value).map(Bytes::from);
                Some(redacted.unwrap_or_else(|| head.raw().slice_ref(value)))
            }
        };
        if let Some(value) = value {
            append(headers, name, value)?;
        }
    }
    Ok(())
}

/// The copy's Host for the client's; none if there is none.
fn host_of_copy(rule: &HostRule, host: Option<&[u8]>) -> Option<Bytes> {
    match rule {
        HostRule::Suffix(suffix) => host.map(|host| host::suffixed(host, suffix).into()),
        HostRule::Rewrite(host) => Some(Bytes::copy_from_slice(host.as_bytes())),
    }
}

/// Appends the client's address to the last `X-Forwarded-For`.
fn forward_for(headers: &mut HeaderMap, client: IpAddr) -> Result<(), HeaderError> {
    let client = client.to_canonical().to_string();
    let last = match headers.entry(FORWARDED_FOR) {
        header::Entry::Vacant(_) => None,
        header::Entry::Occupied(values) => values.into_iter().last(),
    };
    match last {
        None => append(headers, FORWARDED_FOR, client.into()),
        Some(last) => {
            let joined = [last.as_bytes(), b", ", client.as_bytes()].concat();
            *last = HeaderValue::from_maybe_shared(Bytes::from(joined)).map_err(|_| HeaderError::Bytes)?;
            Ok(())
        }
    }
}

/// One change by the operator.
fn mutate(headers: &mut HeaderMap, mutation: &HeaderMutation) -> Result<(), HeaderError> {
    let (HeaderMutation::Set(name, _) | HeaderMutation::Add(name, _) | HeaderMutation::Remove(name)) =
        mutation;
    if is_reserved(name) {
        return Ok(());
    }
    let done = match mutation {
        HeaderMutation::Set(_, value) => headers.try_insert(name, value.clone()).map(drop),
        HeaderMutation::Add(_, value) => headers.try_append(name, value.clone()).map(drop),
        HeaderMutation::Remove(_) => {
            headers.remove(name);
            Ok(())
        }
    };
    done.map_err(|_| HeaderError::TooMany)
}

/// Trailer fields as hyper takes them, without their secrets; `None` if there are none.
pub(in crate::shadow) fn trailers(
    fields: &[(Bytes, Bytes)],
    policy: &CopyPolicy,
    is_new_body: bool,
) -> Result<Option<HeaderMap>, HeaderError> {
    let mut trailers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Bytes)?;
        if !(is_new_body && tells_of_body(&name)) {
            let redacted = policy.redaction.value(&name, value).map(Bytes::from);
            append(&mut trailers, name, redacted.unwrap_or_else(|| value.clone()))?;
        }
    }
    Ok(Some(trailers).filter(|trailers| !trailers.is_empty()))
}

/// What is true of the client's body alone: its length, and digests, which would tell a guessed secret as well.
fn tells_of_body(name: &HeaderName) -> bool {
    const OF_BODY: [&str; 5] = ["content-digest", "content-length", "content-md5", "digest", "repr-digest"];
    OF_BODY.contains(&name.as_str())
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
