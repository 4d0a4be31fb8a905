//! One flow: its request direction from segments to requests, until it ends or can't be followed.

use std::time::Duration;

use shadow_common::{
    FlowKey,
    tcp_flags::{FIN, RST},
};

use super::{PipelineLimits, RequestSink, Shared, assembly::Assembly};
use crate::{
    budget::{MemoryBudget, Reservation},
    capture::Segment,
    http::RequestDecoder,
    ledger::DropReason,
    tcp::{Reassembler, Seq, StreamEvent},
};

#[derive(Debug)]
pub(super) struct Flow {
    key: FlowKey,
    isn: Seq,
    last_seen_ns: u64,
    /// Since when the stream waits for the same missing byte.
    hole_since_ns: Option<u64>,
    /// `None` once it isn't followed any more; the flow then only waits for its end.
    stream: Option<Stream>,
}

/// The request direction of a flow that is followed.
#[derive(Debug)]
struct Stream {
    reassembler: Reassembler,
    decoder: RequestDecoder,
    assembly: Assembly,
    /// For what the reassembler and the decoder hold.
    held: Reservation,
}

/// Whether the table keeps the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Remove,
}

/// Whether the stream goes on.
enum Fate {
    Goes,
    Ended,
    Lost(DropReason),
}

impl Flow {
    /// The connection that `syn` opens. The SYN itself is still to be pushed: it may carry data.
    pub(super) fn new(syn: &Segment<'_>, limits: &PipelineLimits, budget: &MemoryBudget) -> Self {
        let isn = Seq(syn.seq);
        let stream = Stream {
            reassembler: Reassembler::new(isn, limits.reassembly),
            decoder: RequestDecoder::new(limits.decoder),
            assembly: Assembly::None,
            held: budget.reservation(),
        };
        Self { key: syn.flow, isn, last_seen_ns: syn.timestamp_ns, hole_since_ns: None, stream: Some(stream) }
    }

    pub(super) fn key(&self) -> &FlowKey {
        &self.key
    }

    pub(super) fn isn(&self) -> Seq {
        self.isn
    }

    /// A segment of either direction was seen.
    pub(super) fn seen(&mut self, timestamp_ns: u64) {
        self.last_seen_ns = self.last_seen_ns.max(timestamp_ns);
    }

    /// When [`Self::expire`] has something to do, if nothing comes before.
    pub(super) fn due_ns(&self, limits: &PipelineLimits) -> u64 {
        let idle = after(self.last_seen_ns, limits.idle_timeout);
        self.hole_since_ns.map_or(idle, |since| idle.min(after(since, limits.hole_timeout)))
    }

    /// Takes a segment of the request direction.
    pub(super) fn segment<S: RequestSink>(&mut self, segment: &Segment<'_>, shared: &mut Shared<S>) -> After {
        self.seen(segment.timestamp_ns);
        let Some(stream) = &mut self.stream else {
            shared.stats.ignored_bytes += u64::from(segment.payload_len);
            return if segment.has(FIN | RST) { After::Remove } else { After::Keep };
        };
        let next = stream.reassembler.next_seq();
        match stream.push(segment, shared) {
            Fate::Goes if !stream.decoder.is_dead() => {
                if !stream.reassembler.is_waiting() {
                    self.hole_since_ns = None;
                } else if stream.reassembler.next_seq() != next || self.hole_since_ns.is_none() {
                    self.hole_since_ns = Some(segment.timestamp_ns);
                }
                After::Keep
            }
            Fate::Ended => After::Remove,
            Fate::Goes => self.ignore(shared),
            Fate::Lost(reason) => {
                stream.lose(reason, shared);
                self.ignore(shared)
            }
        }
    }

    /// Ends what waited too long.
    pub(super) fn expire<S: RequestSink>(&mut self, now_ns: u64, shared: &mut Shared<S>) -> After {
        if after(self.last_seen_ns, shared.limits.idle_timeout) <= now_ns {
            shared.stats.flows_evicted += 1;
            return After::Remove;
        }
        match (self.hole_since_ns, &mut self.stream) {
            (Some(since), Some(stream)) if after(since, shared.limits.hole_timeout) <= now_ns => {
                shared.stats.holes_timed_out += 1;
                stream.lose(DropReason::Gap, shared);
                self.ignore(shared)
            }
            _ => After::Keep,
        }
    }

    /// The flow ends; a request that is open is dropped.
    pub(super) fn end<S: RequestSink>(&mut self, reason: DropReason, shared: &mut Shared<S>) {
        if let Some(mut stream) = self.stream.take() {
            shared.stats.ignored_bytes += stream.decoder.bytes_after_last();
            stream.assembly.drop_open(reason);
        }
    }

    /// Follows the stream no further and gives its memory back.
    fn ignore<S: RequestSink>(&mut self, shared: &mut Shared<S>) -> After {
        let fin_seen = self.stream.as_ref().is_some_and(|stream| stream.reassembler.fin_seen());
        self.hole_since_ns = None;
        self.end(DropReason::Incomplete, shared);
        if fin_seen { After::Remove } else { After::Keep }
    }
}

impl Stream {
    fn push<S: RequestSink>(&mut self, segment: &Segment<'_>, shared: &mut Shared<S>) -> Fate {
        let Self { reassembler, decoder, assembly, held } = self;
        let mut fate = Fate::Goes;
        let placement = reassembler.push(segment, |event| match event {
            StreamEvent::Data(bytes) => {
                decoder.push(bytes, |event| {
                    assembly.event(event, segment.flow, segment.timestamp_ns, shared);
                });
            }
            StreamEvent::Gap => fate = Fate::Lost(DropReason::Gap),
            StreamEvent::Conflict => {
                shared.stats.overlaps_differing += 1;
                fate = Fate::Lost(DropReason::Ambiguous);
            }
            StreamEvent::End(_) => fate = Fate::Ended,
        });
        shared.stats.count_placement(placement);
        if matches!(fate, Fate::Goes) && held.resize(reassembler.memory() + decoder.memory()).is_err() {
            fate = Fate::Lost(DropReason::MemoryLimit);
        }
        fate
    }

    /// The stream can't be followed: the open request is dropped. If none is, what the rest of the flow held is unknown,
    /// unless the decoder was done with it anyway.
    fn lose<S>(&mut self, reason: DropReason, shared: &mut Shared<S>) {
        if !self.assembly.drop_open(reason) && !self.decoder.is_dead() {
            shared.stats.flows_lost += 1;
        }
    }
}

fn after(time_ns: u64, wait: Duration) -> u64 {
    time_ns.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}
