//! A TCP segment as every capture source delivers it.

use shadow_common::{Direction, FlowKey, marks, tcp_flags};

/// Where a segment belongs: the run of bytes that begins at a request start that the capture source is sure of, and
/// lasts to the next one that it knows. All segments of a run say the same start, so that a reader finds its place
/// again whatever was left out before. What is said of the run's requests is in [`shadow_common::marks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Sequence number of the run's first byte; the segment may begin before it. Meaningless without a mark.
    pub start: u32,
    /// [`shadow_common::marks`].
    pub mark: u8,
}

impl Run {
    /// Whether any of `bits` ([`shadow_common::marks`]) is set.
    #[must_use]
    pub const fn is(self, bits: u8) -> bool {
        self.mark & bits != 0
    }

    /// Whether the segment is part of a run, rather than news of the flow alone.
    #[must_use]
    pub const fn has_payload(self) -> bool {
        self.is(marks::SAMPLED | marks::OPEN)
    }
}

/// One exported TCP segment. Borrowed from the capture source's buffer for as long as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The connection, from the client's side.
    pub flow: FlowKey,
    /// Whether the payload is request or response bytes.
    pub direction: Direction,
    /// Sequence number of the first payload byte, or of the SYN where that flag is set (data then starts one later).
    pub seq: u32,
    /// Acknowledgement number; meaningful where the ACK flag is set.
    pub ack: u32,
    /// [`shadow_common::tcp_flags`].
    pub flags: u8,
    /// Capture time in nanoseconds since an arbitrary epoch of the source; never goes back within a source's thread
    /// by more than the reordering between processors.
    pub timestamp_ns: u64,
    /// The request that the segment belongs to, as far as the capture source knows.
    pub run: Run,
    /// Payload length on the wire in bytes. More than `payload.len()` means that the capture cut the segment short.
    pub payload_len: u32,
    /// The captured payload bytes.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// Sequence number of the first payload byte: a SYN takes one number itself (RFC 9293 section 3.4).
    #[must_use]
    pub const fn first_seq(&self) -> u32 {
        self.seq.wrapping_add(self.has(tcp_flags::SYN) as u32)
    }

    /// Whether any of `flags` ([`shadow_common::tcp_flags`]) is set.
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }
}
