//! An exchange as one JSON object on one line. Its keys are an interface: scripts and tests read them.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    http::target,
    tap::{
        Secrets,
        address::Ends,
        body::Sha256Hex,
        clock::{Epoch, Time, millis},
        encode::{Field, fields, put_json},
        record::{Record, Response, label, protocol},
    },
};

#[derive(Serialize)]
struct Line<'a> {
    flow: Ends<'a>,
    /// HTTP/2 has them.
    stream: Option<u32>,
    protocol: &'static str,
    method: Option<&'a str>,
    authority: Option<Cow<'a, str>>,
    target: Option<Cow<'a, str>>,
    headers: Option<Vec<Field<'a>>>,
    body_bytes: u64,
    body_sha256: Option<Sha256Hex>,
    outcome: &'static str,
    response: Option<Answer<'a>>,
    time: Time,
    latency_ms: Option<f64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    headers: Vec<Field<'a>>,
    body_bytes: u64,
    body_sha256: Option<Sha256Hex>,
    outcome: &'static str,
}

/// Writes exchanges as lines of JSON.
#[derive(Debug)]
pub(super) struct Json {
    secrets: Secrets,
    epoch: Epoch,
}

impl Json {
    pub(super) fn new(secrets: Secrets, epoch: Epoch) -> Self {
        Self { secrets, epoch }
    }

    /// Puts the line down. What only the head tells is null without one, but for the protocol.
    pub(super) fn put(&self, out: &mut Vec<u8>, record: &Record) {
        let (head, secrets) = (record.request.as_ref(), self.secrets);
        let line = Line {
            flow: Ends(&record.flow),
            stream: None,
            protocol: protocol(record.version()),
            method: head.map(|head| head.method()),
            authority: head.and_then(target::authority).map(|authority| secrets.authority(authority)),
            target: head.map(|head| secrets.target(head)),
            headers: head.map(|head| fields(head.headers(), secrets)),
            body_bytes: record.body.bytes(),
            body_sha256: record.sha256(),
            outcome: label(record.outcome()),
            response: record.response.as_ref().map(|response| Answer::new(response, secrets)),
            time: self.epoch.time(record.began_ns),
            latency_ms: record.latency_ns().map(millis),
        };
        put_json(out, &line);
        out.push(b'\n');
    }
}

impl<'a> Answer<'a> {
    fn new(response: &'a Response, secrets: Secrets) -> Self {
        Self {
            status: response.head.status(),
            headers: fields(response.head.headers(), secrets),
            body_bytes: response.body.bytes(),
            body_sha256: response.sha256(),
            outcome: label(response.outcome()),
        }
    }
}
