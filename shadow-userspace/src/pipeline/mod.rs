//! From segments to captured requests: the flow table, one reassembler and one decoder per flow.
//!
//! Takes segments of both directions in capture order, and the capture time; gives whole requests to a
//! [`RequestSink`]. Keeps invariant 2 (every request that begins is settled once: delivered, or dropped with a reason)
//! and invariant 4 (flows, bytes per flow and bytes in total are bounded, and what was refused is counted). It has no
//! clock: a capture file gives the same requests as the same traffic live.

mod assembly;
mod flow;
mod stats;
mod table;

use std::time::Duration;

use bytes::Bytes;
use shadow_common::{
    Direction, FlowKey,
    tcp_flags::{ACK, RST, SYN},
};

use self::{
    flow::{After, Flow},
    table::FlowTable,
};
use crate::{
    budget::{MemoryBudget, Reservation},
    capture::Segment,
    http::{DecoderLimits, RequestHead},
    ledger::{DropReason, Ledger, Ticket},
    tcp::{ReassemblyLimits, Seq},
};

pub use stats::FlowStats;

/// A whole request as the client sent it, every byte of it seen.
#[derive(Debug)]
pub struct CapturedRequest {
    /// The duty to say how it ended.
    pub ticket: Ticket,
    /// The connection it came on.
    pub flow: FlowKey,
    /// Capture time of its first segment in nanoseconds ([`crate::capture::Segment::timestamp_ns`]).
    pub timestamp_ns: u64,
    /// Request line and headers.
    pub head: RequestHead,
    /// The body after transfer decoding.
    pub body: Bytes,
    /// Trailer fields of a chunked body, as sent.
    pub trailers: Vec<(Bytes, Bytes)>,
    /// The memory it holds; keep it until the copy was sent.
    pub reservation: Reservation,
}

/// Where captured requests go.
pub trait RequestSink {
    /// Whether a request with this head is worth collecting a body for.
    ///
    /// # Errors
    /// The reason to drop it for.
    fn admit(&self, head: &RequestHead) -> Result<(), DropReason>;

    /// A request is complete. Must not block: the capture thread calls it.
    fn deliver(&mut self, request: CapturedRequest);
}

/// What the pipeline may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineLimits {
    /// Flows followed at once.
    pub max_flows: usize,
    /// Bytes of a request's body after transfer decoding.
    pub max_body_bytes: usize,
    /// A flow without a segment for so long is forgotten. Longer than the idle timeouts of common servers and pools,
    /// because a forgotten connection that goes on is not followed again.
    pub idle_timeout: Duration,
    /// A hole is waited for so long. What the network lost is sent again after about a round trip, or after the
    /// retransmission timeout: at first up to 1 s, then twice that (RFC 6298). What the capture lost never comes.
    pub hole_timeout: Duration,
    /// Per direction of a flow.
    pub reassembly: ReassemblyLimits,
    /// Per request.
    pub decoder: DecoderLimits,
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self {
            max_flows: 65_536,
            max_body_bytes: 16 << 20,
            idle_timeout: Duration::from_secs(600),
            hole_timeout: Duration::from_secs(3),
            reassembly: ReassemblyLimits::default(),
            decoder: DecoderLimits::default(),
        }
    }
}

/// Follows every flow of one capture thread.
#[derive(Debug)]
pub struct Pipeline<S> {
    flows: FlowTable,
    shared: Shared<S>,
}

/// What all flows use.
#[derive(Debug)]
struct Shared<S> {
    limits: PipelineLimits,
    ledger: Ledger,
    budget: MemoryBudget,
    sink: S,
    stats: FlowStats,
}

impl<S: RequestSink> Pipeline<S> {
    /// Follows nothing yet.
    #[must_use]
    pub fn new(limits: PipelineLimits, ledger: Ledger, budget: MemoryBudget, sink: S) -> Self {
        let flows = FlowTable::new(limits.max_flows);
        Self { flows, shared: Shared { limits, ledger, budget, sink, stats: FlowStats::default() } }
    }

    /// Takes the next captured segment.
    pub fn segment(&mut self, segment: &Segment<'_>) {
        match segment.direction {
            Direction::ToService => self.request_side(segment),
            Direction::FromService => self.response_side(segment),
        }
    }

    /// Says what time it is on the capture's clock, so that idle flows and old holes end. Cheap enough to be called for
    /// every batch of segments: it looks at a bounded share of the flows, and at each about once a second.
    pub fn tick(&mut self, now_ns: u64) {
        let mut quota = self.flows.quota(now_ns);
        while let Some(id) = self.flows.next_due(now_ns, &mut quota) {
            if let Some(flow) = self.flows.get_mut(id) {
                let after = flow.expire(now_ns, &mut self.shared);
                self.apply(id, after);
            }
        }
    }

    /// The capture ends: drops every open request for `reason` and forgets every flow.
    pub fn finish(&mut self, reason: DropReason) {
        for mut flow in self.flows.drain() {
            flow.end(reason, &mut self.shared);
        }
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> FlowStats {
        FlowStats { flows_open: self.flows.len() as u64, ..self.shared.stats }
    }

    /// Where the requests go.
    pub fn sink(&self) -> &S {
        &self.shared.sink
    }

    /// Where the requests go.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.shared.sink
    }

    fn request_side(&mut self, segment: &Segment<'_>) {
        // With ACK it answers a connection that the service's host opened from the service port.
        let connects = segment.has(SYN) && !segment.has(ACK | RST);
        let id = match self.flows.find(&segment.flow) {
            Some(id) if connects && self.is_another_connection(id, segment) => {
                self.shared.stats.flows_reused += 1;
                self.remove(id);
                self.open(segment)
            }
            None if connects => self.open(segment),
            known => known,
        };
        let Some(id) = id else {
            self.shared.stats.unknown_segments += u64::from(!connects && segment.payload_len > 0);
            return;
        };
        if let Some(flow) = self.flows.get_mut(id) {
            let after = flow.segment(segment, &mut self.shared);
            self.apply(id, after);
        }
    }

    /// Of the service's side only the end matters. Its FIN is half a close: the client may still be sending.
    fn response_side(&mut self, segment: &Segment<'_>) {
        let Some(id) = self.flows.find(&segment.flow) else { return };
        if segment.has(RST) {
            self.remove(id);
        } else if let Some(flow) = self.flows.get_mut(id) {
            flow.seen(segment.timestamp_ns);
            self.apply(id, After::Keep);
        }
    }

    fn is_another_connection(&mut self, id: usize, syn: &Segment<'_>) -> bool {
        self.flows.get_mut(id).is_some_and(|flow| flow.isn() != Seq(syn.seq))
    }

    /// Follows the connection that `syn` opens, if there is room.
    fn open(&mut self, syn: &Segment<'_>) -> Option<usize> {
        let shared = &mut self.shared;
        let id = self.flows.insert(syn.flow, || Flow::new(syn, &shared.limits, &shared.budget));
        match id {
            Some(_) => shared.stats.flows_total += 1,
            None => shared.stats.flows_refused += 1,
        }
        id
    }

    fn apply(&mut self, id: usize, after: After) {
        match after {
            After::Keep => self.flows.update_due(id, &self.shared.limits),
            After::Remove => self.remove(id),
        }
    }

    fn remove(&mut self, id: usize) {
        if let Some(mut flow) = self.flows.remove(id) {
            flow.end(DropReason::Incomplete, &mut self.shared);
        }
    }
}

#[cfg(test)]
mod tests;
