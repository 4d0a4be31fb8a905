//! What the readers of both formats share: a frame's place, byte orders, and how far a block is believed.

use super::{
    error::{Damage, FileProblem},
    link::Link,
    window::Window,
};

/// The longest block; the largest packets that Linux passes in one piece (BIG TCP) have some hundred KiB.
pub(super) const MAX_BLOCK: usize = 16 << 20;

/// A captured frame, by its place in the window: good until the next is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) place: usize,
    /// Captured bytes.
    pub(super) len: usize,
    /// Bytes on the wire.
    pub(super) wire_len: u32,
    pub(super) link: Link,
    /// Since the Unix epoch.
    pub(super) timestamp_ns: u64,
}

/// What is next in a file.
pub(super) enum Next {
    Frame(Frame),
    /// A block without a packet.
    Other,
    End {
        /// In the middle of a block.
        truncated: bool,
    },
}

/// The byte order of a file, or of a section of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The numbers that stand at the beginning of `bytes`, which are zero where they aren't.
    #[inline]
    pub(super) fn words<const N: usize>(self, bytes: &[u8]) -> [u32; N] {
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = match self {
                Self::Little => u32::from_le_bytes(*bytes),
                Self::Big => u32::from_be_bytes(*bytes),
            };
        }
        words
    }

    /// A number of two bytes.
    pub(super) fn half(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }
}

/// A block that says what can't be.
pub(super) fn damaged(window: &Window, what: Damage) -> FileProblem {
    FileProblem::Damaged { offset: window.offset(), what }
}
