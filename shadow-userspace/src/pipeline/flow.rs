//! One flow: from run to run, its segments to the stream, until it ends or can't be followed.
//!
//! Keeps invariant 3 where runs meet: what the kernel says of a request's end and what the decoder sees must agree, or
//! nothing on the flow is believed any more.

use std::time::Duration;

use shadow_common::{
    FlowKey, Resync, marks,
    tcp_flags::{FIN, RST, URG},
};

use super::{
    PipelineLimits, RequestSink, Shared,
    notes::{Note, NoteId},
    run::{CurrentRun, Place},
    stream::{Fate, Stream},
};
use crate::{budget::MemoryBudget, capture::Segment, ledger::DropReason, tcp::Seq};

/// What processors saw at times that differ by more isn't late, but later.
const REORDERING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Flow {
    key: FlowKey,
    last_seen_ns: u64,
    /// Since when the stream waits for the same missing byte.
    hole_since_ns: Option<u64>,
    run: CurrentRun,
    phase: Phase,
    stream: Stream,
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

impl Flow {
    /// The flow whose first record is `record`, which is still to be taken.
    pub(super) fn new(record: &Segment<'_>, limits: &PipelineLimits, budget: &MemoryBudget) -> Self {
        let run = CurrentRun::new(record.run);
        let stream = Stream::new(run.start(), limits, budget);
        let last_seen_ns = record.timestamp_ns;
        Self {
            key: record.flow,
            last_seen_ns,
            hole_since_ns: None,
            run,
            phase: Phase::Followed,
            stream,
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
        self.hole_since_ns.map_or(idle, |since| idle.min(after(since, limits.hole_timeout)))
    }

    /// Takes a record of a run.
    pub(super) fn segment<S: RequestSink>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After {
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
                return after_end_of(record);
            }
            Place::Later => self.enter(record, shared),
        }
        self.seen(record.timestamp_ns);
        let lost = self.run.lost_before(record);
        if self.heed_loss(lost, shared) == After::Remove {
            return After::Remove;
        }
        if self.phase == Phase::Followed {
            return self.push(record, shared);
        }
        // The kernel goes on drawing for what it can frame.
        if self.phase == Phase::Dead && !self.run.is_open() {
            self.settle_owed(DropReason::Ambiguous, shared);
        }
        shared.stats.ignored_bytes += u64::from(record.payload_len);
        after_end_of(record)
    }

    /// Takes a record without payload, and what it says of the flow's run.
    pub(super) fn news<S: RequestSink>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After {
        self.seen(record.timestamp_ns);
        if self.run.place(record.run) == Place::Current {
            if record.run.is(marks::CONFIRMED) {
                self.confirm(shared);
            } else if record.run.is(marks::REFUTED) && !self.run.is_confirmed() {
                return self.refute(shared);
            }
        }
        self.heed_loss(record.run.is(marks::LOST), shared)
    }

    /// Ends what waited too long.
    pub(super) fn expire<S: RequestSink>(&mut self, now_ns: u64, shared: &mut Shared<S>) -> After {
        if after(self.last_seen_ns, shared.limits.idle_timeout) <= now_ns {
            shared.stats.flows_evicted += 1;
            let resumed = self.stream.is_idle() && self.run.is_resumed_at(self.stream.reassembler.next_seq());
            if self.phase == Phase::Followed && !resumed {
                self.tell(self.run.give_up(Resync::LOST), shared);
            }
            return After::Remove;
        }
        match self.hole_since_ns {
            Some(since) if after(since, shared.limits.hole_timeout) <= now_ns => {
                shared.stats.holes_timed_out += 1;
                self.lose(DropReason::Gap, shared)
            }
            _ => After::Keep,
        }
    }

    /// The flow ends; a request that is open is dropped.
    pub(super) fn end<S: RequestSink>(&mut self, reason: DropReason, shared: &mut Shared<S>) {
        self.stream.assembly.drop_open(reason);
        if self.phase == Phase::Followed {
            shared.stats.ignored_bytes += self.stream.decoder.bytes_after_last();
            // What the kernel couldn't read either, and what ended before its method, was no request.
            if !self.run.is_open() || self.stream.reassembler.is_waiting() {
                self.settle_owed(reason, shared);
            }
        }
    }

    fn seen(&mut self, timestamp_ns: u64) {
        self.last_seen_ns = self.last_seen_ns.max(timestamp_ns);
    }

    fn push<S: RequestSink>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After {
        // Which byte an urgent pointer takes out of the stream is the receiver's choice (RFC 6093).
        if record.has(URG) && record.payload_len > 0 {
            self.forfeit(DropReason::Ambiguous, shared);
            return self.stop(Phase::Dead, shared);
        }
        let before = self.stream.reassembler.next_seq();
        let fate = self.stream.push(record, &mut self.run, shared);
        let is_over = self.stream.decoder.is_dead() || self.run.disagrees();
        match fate {
            Fate::Ended => return After::Remove,
            _ if is_over => {
                // The kernel read a request where the decoder sees none.
                if !self.run.is_open() {
                    self.settle_owed(DropReason::Ambiguous, shared);
                }
                return self.stop(Phase::Dead, shared);
            }
            Fate::Lost(reason) => return self.lose(reason, shared),
            Fate::Goes => {}
        }
        let next = self.stream.reassembler.next_seq();
        if !self.stream.reassembler.is_waiting() {
            self.hole_since_ns = None;
        } else if next != before || self.hole_since_ns.is_none() {
            self.hole_since_ns = Some(record.timestamp_ns);
        }
        if self.stream.is_idle() {
            let resync = self.run.resume(next);
            self.tell(resync, shared);
        }
        After::Keep
    }

    /// Whether every byte of the record was taken, although it is of a run that the flow did not enter: a request in an
    /// open run that was sent again after the kernel was told where it begins, or after what followed it was lost.
    fn has_taken(&self, record: &Segment<'_>) -> bool {
        let (next, first) = (self.stream.reassembler.next_seq(), Seq(record.first_seq()));
        self.phase != Phase::Dead
            && next.is_after(Seq(record.run.start))
            && !(first + record.payload_len).is_after(next)
    }

    /// A later run begins.
    fn enter<S: RequestSink>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) {
        let start = Seq(record.run.start);
        if self.phase == Phase::Followed {
            self.close_run(start, record.run.is(marks::LOST), shared);
        }
        // Only a complete request that was not confirmed is left.
        self.stream.assembly.drop_open(DropReason::Unconfirmed);
        self.run = CurrentRun::new(record.run);
        self.hole_since_ns = None;
        if self.phase == Phase::Dead {
            self.tell(self.run.give_up(Resync::LEAVE), shared);
        } else {
            self.stream.restart(start);
            self.phase = Phase::Followed;
        }
    }

    /// The next run begins at `next`: what is open in this one can't be completed.
    fn close_run<S: RequestSink>(&mut self, next: Seq, lost: bool, shared: &mut Shared<S>) {
        let missing = next.ahead_of(self.stream.reassembler.next_seq());
        let at_rest = self.stream.decoder.is_idle() && !self.run.awaits_first();
        if missing < 0 || missing == 0 && !at_rest {
            // No byte is missing, and yet the kernel sees an end where the decoder sees none.
            self.stream.assembly.drop_open(DropReason::Ambiguous);
            self.settle_owed(DropReason::Ambiguous, shared);
            self.stop(Phase::Dead, shared);
        } else if !at_rest || self.stream.reassembler.is_waiting() || self.run.is_open() && lost {
            self.forfeit(if lost { DropReason::RingFull } else { DropReason::Gap }, shared);
        }
    }

    fn confirm<S: RequestSink>(&mut self, shared: &mut Shared<S>) {
        if !self.run.is_confirmed() {
            self.run.confirm();
            self.stream.assembly.confirm(self.key, shared);
        }
    }

    fn refute<S: RequestSink>(&mut self, shared: &mut Shared<S>) -> After {
        if self.phase == Phase::Followed {
            return self.lose(DropReason::Unconfirmed, shared);
        }
        self.stream.assembly.drop_open(DropReason::Unconfirmed);
        After::Keep
    }

    /// If records of the run were `lost`, it can't be followed; unless it is complete.
    fn heed_loss<S: RequestSink>(&mut self, lost: bool, shared: &mut Shared<S>) -> After {
        let is_complete = !self.run.is_open() && !self.run.awaits_first() && self.stream.is_idle();
        if lost && self.phase == Phase::Followed && !is_complete {
            self.lose(DropReason::RingFull, shared)
        } else {
            After::Keep
        }
    }

    /// Bytes of the run are missing.
    fn lose<S: RequestSink>(&mut self, reason: DropReason, shared: &mut Shared<S>) -> After {
        self.forfeit(reason, shared);
        self.stop(Phase::Lost, shared)
    }

    /// The open request is dropped. If none is, what the rest of an open run held is unknown.
    fn forfeit<S: RequestSink>(&mut self, reason: DropReason, shared: &mut Shared<S>) {
        let was_open = self.stream.assembly.drop_open(reason);
        let was_owed = self.settle_owed(reason, shared);
        if self.run.is_open() && !was_open && !was_owed {
            shared.stats.flows_lost += 1;
        }
    }

    /// Drops the run's first request, if it is in the sample and nothing of it was seen; says whether.
    fn settle_owed<S: RequestSink>(&mut self, reason: DropReason, shared: &mut Shared<S>) -> bool {
        let counts = self.run.counts_next();
        let owes = self.run.owes();
        if owes {
            shared.ledger.drop_unseen(1, reason);
            shared.stats.requests_framed += u64::from(counts);
        }
        owes
    }

    /// Follows the run no further, tells the kernel, and gives memory back.
    fn stop<S: RequestSink>(&mut self, phase: Phase, shared: &mut Shared<S>) -> After {
        shared.stats.ignored_bytes += self.stream.decoder.bytes_after_last();
        let fin_seen = self.stream.reassembler.fin_seen();
        self.stream.stop();
        self.hole_since_ns = None;
        self.phase = phase;
        let what = if phase == Phase::Dead { Resync::LEAVE } else { Resync::LOST };
        self.tell(self.run.give_up(what), shared);
        if fin_seen { After::Remove } else { After::Keep }
    }

    fn tell<S>(&mut self, resync: Option<Resync>, shared: &mut Shared<S>) {
        if let Some(resync) = resync {
            self.note = Some(shared.notes.push(Note { flow: self.key, resync }, self.note));
        }
    }
}

/// What becomes of a flow that isn't followed when it sends `record`.
fn after_end_of(record: &Segment<'_>) -> After {
    if record.has(FIN | RST) { After::Remove } else { After::Keep }
}

fn after(time_ns: u64, wait: Duration) -> u64 {
    time_ns.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}
