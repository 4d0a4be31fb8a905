//! Reassembly of one direction of a flow: segments in, [`StreamEvent`]s out.
//!
//! Takes segments as they were captured: reordered, repeated, overlapping, cut short. Gives the bytes in order, each
//! once, straight from the segment where nothing is missing before it (no copy, no allocation). Keeps invariant 3: what
//! is delivered is a contiguous prefix of the stream, and where it can't be continued there is a
//! [`StreamEvent::Gap`] or [`StreamEvent::Conflict`] and then nothing more.

use shadow_common::tcp_flags::{FIN, RST};

use super::{
    Seq,
    stored::{Stored, first_bytes, length},
};
use crate::capture::Segment;

/// The largest window that TCP can offer (RFC 7323 section 2.3). A segment that reaches further from the next expected
/// byte than this, ahead or behind, can't belong to the connection. Distances within it never wrap.
const MAX_WINDOW: i64 = 1 << 30;

/// What one direction may store while it waits for a hole to be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Payload bytes.
    pub max_bytes: usize,
    /// Separate byte ranges.
    pub max_ranges: usize,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_ranges: 1024 }
    }
}

/// What the reassembler delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// The next bytes of the stream; never empty.
    Data(&'a [u8]),
    /// Bytes are missing here and won't come. Nothing follows.
    Gap,
    /// Bytes ahead of a hole were sent twice, and differently. Nothing follows.
    Conflict,
    /// The sender is done. Nothing follows.
    End(End),
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: every byte was delivered.
    Fin,
    /// By a reset.
    Rst,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It continued the stream, or carried nothing.
    InOrder,
    /// It lies ahead of a hole.
    Ahead,
    /// Everything in it was delivered before.
    Repeated,
    /// It can't belong to this connection; ignored.
    OutOfWindow,
    /// It came after the stream's end, or after a gap; ignored.
    AfterEnd,
}

/// One direction of a flow.
#[derive(Debug)]
pub struct Reassembler {
    limits: ReassemblyLimits,
    /// The byte that is delivered next.
    next: Seq,
    /// Where the sender's FIN lies: one past the last byte.
    fin: Option<Seq>,
    stored: Stored,
    over: bool,
}

/// A segment's payload without what was delivered before.
struct Fresh<'a> {
    start: Seq,
    bytes: &'a [u8],
    /// Where the payload ended on the wire; past the end of `bytes` if the capture cut it short.
    wire_end: Seq,
}

impl Fresh<'_> {
    fn is_cut_short(&self) -> bool {
        self.wire_end.is_after(self.start + length(self.bytes))
    }
}

/// Where the payload of a segment ends on the wire, if all of it lies within a window of the next expected byte.
fn window_end(start: Seq, ahead: i32, segment: &Segment<'_>) -> Option<Seq> {
    let wire_len = u32::try_from(segment.payload.len()).ok()?.max(segment.payload_len);
    let ahead = i64::from(ahead);
    (ahead > -MAX_WINDOW && ahead + i64::from(wire_len) < MAX_WINDOW).then(|| start + wire_len)
}

impl Reassembler {
    /// The part of the direction that begins with the byte at `first`; what lies before it is not delivered.
    #[must_use]
    pub fn new(first: Seq, limits: ReassemblyLimits) -> Self {
        Self { limits, next: first, fin: None, stored: Stored::default(), over: false }
    }

    /// Begins anew with the byte at `first`, whatever happened before.
    pub fn restart(&mut self, first: Seq) {
        *self = Self::new(first, self.limits);
    }

    /// Takes a segment of this direction, the SYN itself included, and reports what can be delivered now.
    pub fn push(&mut self, segment: &Segment<'_>, mut on_event: impl FnMut(StreamEvent<'_>)) -> Placement {
        if self.over {
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
        let fresh = self.without_delivered(start, segment.payload, wire_end);
        if fresh.start.is_after(self.next) {
            self.store_ahead(&fresh, &mut on_event);
            return Placement::Ahead;
        }
        self.deliver(&fresh, &mut on_event);
        if news || ahead == 0 || self.over { Placement::InOrder } else { Placement::Repeated }
    }

    /// Whether something was seen that waits for bytes before it.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.over && (!self.stored.is_empty() || self.fin.is_some())
    }

    /// The missing bytes won't come: the owner waited long enough, or the capture ends. Nothing happens if none are
    /// known to be missing.
    pub fn give_up(&mut self, mut on_event: impl FnMut(StreamEvent<'_>)) {
        if self.is_waiting() {
            self.end(StreamEvent::Gap, &mut on_event);
        }
    }

    /// The sequence number of the byte that is delivered next.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// Memory held for segments ahead of a hole, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.stored.memory()
    }

    /// Whether the sender's FIN was seen, even if bytes before it are missing.
    #[must_use]
    pub fn fin_seen(&self) -> bool {
        self.fin.is_some()
    }

    /// A reset behind the next byte is a late one, which the receiver ignores too (RFC 5961 section 3).
    fn reset(&mut self, ahead: i32, on_event: &mut impl FnMut(StreamEvent<'_>)) -> Placement {
        if ahead < 0 {
            return Placement::Repeated;
        }
        self.end(StreamEvent::End(End::Rst), on_event);
        if ahead == 0 { Placement::InOrder } else { Placement::Ahead }
    }

    fn without_delivered<'a>(&self, start: Seq, payload: &'a [u8], wire_end: Seq) -> Fresh<'a> {
        // Bytes beyond the FIN are no part of the stream.
        let (payload, wire_end) = match self.fin {
            Some(fin) if wire_end.is_after(fin) => (first_bytes(payload, fin.ahead_of(start)), fin),
            _ => (payload, wire_end),
        };
        match usize::try_from(self.next.ahead_of(start)) {
            Ok(delivered) => {
                Fresh { start: self.next, bytes: payload.get(delivered..).unwrap_or_default(), wire_end }
            }
            Err(_) => Fresh { start, bytes: payload, wire_end },
        }
    }

    fn store_ahead(&mut self, fresh: &Fresh<'_>, on_event: &mut impl FnMut(StreamEvent<'_>)) {
        if self.stored.insert(fresh.start, fresh.bytes).is_err() {
            self.end(StreamEvent::Conflict, on_event);
        } else if fresh.is_cut_short()
            || self.stored.bytes() > self.limits.max_bytes
            || self.stored.ranges() > self.limits.max_ranges
        {
            // What the capture cut off is not sent again: the receiver has it.
            self.end(StreamEvent::Gap, on_event);
        }
    }

    /// Delivers bytes that begin at `next`, and what was stored behind them.
    fn deliver(&mut self, fresh: &Fresh<'_>, on_event: &mut impl FnMut(StreamEvent<'_>)) {
        let end = fresh.start + length(fresh.bytes);
        if self.stored.first().is_some_and(|first| end.is_after(first)) {
            // It reaches into what is stored: let the store sort out which copy came first.
            if self.stored.insert(fresh.start, fresh.bytes).is_err() {
                return self.end(StreamEvent::Conflict, on_event);
            }
        } else if !fresh.bytes.is_empty() {
            self.next = end;
            on_event(StreamEvent::Data(fresh.bytes));
        }
        while let Some(bytes) = self.stored.take(self.next) {
            let bytes = self.fin.map_or(&*bytes, |fin| first_bytes(&bytes, fin.ahead_of(self.next)));
            if bytes.is_empty() {
                break;
            }
            self.next += length(bytes);
            on_event(StreamEvent::Data(bytes));
        }
        if self.fin == Some(self.next) {
            self.end(StreamEvent::End(End::Fin), on_event);
        } else if fresh.is_cut_short() && fresh.wire_end.is_after(self.next) {
            self.end(StreamEvent::Gap, on_event);
        }
    }

    fn end(&mut self, event: StreamEvent<'_>, on_event: &mut impl FnMut(StreamEvent<'_>)) {
        self.over = true;
        self.stored.clear();
        on_event(event);
    }
}

#[cfg(test)]
#[path = "reassembly_tests.rs"]
mod tests;
