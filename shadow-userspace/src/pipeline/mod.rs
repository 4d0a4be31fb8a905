//! From segments to captured requests, or to exchanges: the flow table; of each flow one reassembler and one decoder, or
//! two where responses are followed too.
//!
//! Takes segments of both directions in capture order, each with the run that it belongs to ([`crate::capture::Run`]),
//! and the capture time; gives whole requests to a [`RequestSink`], or parts of exchanges to an [`ExchangeSink`], and
//! [`Note`]s for the source about runs whose end it can't tell. What is made of decoded parts is behind [`Assemble`].
//!
//! Keeps invariant 2 (every request of the sample is settled once: delivered, or dropped with a reason)
//! and invariant 4 (flows, bytes per flow and bytes in total are bounded, and what was refused is counted). It has no
//! clock: a capture file gives the same requests as the same traffic live.

mod assemble;
mod assembly;
mod collecting;
mod ended;
mod exchange_sink;
mod exchanges;
mod first_byte;
mod flow;
mod limits;
mod notes;
mod request;
mod responses;
mod run;
mod sampler;
mod stats;
mod stream;
mod table;

use std::sync::Arc;

use shadow_common::{
    Direction, Resync, marks,
    tcp_flags::{ACK, RST, SYN},
};

use self::{
    assemble::At,
    assembly::Assembly,
    ended::Ended,
    flow::{After, Flow},
    notes::Notes,
    run::{CurrentRun, Draw},
    table::FlowTable,
};
use crate::{
    budget::MemoryBudget,
    capture::{Note, Segment},
    ledger::{DropReason, Ledger},
    shadow::mirror::latency::Latency,
    tcp::Seq,
};

pub use assemble::Assemble;
pub use exchange_sink::{ExchangeEvent, ExchangeSink};
pub use exchanges::Exchanges;
pub use limits::PipelineLimits;
pub use request::{Admitted, CapturedRequest, RequestSink};
pub use sampler::Sampler;
pub use stats::FlowStats;

/// Follows every flow of one capture thread, for what `A` makes of it: by default, whole requests for a
/// [`RequestSink`].
#[derive(Debug)]
pub struct Pipeline<S, A = AssemblyFor<S>> {
    flows: FlowTable<A>,
    ended: Ended,
    shared: Shared<S>,
}

/// What puts requests together for a sink.
type AssemblyFor<S> = Assembly<<S as RequestSink>::Copies, <S as RequestSink>::Stream>;

/// A pipeline that follows both directions, for an [`ExchangeSink`].
pub type ExchangePipeline<S> = Pipeline<S, Exchanges<<S as ExchangeSink>::Exchange>>;

/// What all flows use.
#[derive(Debug)]
pub struct Shared<S> {
    limits: PipelineLimits,
    ledger: Ledger,
    budget: MemoryBudget,
    sampler: Sampler,
    sink: S,
    stats: FlowStats,
    notes: Notes,
    /// Of the real service, if they are measured.
    first_bytes: Option<Arc<Latency>>,
}

impl<S, A: Assemble<S>> Pipeline<S, A> {
    /// Follows nothing yet.
    #[must_use]
    pub fn new(
        limits: PipelineLimits,
        ledger: Ledger,
        budget: MemoryBudget,
        sampler: Sampler,
        sink: S,
    ) -> Self {
        let flows = FlowTable::new(limits.max_flows);
        let (stats, notes) = (FlowStats::default(), Notes::default());
        let shared = Shared { limits, ledger, budget, sampler, sink, stats, notes, first_bytes: None };
        Self { flows, ended: Ended::default(), shared }
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
            self.with_flow(Some(id), |flow, shared| flow.expire(now_ns, shared));
        }
    }

    /// The capture ends: drops every open request for `reason` and forgets every flow.
    pub fn finish(&mut self, reason: DropReason) {
        for mut flow in self.flows.drain() {
            flow.end(reason, &mut self.shared);
        }
    }

    /// Takes out what the kernel should be told, the oldest note first.
    pub fn take_notes(&mut self) -> impl Iterator<Item = Note> {
        self.shared.notes.take()
    }

    /// Of `count` sampled requests not even the beginning found room in the ring.
    pub fn count_lost(&mut self, count: u64) {
        self.shared.ledger.drop_unseen(count, DropReason::RingFull);
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> FlowStats {
        FlowStats { flows_open: self.flows.len() as u64, ..self.shared.stats }
    }

    /// Records the real service's times to first byte in `times` from now on: from a request's last byte to its answer's
    /// first, as they were captured. The source must tell of answers ([`crate::capture::LiveOptions::report_answers`]).
    pub fn measure_first_bytes(&mut self, times: Arc<Latency>) {
        self.shared.first_bytes = Some(times);
    }

    /// Where the requests go.
    pub fn sink(&self) -> &S {
        &self.shared.sink
    }

    /// Where the requests go.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.shared.sink
    }

    /// Where the requests went.
    pub fn into_sink(self) -> S {
        self.shared.sink
    }

    fn request_side(&mut self, segment: &Segment<'_>) {
        // With ACK it answers a connection that the service's host opened from the service port.
        let connects = segment.has(SYN) && !segment.has(ACK | RST);
        let mut known = self.flows.find(&segment.flow);
        if let Some(id) = known
            && self.flows.get_mut(id).is_some_and(|flow| match connects {
                true => !flow.is_in_run(segment),
                false => flow.is_behind(segment),
            })
        {
            self.shared.stats.flows_reused += 1;
            self.remove(id, DropReason::Incomplete);
            known = None;
        }
        if segment.run.has_payload() && !segment.run.is(marks::CONFIRMED | marks::REFUTED) {
            let id = known.or_else(|| self.open(segment));
            if self.with_flow(id, |flow, shared| flow.segment(segment, shared)) == After::Remove {
                self.ended.add(segment.flow, segment.run.start, segment.timestamp_ns);
            }
        } else if known.is_none() {
            self.shared.stats.unknown_segments += u64::from(segment.payload_len > 0);
        } else {
            self.news(known, segment);
        }
    }

    /// A FIN of the service's side is half a close: the client may still be sending.
    fn response_side(&mut self, segment: &Segment<'_>) {
        let known = self.flows.find(&segment.flow);
        self.news(known, segment);
    }

    /// A record that is no part of a run.
    fn news(&mut self, known: Option<usize>, record: &Segment<'_>) {
        let Some(id) = known else { return };
        let Some(run) = self.flows.get_mut(id).map(|flow| flow.run_start()) else { return };
        if record.has(RST) {
            self.ended.add(record.flow, run, record.timestamp_ns);
            let lost = record.run.is(marks::LOST);
            self.remove(id, if lost { DropReason::RingFull } else { DropReason::Incomplete });
        } else if self.with_flow(known, |flow, shared| flow.news(record, shared)) == After::Remove {
            self.ended.add(record.flow, run, record.timestamp_ns);
        }
    }

    /// Follows the flow of which `record` is the first, if there is room.
    fn open(&mut self, record: &Segment<'_>) -> Option<usize> {
        let shared = &mut self.shared;
        if record.payload_len == 0 {
            return None;
        }
        if self.ended.has(record.flow, record.run.start) {
            shared.stats.repeated_segments += 1;
            shared.decline(record);
            return None;
        }
        let id = self
            .flows
            .insert(record.flow, || Flow::new(record, A::RESPONSES, &shared.limits, &shared.budget));
        if id.is_some() {
            shared.stats.flows_total += 1;
            return id;
        }
        shared.decline(record);
        if Seq(record.first_seq()).is_after(Seq(record.run.start)) {
            shared.stats.unknown_segments += 1;
        } else {
            shared.refuse::<A>(record);
            self.ended.add(record.flow, record.run.start, record.timestamp_ns);
        }
        None
    }

    fn with_flow(
        &mut self,
        id: Option<usize>,
        take: impl FnOnce(&mut Flow<A>, &mut Shared<S>) -> After,
    ) -> After {
        let Some((id, flow)) = id.and_then(|id| Some((id, self.flows.get_mut(id)?))) else {
            return After::Keep;
        };
        let after = take(flow, &mut self.shared);
        match after {
            After::Keep => self.flows.update_due(id, &self.shared.limits),
            After::Remove => self.remove(id, DropReason::Incomplete),
        }
        after
    }

    fn remove(&mut self, id: usize, reason: DropReason) {
        if let Some(mut flow) = self.flows.remove(id) {
            flow.end(reason, &mut self.shared);
        }
    }
}

impl<S> Shared<S> {
    /// Settles the first request of a run that isn't followed, as there is no room for its flow.
    fn refuse<A: Assemble<S>>(&mut self, record: &Segment<'_>) {
        self.stats.flows_refused += 1;
        if record.run.is(marks::SAMPLED) {
            self.stats.requests_framed += u64::from(record.run.is(marks::OPEN));
            let at = At::new(&record.flow, record.timestamp_ns);
            A::drop_unseen(at, DropReason::FlowLimit, self);
        }
    }

    /// Says whether the request that begins is in the sample, and counts it.
    fn draw(&mut self, at: At<'_>, run: &mut CurrentRun) -> Draw {
        let counts = run.counts_next();
        let draw = run.draw(at.flow, &mut self.sampler);
        self.stats.requests_framed += u64::from(counts && draw != Draw::Ignored);
        self.stats.requests_passed += u64::from(draw == Draw::Passed);
        draw
    }

    /// Tells the kernel, if the run of `record` is open, that nobody follows it.
    fn decline(&mut self, record: &Segment<'_>) {
        if let Some(resync) = CurrentRun::new(record.run).give_up(Resync::LOST) {
            self.notes.push(Note { flow: record.flow, resync, is_forgotten: false }, None);
        }
    }
}

#[cfg(test)]
mod tests;
