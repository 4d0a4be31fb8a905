//! A TCP segment as every capture source delivers it.

use shadow_common::{Direction, FlowKey};

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
    /// Payload length on the wire in bytes. More than `payload.len()` means that the capture cut the segment short.
    pub payload_len: u32,
    /// The captured payload bytes.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// Whether any of `flags` ([`shadow_common::tcp_flags`]) is set.
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }
}
