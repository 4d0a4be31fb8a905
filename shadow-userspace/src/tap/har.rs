//! Exchanges as entries of one HAR 1.2 document, written one by one: memory doesn't grow with it, and it is valid after
//! however many entries.
//!
//! Bodies are left out, their sizes are there. What HAR has no place for stands in fields that begin with `_`, as HAR
//! asks for. HAR demands a method and a URL also where the request's head was never seen: they are then empty, and the
//! service's address.

mod cookies;

use std::{borrow::Cow, net::IpAddr};

use serde::Serialize;

use crate::{
    http::{
        RequestHead,
        target::{self, Target},
    },
    tap::{
        Secrets,
        address::{self, Ends},
        clock::{Epoch, Time, millis},
        encode::{Field, Wire, fields, put_json},
        escape::put,
        har::cookies::Cookie,
        record::{Record, Response, label, protocol},
    },
};

/// What HAR says where a size isn't known.
const UNKNOWN: i64 = -1;

/// Puts the document's beginning down.
pub(super) fn put_begin(out: &mut Vec<u8>) {
    let version = env!("CARGO_PKG_VERSION");
    put(
        out,
        format_args!(
            r#"{{"log":{{"version":"1.2","creator":{{"name":"shadow-agent","version":"{version}"}},"entries":["#
        ),
    );
}

/// Puts the document's end down.
pub(super) fn put_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n]}}\n");
}

/// Writes exchanges as entries.
#[derive(Debug)]
pub(super) struct Har {
    secrets: Secrets,
    epoch: Epoch,
    separator: &'static str,
}

impl Har {
    pub(super) fn new(secrets: Secrets, epoch: Epoch) -> Self {
        Self { secrets, epoch, separator: "\n" }
    }

    /// Puts the entry down.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, record: &Record) {
        out.extend_from_slice(self.separator.as_bytes());
        self.separator = ",\n";
        put_json(out, &Entry::new(record, self.secrets, self.epoch));
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    started_date_time: Time,
    time: f64,
    request: Request<'a>,
    response: Answer<'a>,
    cache: Empty,
    timings: Timings,
    #[serde(rename = "serverIPAddress")]
    server_ip_address: IpAddr,
    connection: Ends<'a>,
    #[serde(rename = "_outcome")]
    outcome: &'static str,
    /// None: there is no response.
    #[serde(rename = "_responseOutcome")]
    response_outcome: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: &'a str,
    url: String,
    http_version: &'static str,
    cookies: Vec<Cookie<'a>>,
    headers: Vec<NameValue<'a>>,
    query_string: Vec<NameValue<'a>>,
    headers_size: i64,
    body_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    /// 0: there is no response, as browsers say it.
    status: u16,
    status_text: Wire<'a>,
    http_version: &'static str,
    cookies: Vec<Cookie<'a>>,
    headers: Vec<NameValue<'a>>,
    content: Content<'a>,
    #[serde(rename = "redirectURL")]
    redirect_url: Wire<'a>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    size: u64,
    mime_type: Wire<'a>,
}

#[derive(Serialize)]
struct NameValue<'a> {
    name: Wire<'a>,
    value: Wire<'a>,
}

/// In milliseconds.
#[derive(Serialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}

#[derive(Serialize)]
struct Empty {}

impl<'a> Entry<'a> {
    fn new(record: &'a Record, secrets: Secrets, epoch: Epoch) -> Self {
        let response = record.response.as_ref();
        let wait_ns = record.latency_ns().unwrap_or(0);
        let receive_ns = response.map_or(0, Response::receiving_ns);
        let all_ns = record.sending_ns().saturating_add(wait_ns).saturating_add(receive_ns);
        Self {
            started_date_time: epoch.time(record.began_ns),
            time: millis(all_ns),
            request: Request::new(record, secrets),
            response: response.map_or_else(Answer::none, |response| Answer::new(response, secrets)),
            cache: Empty {},
            timings: Timings {
                send: millis(record.sending_ns()),
                wait: millis(wait_ns),
                receive: millis(receive_ns),
            },
            server_ip_address: address::service(&record.flow).ip(),
            connection: Ends(&record.flow),
            outcome: label(record.outcome()),
            response_outcome: response.map(|response| label(response.outcome())),
        }
    }
}

impl<'a> Request<'a> {
    fn new(record: &'a Record, secrets: Secrets) -> Self {
        let body_size = record.body.bytes();
        let Some(head) = &record.request else {
            return Self {
                method: "",
                url: format!("http://{}", address::service(&record.flow)),
                http_version: "",
                cookies: Vec::new(),
                headers: Vec::new(),
                query_string: Vec::new(),
                headers_size: UNKNOWN,
                body_size,
            };
        };
        Self {
            method: head.method(),
            url: url(head, record, secrets),
            http_version: protocol(head.version()),
            cookies: cookies::sent(head, secrets),
            headers: named(fields(head.headers(), secrets)),
            query_string: query(head.target()),
            headers_size: size_of_head(head.raw()),
            body_size,
        }
    }
}

impl<'a> Answer<'a> {
    fn new(response: &'a Response, secrets: Secrets) -> Self {
        let head = &response.head;
        let size = response.body.bytes();
        let header = |name, default: &'static str| head.header(name).unwrap_or(default.as_bytes());
        Self {
            status: head.status(),
            status_text: Wire::of(head.reason()),
            http_version: protocol(head.version()),
            cookies: cookies::set(head, secrets),
            headers: named(fields(head.headers(), secrets)),
            content: Content { size, mime_type: Wire::of(header("content-type", "x-unknown")) },
            redirect_url: Wire::of(header("location", "")),
            headers_size: size_of_head(head.raw()),
            body_size: i64::try_from(size).unwrap_or(UNKNOWN),
        }
    }

    fn none() -> Self {
        Self {
            status: 0,
            status_text: Wire::of(b""),
            http_version: "",
            cookies: Vec::new(),
            headers: Vec::new(),
            content: Content { size: 0, mime_type: Wire::of(b"x-unknown") },
            redirect_url: Wire::of(b""),
            headers_size: UNKNOWN,
            body_size: UNKNOWN,
        }
    }
}

/// From the first byte of the start line to the empty line.
fn size_of_head(raw: &[u8]) -> i64 {
    i64::try_from(raw.len()).unwrap_or(UNKNOWN)
}

fn named(fields: Vec<Field<'_>>) -> Vec<NameValue<'_>> {
    fields.into_iter().map(|(name, value)| NameValue { name, value }).collect()
}

/// The target's URI (RFC 9110 section 7.1), with the service's address where nothing names a host.
fn url(head: &RequestHead, record: &Record, secrets: Secrets) -> String {
    let target = secrets.target(head);
    let parts = Target::parse(&target);
    if parts.scheme.is_some() {
        return target.into_owned();
    }
    let authority = target::authority(head).filter(|authority| !authority.is_empty());
    let authority = authority.map_or_else(
        || Cow::Owned(address::service(&record.flow).to_string()),
        |authority| secrets.authority(authority),
    );
    let path = if parts.path_and_query == "*" { "" } else { parts.path_and_query };
    format!("http://{authority}{path}")
}

/// Names and values as sent: their escapes may mean anything.
fn query(target: &str) -> Vec<NameValue<'_>> {
    let parameters = Target::parse(target).query().unwrap_or_default().split('&');
    parameters
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .map(|(name, value)| NameValue { name: Wire::of(name.as_bytes()), value: Wire::of(value.as_bytes()) })
        .collect()
}
