//! The run that a flow is in: the bytes from a request start that the kernel is sure of to the next.
//!
//! Takes the marks of the flow's records; says where a record belongs, and of each request that begins whether it is in
//! the sample. Keeps invariant 2 for requests of which nothing was seen: the first of a sampled run is
//! [owed](CurrentRun::owes) an outcome until it begins.

use shadow_common::{FlowKey, Resync, marks};

use super::Sampler;
use crate::{
    capture::{Run, Segment},
    tcp::Seq,
};

#[derive(Debug)]
pub struct CurrentRun {
    start: Seq,
    /// Whether more may follow in the run than one request of which the kernel knows the end.
    open: bool,
    /// Whether the kernel read the first request's framing, and counted it.
    first_framed: bool,
    requests: Requests,
    /// How many of them began since that was asked; so many or more.
    begun_count: u8,
    /// Whether its start is believed.
    confirmed: bool,
    /// Whether a record of it was taken.
    touched: bool,
    /// Whether one of them has its first byte.
    begun: bool,
    /// Where the kernel was told last that the next request begins.
    resumed_at: Seq,
}

/// The requests that the run had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requests {
    /// The first is to come.
    None { sampled: bool },
    /// One; in an open run any number.
    Some,
    /// Two, where the kernel knows of one.
    TooMany,
}

/// Which run a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Earlier,
    Current,
    Later,
}

/// What becomes of a request that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    Sampled,
    /// It is not in the sample.
    Passed,
    /// By what the kernel knows there is none here.
    Disagrees,
    /// After a disagreement nothing is believed.
    Ignored,
}

impl CurrentRun {
    pub(super) fn new(run: Run) -> Self {
        Self {
            start: Seq(run.start),
            open: run.is(marks::OPEN),
            first_framed: !run.is(marks::OPEN),
            requests: Requests::None { sampled: run.is(marks::SAMPLED) },
            begun_count: 0,
            confirmed: !run.is(marks::UNCONFIRMED),
            touched: false,
            begun: false,
            resumed_at: Seq(run.start),
        }
    }

    pub(super) fn start(&self) -> Seq {
        self.start
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(super) fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Whether the request that begins next, or doesn't begin, is one that the kernel didn't count.
    pub(super) fn counts_next(&self) -> bool {
        !(self.awaits_first() && self.first_framed)
    }

    /// Whether no request began yet.
    pub(super) fn awaits_first(&self) -> bool {
        matches!(self.requests, Requests::None { .. })
    }

    /// How many requests began since this was asked last; or the most that the number can say.
    pub(super) fn take_begun_count(&mut self) -> u8 {
        std::mem::take(&mut self.begun_count)
    }

    /// Whether more requests began than the kernel knows of.
    pub(super) fn disagrees(&self) -> bool {
        self.requests == Requests::TooMany
    }

    /// Whether the first request is in the sample and did not begin yet; if so it is to be settled now, and only now.
    ///
    /// Of a request that the kernel framed it counts as lost what never arrived. So where the beginning is missing, the
    /// request was settled when its flow was forgotten, in the midst of it.
    pub(super) fn owes(&mut self) -> bool {
        let is_ours = self.begun || !self.first_framed;
        let owes = is_ours && self.requests == Requests::None { sampled: true };
        self.requests = if owes { Requests::Some } else { self.requests };
        owes
    }

    pub(super) fn place(&self, run: Run) -> Place {
        match Seq(run.start).ahead_of(self.start) {
            0 => Place::Current,
            ..0 => Place::Earlier,
            1.. => Place::Later,
        }
    }

    /// Takes note of a record of this run; says whether bytes of the run were lost before it. At the run's beginning
    /// [`marks::LOST`] is about what came before. The kernel may open the run on the way, where a segment reaches over
    /// the end of its request.
    pub(super) fn lost_before(&mut self, record: &Segment<'_>) -> bool {
        let has_start = !Seq(record.first_seq()).is_after(self.start);
        let begins_it = !self.touched && has_start;
        self.touched = true;
        self.begun |= has_start;
        self.open |= record.run.is(marks::OPEN);
        record.run.is(marks::LOST) && !begins_it
    }

    /// A request begins.
    pub(super) fn draw(&mut self, flow: &FlowKey, sampler: &mut Sampler) -> Draw {
        self.begun_count = self.begun_count.saturating_add(1);
        let sampled = match self.requests {
            Requests::None { sampled } => sampled,
            Requests::Some if self.open => sampler.draw(flow),
            Requests::Some => {
                self.requests = Requests::TooMany;
                return Draw::Disagrees;
            }
            Requests::TooMany => return Draw::Ignored,
        };
        self.requests = Requests::Some;
        if sampled { Draw::Sampled } else { Draw::Passed }
    }

    /// What to tell the kernel once every request so far ended at `next`; nothing if it was told already.
    pub(super) fn resume(&mut self, next: Seq) -> Option<Resync> {
        if !self.open || self.awaits_first() || self.resumed_at == next {
            return None;
        }
        self.resumed_at = next;
        Some(Resync { run: self.start.0, next: next.0, what: Resync::RESUME })
    }

    /// Whether the kernel was told that the next request begins at `next`.
    pub(super) fn is_resumed_at(&self, next: Seq) -> bool {
        !self.awaits_first() && self.resumed_at == next
    }

    /// A note about the run, if it is open; `what` is [`Resync::LEAVE`] or [`Resync::LOST`].
    pub(super) fn give_up(&self, what: u32) -> Option<Resync> {
        self.open.then_some(Resync { run: self.start.0, next: 0, what })
    }
}
