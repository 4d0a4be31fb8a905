//! A flow's records of runs: the bytes of one, and where the next begins.

use shadow_common::{
    Resync, marks,
    tcp_flags::{RST, URG},
};

use super::{After, Flow, Phase};
use crate::{
    capture::Segment,
    ledger::DropReason,
    pipeline::{
        Shared,
        assemble::{Assemble, At},
        run::CurrentRun,
        stream::Fate,
    },
    tcp::Seq,
};

impl<A> Flow<A> {
    /// Takes a record of the run that is followed.
    pub(super) fn push<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        // Which byte an urgent pointer takes out of the stream is the receiver's choice (RFC 6093).
        if record.has(URG) && record.payload_len > 0 {
            self.forfeit(DropReason::Ambiguous, shared);
            return self.stop(Phase::Dead, shared);
        }
        let before = self.stream.reassembler.next_seq();
        let fate = self.stream.push(record, &mut self.run, shared);
        if fate == Fate::Ended && record.has(RST) {
            return After::Remove;
        }
        self.heed(fate, before, record.timestamp_ns, shared)
    }

    /// What becomes of the flow after its stream, whose next byte was the one at `before`, took something.
    pub(super) fn heed<S>(&mut self, fate: Fate, before: Seq, now_ns: u64, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        let is_switching = self.stream.decoder.is_switching();
        if is_switching {
            self.heed_declined();
        }
        // Without its answer nothing is known of what follows a request that asks for a tunnel.
        let is_over = self.stream.decoder.is_dead() || self.run.disagrees() || is_switching && !A::RESPONSES;
        match fate {
            Fate::Ended => return self.leave(shared),
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
            self.hole_since_ns = Some(now_ns);
        }
        if self.stream.is_idle() {
            let resync = self.run.resume(next);
            self.tell(resync, shared);
        }
        After::Keep
    }

    /// Whether every byte of the record was taken, although it is of a run that the flow did not enter: a request in an
    /// open run that was sent again after the kernel was told where it begins, or after what followed it was lost.
    pub(super) fn has_taken(&self, record: &Segment<'_>) -> bool {
        let (next, first) = (self.stream.reassembler.next_seq(), Seq(record.first_seq()));
        self.phase != Phase::Dead
            && next.is_after(Seq(record.run.start))
            && !(first + record.payload_len).is_after(next)
    }

    /// A later run begins.
    pub(super) fn enter<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        let start = Seq(record.run.start);
        if self.phase == Phase::Followed {
            self.close_run(start, record.run.is(marks::LOST), shared);
        }
        // Only a complete request that was not confirmed is left.
        self.drop_open(DropReason::Unconfirmed, shared);
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
    pub(super) fn close_run<S>(&mut self, next: Seq, lost: bool, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        let missing = next.ahead_of(self.stream.reassembler.next_seq());
        let at_rest = self.stream.decoder.is_idle() && !self.run.awaits_first();
        if missing < 0 || missing == 0 && !at_rest {
            // No byte is missing, and yet the kernel sees an end where the decoder sees none.
            self.drop_open(DropReason::Ambiguous, shared);
            self.settle_owed(DropReason::Ambiguous, shared);
            self.stop(Phase::Dead, shared);
        } else if !at_rest || self.stream.reassembler.is_waiting() || self.run.is_open() && lost {
            self.forfeit(if lost { DropReason::RingFull } else { DropReason::Gap }, shared);
        }
    }

    pub(super) fn confirm<S>(&mut self, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        if !self.run.is_confirmed() {
            self.run.confirm();
            let at = At::new(&self.key, self.last_seen_ns);
            self.stream.assembly.confirm(at, shared);
        }
    }

    pub(super) fn refute<S>(&mut self, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        if self.phase == Phase::Followed {
            return self.lose(DropReason::Unconfirmed, shared);
        }
        self.drop_open(DropReason::Unconfirmed, shared);
        After::Keep
    }
}
