//! One flow: from run to run, its segments to the stream, until it ends or can't be followed.
//!
//! Keeps invariant 3 where runs meet: what the kernel says of a request's end and what the decoder sees must agree, or
//! nothing on the flow is believed any more.

use std::time::Duration;

use shadow_common::{
    Direction, FlowKey, marks,
    tcp_flags::{FIN, RST},
};

mod losses;
mod responses;
mod runs;

use super::{
    PipelineLimits, Shared,
    assemble::{Assemble, At},
    first_byte::FirstByte,
    notes::NoteId,
    responses::Responses,
    run::{CurrentRun, Place},
    stream::Stream,
};
use crate::{budget::MemoryBudget, capture::Segment, ledger::DropReason};

/// What processors saw at times that differ by more isn't late, but later.
const REORDERING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Flow<A> {
    key: FlowKey,
    last_seen_ns: u64,
    /// Since when the stream waits for the same missing byte.
    hole_since_ns: Option<u64>,
    run: CurrentRun,
    phase: Phase,
    stream: Stream<A>,
    /// If they are followed.
    responses: Option<Box<Responses>>,
    /// Whether the flow only waits for the responses to what was requested.
    leaving: bool,
    /// If it is measured.
    first_byte: Option<Box<FirstByte>>,
    /// The latest note to the kernel.
    note: Option<NoteId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Followed,
    /// Bytes of the run are missing: the next run is followed again.
    Lost,
    /// Nothing more is followed: after the last request, a failure, or in another protocol.
    Dead,
}

/// Whether the table keeps the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Remove,
}

impl<A> Flow<A> {
    /// The flow whose first record is `record`, which is still to be taken; with or without its responses.
    pub(super) fn new(
        record: &Segment<'_>,
        responses: bool,
        limits: &PipelineLimits,
        budget: &MemoryBudget,
    ) -> Self
    where
        A: Default,
    {
        let run = CurrentRun::new(record.run);
        let stream = Stream::new(run.start(), limits, budget);
        let responses = responses.then(|| Box::new(Responses::new(limits, budget)));
        let last_seen_ns = record.timestamp_ns;
        Self {
            key: record.flow,
            last_seen_ns,
            hole_since_ns: None,
            run,
            phase: Phase::Followed,
            stream,
            responses,
            leaving: false,
            first_byte: None,
            note: None,
        }
    }

    pub(super) fn key(&self) -> &FlowKey {
        &self.key
    }

    /// Where the run begins that the flow is in.
    pub(super) fn run_start(&self) -> u32 {
        self.run.start().0
    }

    /// Whether `record` belongs to the run that the flow is in.
    pub(super) fn is_in_run(&self, record: &Segment<'_>) -> bool {
        record.run.has_payload() && self.run.place(record.run) == Place::Current
    }

    /// Whether `record` is of a run that the flow can't reach from its own: it seems to be an earlier one, but is too late
    /// for that. So the ports were used again unseen, or between two runs were gigabytes that aren't in the sample.
    pub(super) fn is_behind(&self, record: &Segment<'_>) -> bool {
        let seems_earlier = record.run.has_payload() && self.run.place(record.run) == Place::Earlier;
        let is_late = after(self.last_seen_ns, REORDERING) < record.timestamp_ns;
        seems_earlier && is_late && self.phase != Phase::Dead
    }

    /// When [`Self::expire`] has something to do, if nothing comes before.
    pub(super) fn due_ns(&self, limits: &PipelineLimits) -> u64 {
        let idle = after(self.last_seen_ns, limits.idle_timeout);
        let response_hole = self.responses.as_ref().and_then(|responses| responses.hole_since_ns());
        let holes = self.hole_since_ns.into_iter().chain(response_hole);
        holes.map(|since| after(since, limits.hole_timeout)).fold(idle, u64::min)
    }

    /// Takes a record of a run.
    pub(super) fn segment<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        match self.run.place(record.run) {
            // Late: it doesn't keep the flow alive either, because its ports may have been used again unseen.
            Place::Earlier => {
                shared.stats.repeated_segments += 1;
                return self.heed_loss(record.run.is(marks::LOST), shared);
            }
            Place::Current if record.run.is(marks::UNCONFIRMED) => {}
            Place::Current => self.confirm(shared),
            Place::Later if self.has_taken(record) => {
                shared.stats.repeated_segments += 1;
                return self.after_end_of(record, shared);
            }
            Place::Later => self.enter(record, shared),
        }
        self.seen(record.timestamp_ns);
        self.tell_responses(record, shared);
        let lost = self.run.lost_before(record);
        if self.heed_loss(lost, shared) == After::Remove {
            return After::Remove;
        }
        if self.phase == Phase::Followed {
            let after = self.push(record, shared);
            self.measure(record, shared);
            return after;
        }
        // The kernel goes on drawing for what it can frame.
        if self.phase == Phase::Dead && !self.run.is_open() {
            self.settle_owed(DropReason::Ambiguous, shared);
        }
        shared.stats.ignored_bytes += u64::from(record.payload_len);
        self.after_end_of(record, shared)
    }

    /// Takes a record that is no part of a run, and what it says of the flow's run.
    pub(super) fn news<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        self.seen(record.timestamp_ns);
        if self.run.place(record.run) == Place::Current {
            if record.run.is(marks::CONFIRMED) {
                self.confirm(shared);
            } else if record.run.is(marks::REFUTED)
                && !self.run.is_confirmed()
                && self.refute(shared) == After::Remove
            {
                return After::Remove;
            }
        }
        if self.heed_loss(record.run.is(marks::LOST), shared) == After::Remove {
            return After::Remove;
        }
        if record.run.is(marks::ANSWERED) {
            self.answered(record, shared);
            return After::Keep;
        }
        match record.direction {
            Direction::ToService => {
                self.tell_responses(record, shared);
                if record.has(FIN) { self.leave(shared) } else { After::Keep }
            }
            Direction::FromService => self.service_side(record, shared),
        }
    }

    /// Ends what waited too long.
    pub(super) fn expire<S>(&mut self, now_ns: u64, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        if after(self.last_seen_ns, shared.limits.idle_timeout) <= now_ns {
            shared.stats.flows_evicted += 1;
            self.be_forgotten(shared);
            return After::Remove;
        }
        let is_over = |since| after(since, shared.limits.hole_timeout) <= now_ns;
        if self.hole_since_ns.is_some_and(is_over) {
            shared.stats.holes_timed_out += 1;
            return self.give_up_hole(shared);
        }
        if let Some(responses) = &mut self.responses
            && responses.hole_since_ns().is_some_and(is_over)
        {
            shared.stats.holes_timed_out += 1;
            let at = At::new(&self.key, self.last_seen_ns);
            responses.give_up(at, &mut self.stream.assembly, shared);
            return self.after_responses();
        }
        After::Keep
    }

    /// The flow ends; what is open is dropped.
    pub(super) fn end<S>(&mut self, reason: DropReason, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        self.end_requests(reason, shared);
        let at = At::new(&self.key, self.last_seen_ns);
        self.stream.assembly.no_more_responses(reason, at, shared);
    }

    /// No more requests come.
    fn end_requests<S>(&mut self, reason: DropReason, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        self.drop_open(reason, shared);
        if self.phase == Phase::Followed {
            shared.stats.ignored_bytes += self.stream.decoder.bytes_after_last();
            // What the kernel couldn't read either, and what ended before its method, was no request.
            if !self.run.is_open() || self.stream.reassembler.is_waiting() {
                self.settle_owed(reason, shared);
            }
        }
    }

    /// The client sends nothing more: the flow is over, once the responses that are awaited came.
    fn leave<S>(&mut self, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        if self.stream.assembly.awaits().is_none() {
            return After::Remove;
        }
        if !self.leaving {
            self.end_requests(DropReason::Incomplete, shared);
            self.stream.stop();
            self.hole_since_ns = None;
            self.phase = Phase::Dead;
            self.leaving = true;
        }
        self.after_responses()
    }

    /// What becomes of a flow that isn't followed when it sends `record`.
    fn after_end_of<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        match record.has(RST) {
            true => After::Remove,
            false if record.has(FIN) => self.leave(shared),
            false => After::Keep,
        }
    }

    fn seen(&mut self, timestamp_ns: u64) {
        self.last_seen_ns = self.last_seen_ns.max(timestamp_ns);
    }
}

fn after(time_ns: u64, wait: Duration) -> u64 {
    time_ns.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}
