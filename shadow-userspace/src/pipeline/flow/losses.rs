//! What is lost on a flow, and what that costs: the request that it belongs to, and the place in an open run.

use shadow_common::Resync;

use super::{After, Flow, Phase};
use crate::{
    capture::Note,
    ledger::DropReason,
    pipeline::{
        Shared,
        assemble::{Assemble, At},
    },
};

impl<A> Flow<A> {
    /// Drops the request that is under way; says whether one was.
    pub(super) fn drop_open<S>(&mut self, reason: DropReason, shared: &mut Shared<S>) -> bool
    where
        A: Assemble<S>,
    {
        let at = At::new(&self.key, self.last_seen_ns);
        self.stream.assembly.drop_open(reason, at, shared)
    }

    /// The missing bytes didn't come in time.
    pub(super) fn give_up_hole<S>(&mut self, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        self.hole_since_ns = None;
        let (before, ns) = (self.stream.reassembler.next_seq(), self.last_seen_ns);
        let fate = self.stream.give_up(At::new(&self.key, ns), &mut self.run, shared);
        self.heed(fate, before, ns, shared)
    }

    /// If records of the run were `lost`, it can't be followed; unless it is complete.
    pub(super) fn heed_loss<S>(&mut self, lost: bool, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        let is_complete = !self.run.is_open() && !self.run.awaits_first() && self.stream.is_idle();
        if lost && self.phase == Phase::Followed && !is_complete {
            self.lose(DropReason::RingFull, shared)
        } else {
            After::Keep
        }
    }

    /// Bytes of the run are missing.
    pub(super) fn lose<S>(&mut self, reason: DropReason, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        self.forfeit(reason, shared);
        self.stop(Phase::Lost, shared)
    }

    /// The open request is dropped. If none is, what the rest of an open run held is unknown.
    pub(super) fn forfeit<S>(&mut self, reason: DropReason, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        let was_open = self.drop_open(reason, shared);
        let was_owed = self.settle_owed(reason, shared);
        if self.run.is_open() && !was_open && !was_owed {
            shared.stats.flows_lost += 1;
        }
    }

    /// Drops the run's first request, if it is in the sample and nothing of it was seen; says whether.
    pub(super) fn settle_owed<S>(&mut self, reason: DropReason, shared: &mut Shared<S>) -> bool
    where
        A: Assemble<S>,
    {
        let counts = self.run.counts_next();
        let owes = self.run.owes();
        if owes {
            A::drop_unseen(At::new(&self.key, self.last_seen_ns), reason, shared);
            shared.stats.requests_framed += u64::from(counts);
        }
        owes
    }

    /// Follows the run no further, tells the kernel, and gives memory back.
    pub(super) fn stop<S>(&mut self, phase: Phase, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        shared.stats.ignored_bytes += self.stream.decoder.bytes_after_last();
        let fin_seen = self.stream.reassembler.fin_seen();
        self.stream.stop();
        self.hole_since_ns = None;
        self.phase = phase;
        // A flow that is left alone shows no responses either.
        if phase != Phase::Dead {
            self.tell(self.run.give_up(Resync::LOST), shared);
        } else if self.stream.assembly.awaits().is_none() {
            self.tell(self.run.give_up(Resync::LEAVE), shared);
        }
        if fin_seen { self.leave(shared) } else { After::Keep }
    }

    /// Says how to go on with a flow of which nothing is known any more.
    pub(super) fn be_forgotten<S>(&mut self, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        let next = self.stream.reassembler.next_seq();
        let is_known = self.stream.is_idle() && self.run.is_resumed_at(next);
        if self.phase == Phase::Followed && !is_known {
            self.tell(self.run.give_up(Resync::LOST), shared);
        } else if self.phase == Phase::Followed
            && let Some(resync) = self.run.give_up(Resync::RESUME)
        {
            let resync = Resync { next: next.0, ..resync };
            shared.notes.push(Note { flow: self.key, resync, is_forgotten: true }, self.note);
        }
    }

    pub(super) fn tell<S>(&mut self, resync: Option<Resync>, shared: &mut Shared<S>) {
        if let Some(resync) = resync {
            let note = Note { flow: self.key, resync, is_forgotten: false };
            self.note = Some(shared.notes.push(note, self.note));
        }
    }
}
