//! Frames of a capture file: takes its bytes, gives each captured frame with its time and link type.
//!
//! Invariant 4: no block is longer than [`MAX_BLOCK`], whatever the file says.

use std::io;

use super::{
    error::{Damage, FileProblem, Foreign},
    link::Link,
    pcap::{self, Pcap},
    pcapng::{self, PcapNg},
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

#[derive(Debug)]
pub(super) struct Frames {
    window: Window,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

/// The byte order of a file, or of a section of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Frames {
    /// Reads the file's beginning.
    pub(super) fn open(reader: Box<dyn io::Read + Send>) -> Result<Self, FileProblem> {
        let mut window = Window::new(reader);
        // Shorter files are no captures, but what they are instead can be said.
        window.want(pcap::HEADER)?;
        let format = if let Some(pcap) = Pcap::open(window.ahead())? {
            window.take(pcap::HEADER);
            Format::Pcap(pcap)
        } else if pcapng::begins(window.ahead()) {
            Format::PcapNg(PcapNg::default())
        } else {
            return Err(FileProblem::Foreign(Foreign::tell(window.ahead())));
        };
        Ok(Self { window, format })
    }

    /// The next frame, or how the file ends.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Next, FileProblem> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.window),
        }
    }

    /// The bytes at a place that a frame says.
    #[inline]
    pub(super) fn bytes(&self, place: usize, len: usize) -> &[u8] {
        self.window.bytes(place, len)
    }
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
