//! What is kept of an exchange until it is over: heads as sent, lengths and hashes of bodies, and when parts came.

use shadow_common::FlowKey;

use crate::{
    http::{RequestHead, ResponseHead, Version},
    ledger::DropReason,
    pipeline::ExchangeEvent,
    tap::body::{Body, Hashing, Sha256Hex},
};

/// One exchange as far as it was seen. Times are capture times in nanoseconds.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) flow: FlowKey,
    /// When its first byte was captured.
    pub(super) began_ns: u64,
    /// None: it was never seen whole.
    pub(super) request: Option<RequestHead>,
    pub(super) body: Body,
    ended: Option<End>,
    /// None: not even its head was seen whole.
    pub(super) response: Option<Response>,
}

/// The final response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) head: ResponseHead,
    /// When its head was whole.
    began_ns: u64,
    pub(super) body: Body,
    ended: Option<End>,
}

/// How and when a direction ended.
#[derive(Clone, Copy, Debug)]
struct End {
    result: Result<(), DropReason>,
    at_ns: u64,
}

impl Record {
    pub(super) fn new(flow: FlowKey, began_ns: u64, hashing: Hashing) -> Self {
        Self { flow, began_ns, request: None, body: Body::new(hashing), ended: None, response: None }
    }

    /// Takes the next part.
    pub(super) fn take(&mut self, part: ExchangeEvent<'_>, at_ns: u64) {
        match part {
            ExchangeEvent::RequestHead(head) => self.request = Some(head),
            ExchangeEvent::RequestBody(bytes) => self.body.push(bytes),
            ExchangeEvent::RequestEnd(result) => self.ended = Some(End { result, at_ns }),
            ExchangeEvent::ResponseHead(head) => {
                let body = Body::new(self.body.hashing());
                self.response = Some(Response { head, began_ns: at_ns, body, ended: None });
            }
            // None of the formats has a place for them.
            ExchangeEvent::RequestTrailers(_)
            | ExchangeEvent::Interim(_)
            | ExchangeEvent::ResponseTrailers(_) => {}
            ExchangeEvent::ResponseBody(bytes) => self.of_response(|response| response.body.push(bytes)),
            ExchangeEvent::ResponseHole(bytes) => self.of_response(|response| response.body.miss(bytes)),
            ExchangeEvent::ResponseEnd(result) => {
                self.of_response(|response| response.ended = Some(End { result, at_ns }));
            }
        }
    }

    fn of_response(&mut self, change: impl FnOnce(&mut Response)) {
        if let Some(response) = &mut self.response {
            change(response);
        }
    }

    /// The version that is spoken: the request's; without its head the response's, and else the one that HTTP/1
    /// connections speak nearly always.
    pub(super) fn version(&self) -> Version {
        let of_request = self.request.as_ref().map(|head| head.version());
        let of_response = || self.response.as_ref().map(|response| response.head.version());
        of_request.or_else(of_response).unwrap_or(Version::Http11)
    }

    /// Whether every byte of the request was seen, or why not.
    pub(super) fn outcome(&self) -> Result<(), DropReason> {
        self.ended.map_or(Err(DropReason::Incomplete), |end| end.result)
    }

    /// Of the request's body; none if that isn't whole.
    pub(super) fn sha256(&self) -> Option<Sha256Hex> {
        self.outcome().ok().and_then(|()| self.body.sha256())
    }

    /// From the request's last byte to the response's first ones, in nanoseconds: 0 if that began before; none if one
    /// of the two wasn't seen.
    pub(super) fn latency_ns(&self) -> Option<u64> {
        let End { result: Ok(()), at_ns } = self.ended? else { return None };
        Some(self.response.as_ref()?.began_ns.saturating_sub(at_ns))
    }

    /// From the request's first byte to its last, in nanoseconds; 0 if that wasn't seen.
    pub(super) fn sending_ns(&self) -> u64 {
        self.ended.map_or(0, |end| end.at_ns.saturating_sub(self.began_ns))
    }
}

impl Response {
    /// Whether every byte of it was seen, or why not.
    pub(super) fn outcome(&self) -> Result<(), DropReason> {
        if self.body.has_holes() {
            return Err(DropReason::Gap);
        }
        self.ended.map_or(Err(DropReason::Incomplete), |end| end.result)
    }

    /// Of its body; none if that isn't whole.
    pub(super) fn sha256(&self) -> Option<Sha256Hex> {
        self.outcome().ok().and_then(|()| self.body.sha256())
    }

    /// From its first bytes to its last, in nanoseconds; 0 if that wasn't seen.
    pub(super) fn receiving_ns(&self) -> u64 {
        self.ended.map_or(0, |end| end.at_ns.saturating_sub(self.began_ns))
    }
}

/// An outcome's name.
pub(super) fn label(outcome: Result<(), DropReason>) -> &'static str {
    outcome.map_or_else(DropReason::label, |()| "complete")
}

/// A version's name.
pub(super) fn protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}
