//! What of a segment belongs to the stream, and which of it is news.

use super::{
    Seq,
    history::History,
    stored::{first_bytes, length},
};
use crate::capture::Segment;

/// The largest window that TCP can offer (RFC 7323 section 2.3). What reaches further from the next expected byte than
/// this, ahead or behind, can't belong to the connection. Distances within it never wrap.
pub(super) const MAX_WINDOW: i64 = 1 << 30;

/// A segment's payload, as far as it belongs to the stream.
pub(super) struct Part<'a> {
    /// How far it begins behind the next byte that is expected; 0 if it doesn't.
    pub(super) behind: usize,
    /// What comes again.
    pub(super) old: &'a [u8],
    /// Where the rest begins.
    pub(super) start: Seq,
    pub(super) fresh: &'a [u8],
    /// Where the payload ended on the wire; past the end of `fresh` if the capture cut it short.
    pub(super) wire_end: Seq,
}

impl<'a> Part<'a> {
    /// Of a payload that begins at `start` and ended on the wire at `wire_end`, where the byte at `next` is expected.
    pub(super) fn new(start: Seq, payload: &'a [u8], wire_end: Seq, next: Seq, fin: Option<Seq>) -> Self {
        // Bytes beyond the FIN are no part of the stream.
        let (payload, wire_end) = match fin {
            Some(fin) if wire_end.is_after(fin) => (first_bytes(payload, fin.ahead_of(start)), fin),
            _ => (payload, wire_end),
        };
        match usize::try_from(next.ahead_of(start)) {
            Ok(behind) => {
                let (old, fresh) = payload.split_at_checked(behind).unwrap_or((payload, &[]));
                Self { behind, old, start: next, fresh, wire_end }
            }
            Err(_) => Self { behind: 0, old: &[], start, fresh: payload, wire_end },
        }
    }

    /// Where the fresh bytes end that the capture has.
    pub(super) fn end(&self) -> Seq {
        self.start + length(self.fresh)
    }

    /// Whether what comes again is not what was delivered.
    pub(super) fn differs(&self, history: &History) -> bool {
        // A keep-alive probe may carry one byte of nothing in place of the last one (RFC 9293 section 3.8.4).
        let is_probe = self.behind == 1 && self.old == b"\0" && self.fresh.is_empty();
        history.differs(self.behind, self.old) && !is_probe
    }
}

/// Where the payload of a segment ends on the wire, if all of it lies within a window of the next expected byte, which
/// it begins `ahead` of.
pub(super) fn window_end(start: Seq, ahead: i32, segment: &Segment<'_>) -> Option<Seq> {
    let wire_len = u32::try_from(segment.payload.len()).ok()?.max(segment.payload_len);
    let ahead = i64::from(ahead);
    (ahead > -MAX_WINDOW && ahead + i64::from(wire_len) < MAX_WINDOW).then(|| start + wire_len)
}
