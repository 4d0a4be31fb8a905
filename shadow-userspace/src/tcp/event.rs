//! What the reassembler is told, and what it tells.

/// What one direction may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Payload bytes that wait for a hole to be filled.
    pub max_bytes: usize,
    /// Separate byte ranges that do.
    pub max_ranges: usize,
    /// Delivered bytes of a message in progress that are kept, to be compared with what comes again; 0: none.
    pub history: usize,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_ranges: 1024, history: 1 << 16 }
    }
}

/// What the reassembler delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// The next bytes of the stream; never empty.
    Data(&'a [u8]),
    /// Bytes are missing here and won't come. Nothing follows until [`Reassembler::skip_gap`].
    ///
    /// [`Reassembler::skip_gap`]: super::Reassembler::skip_gap
    Gap {
        /// How many, before what comes next; at least one.
        bytes: u32,
    },
    /// Bytes were sent twice, and differently. Nothing follows.
    Conflict,
    /// The sender is done. Nothing follows.
    End(End),
}

/// What the owner answers when it was given bytes; for other events it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The message that they belong to goes on: if they come again, and differently, nobody knows which copy the
    /// receiver took. They are kept, up to [`ReassemblyLimits::history`].
    Open,
    /// Everything so far belongs to complete messages. What comes again of it is ignored.
    Settled,
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: every byte was delivered, or skipped as a gap.
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
    /// Everything in it was delivered before, or skipped.
    Repeated,
    /// It can't belong to this connection; ignored.
    OutOfWindow,
    /// It came after the stream's end; ignored.
    AfterEnd,
}
