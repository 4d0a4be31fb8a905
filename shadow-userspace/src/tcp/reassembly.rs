//! Reassembly of one direction of a flow: segments in, [`StreamEvent`]s out.
//!
//! Takes segments as they were captured: reordered, repeated, overlapping, cut short. Gives the bytes in order, each
//! once, straight from the segment where nothing is missing before it (no copy, no allocation). Keeps invariant 3:
//! between two events everything is contiguous, what is missing is a [`StreamEvent::Gap`] of that length, behind which
//! nothing comes unless the owner asks for it, and what was sent twice and differently is a [`StreamEvent::Conflict`].

use shadow_common::tcp_flags::{FIN, RST};

use super::{
    End, Placement, ReassemblyLimits, Seq, Standing, StreamEvent,
    history::History,
    part::{MAX_WINDOW, Part, window_end},
    stored::{Stored, first_bytes, length},
};
use crate::capture::Segment;

/// One direction of a flow.
#[derive(Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    /// The byte that is delivered next.
    next: Seq,
    /// Where the sender's FIN lies: one past the last byte.
    fin: Option<Seq>,
    state: State,
    stored: Stored,
    history: History,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The bytes between `from` and `next` are a gap that the owner was told of. What isn't here before `lost_to` won't
    /// come either.
    AtGap {
        from: Seq,
        lost_to: Seq,
    },
    /// Nothing more is delivered.
    Over,
}

impl Reassembler {
    /// The part of the direction that begins with the byte at `first`; what lies before it is not delivered.
    #[must_use]
    pub fn new(first: Seq, limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            next: first,
            fin: None,
            state: State::Open,
            stored: Stored::default(),
            history: History::default(),
        }
    }

    /// Begins anew with the byte at `first`, whatever happened before.
    pub fn restart(&mut self, first: Seq) {
        *self = Self::new(first, self.limits);
    }

    /// Takes nothing more, and gives memory back.
    pub fn stop(&mut self) {
        self.state = State::Over;
        self.stored.clear();
        self.history.clear();
    }

    /// Takes a segment of this direction, the SYN itself included, and reports what can be delivered now.
    ///
    /// At a gap it only stores what lies behind that, within the limits, and ignores what would fill it.
    pub fn push(
        &mut self,
        segment: &Segment<'_>,
        mut on_event: impl FnMut(StreamEvent<'_>) -> Standing,
    ) -> Placement {
        if self.state == State::Over {
            return Placement::AfterEnd;
        }
        let start = Seq(segment.first_seq());
        let ahead = start.ahead_of(self.next);
        let Some(wire_end) = window_end(start, ahead, segment) else { return Placement::OutOfWindow };
        if segment.has(RST) {
            return self.reset(ahead, &mut on_event);
        }
        if segment.has(FIN) && self.fin.is_none() && !wire_end.is_before(self.next) {
            self.fin = Some(wire_end);
        }
        let news = wire_end.is_after(self.next);
        let part = Part::new(start, segment.payload, wire_end, self.next, self.fin);
        if ahead < 0 && part.differs(&self.history) {
            self.end(StreamEvent::Conflict, &mut on_event);
        } else if part.start.is_after(self.next) || news && self.state != State::Open {
            self.store(&part, &mut on_event);
            return Placement::Ahead;
        } else if self.state == State::Open {
            self.deliver(&part, &mut on_event);
        }
        if news || ahead == 0 || self.state == State::Over { Placement::InOrder } else { Placement::Repeated }
    }

    /// Leaves the missing bytes of a gap out, and delivers what is stored behind them; there may be the next gap. Nothing
    /// happens where there is no gap. What comes before a gap is not compared any more with what is sent again.
    pub fn skip_gap(&mut self, mut on_event: impl FnMut(StreamEvent<'_>) -> Standing) {
        let State::AtGap { lost_to, .. } = self.state else { return };
        self.state = State::Open;
        self.go_on(lost_to, &mut on_event);
        self.heed_limits(&mut on_event);
    }

    /// The receiver has everything before `ack`: what isn't here of it was lost by the capture, and won't come. Costs
    /// next to nothing where nothing is missing.
    ///
    /// A FIN takes a number as well. If the capture lost that too, its acknowledgement is a gap of one byte more.
    #[inline]
    pub fn acknowledged(&mut self, ack: Seq, mut on_event: impl FnMut(StreamEvent<'_>) -> Standing) {
        if ack.is_after(self.next)
            && self.state == State::Open
            && i64::from(ack.ahead_of(self.next)) < MAX_WINDOW
        {
            self.gap(ack, &mut on_event);
        }
    }

    /// Whether something was seen that waits for bytes before it.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.state == State::Open && (!self.stored.is_empty() || self.fin.is_some())
    }

    /// Whether a gap was reported that the owner has not skipped yet.
    #[must_use]
    pub fn is_at_gap(&self) -> bool {
        matches!(self.state, State::AtGap { .. })
    }

    /// The missing bytes before what is stored won't come: the owner waited long enough, or the capture ends. Nothing
    /// happens if none are known to be missing.
    pub fn give_up(&mut self, mut on_event: impl FnMut(StreamEvent<'_>) -> Standing) {
        if self.is_waiting()
            && let Some(there) = self.stored.first().or(self.fin)
        {
            self.gap(there, &mut on_event);
        }
    }

    /// The owner says that everything delivered so far belongs to complete messages ([`Standing::Settled`]).
    pub fn settle(&mut self) {
        self.history.clear();
    }

    /// The sequence number behind the last byte that was delivered or skipped.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        match self.state {
            State::AtGap { from, .. } => from,
            State::Open | State::Over => self.next,
        }
    }

    /// Memory held for segments ahead of a hole and for the history, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.stored.memory() + self.history.memory()
    }

    /// Whether the sender's FIN was seen, even if bytes before it are missing.
    #[must_use]
    pub fn fin_seen(&self) -> bool {
        self.fin.is_some()
    }

    /// A reset behind the next byte is a late one, which the receiver ignores too (RFC 5961 section 3).
    fn reset(&mut self, ahead: i32, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) -> Placement {
        if ahead < 0 {
            return Placement::Repeated;
        }
        self.end(StreamEvent::End(End::Rst), on_event);
        if ahead == 0 { Placement::InOrder } else { Placement::Ahead }
    }

    /// Stores bytes ahead of a hole. What the capture cut off of them is another hole.
    fn store(&mut self, part: &Part<'_>, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        if self.is_at_gap() && self.exceeds_limits() {
            return;
        }
        if self.stored.insert(part.start, part.fresh).is_err() {
            return self.end(StreamEvent::Conflict, on_event);
        }
        self.heed_limits(on_event);
    }

    fn exceeds_limits(&self) -> bool {
        self.stored.bytes() > self.limits.max_bytes || self.stored.ranges() > self.limits.max_ranges
    }

    /// No hole is worth more memory than the limits say.
    fn heed_limits(&mut self, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        if self.state == State::Open
            && self.exceeds_limits()
            && let Some(there) = self.stored.first()
        {
            self.gap(there, on_event);
        }
    }

    /// Delivers bytes that begin at `next`, and what was stored behind them.
    fn deliver(&mut self, part: &Part<'_>, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        if self.stored.first().is_some_and(|first| part.end().is_after(first)) {
            // It reaches into what is stored: let the store sort out which copy came first.
            if self.stored.insert(part.start, part.fresh).is_err() {
                return self.end(StreamEvent::Conflict, on_event);
            }
        } else if !part.fresh.is_empty() {
            self.hand_over(part.fresh, on_event);
        }
        // What the capture cut off is not sent again: the receiver has it.
        self.go_on(part.wire_end, on_event);
    }

    /// Delivers what is stored from `next` on. What isn't here before `lost_to` won't come.
    fn go_on(&mut self, lost_to: Seq, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        while let Some(bytes) = self.stored.take(self.next) {
            let bytes = self.fin.map_or(&*bytes, |fin| first_bytes(&bytes, fin.ahead_of(self.next)));
            if bytes.is_empty() {
                break;
            }
            self.hand_over(bytes, on_event);
        }
        if self.fin == Some(self.next) {
            self.end(StreamEvent::End(End::Fin), on_event);
        } else if lost_to.is_after(self.next) {
            self.gap(lost_to, on_event);
        }
    }

    /// Delivers the next bytes. They are copied for the history only where the message goes on behind them.
    fn hand_over(&mut self, bytes: &[u8], on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        self.next += length(bytes);
        match on_event(StreamEvent::Data(bytes)) {
            Standing::Open if self.limits.history > 0 => self.history.append(bytes, self.limits.history),
            Standing::Open | Standing::Settled => self.history.clear(),
        }
    }

    /// What isn't here before `lost_to` won't come: the gap ends there, or before, where something is.
    fn gap(&mut self, lost_to: Seq, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        let mut end = lost_to;
        for there in [self.stored.first(), self.fin].into_iter().flatten() {
            if there.is_before(end) {
                end = there;
            }
        }
        let from = self.next;
        if let Ok(bytes @ 1..) = u32::try_from(end.ahead_of(from)) {
            self.state = State::AtGap { from, lost_to };
            self.next = end;
            self.history.clear();
            on_event(StreamEvent::Gap { bytes });
        }
    }

    fn end(&mut self, event: StreamEvent<'_>, on_event: &mut impl FnMut(StreamEvent<'_>) -> Standing) {
        self.stop();
        on_event(event);
    }
}

#[cfg(test)]
mod tests;
