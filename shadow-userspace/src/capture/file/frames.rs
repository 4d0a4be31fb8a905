//! Frames of a capture file: takes its bytes, gives each captured frame with its time and link type.
//!
//! Invariant 4: no block is longer than [`MAX_BLOCK`](super::frame::MAX_BLOCK), whatever the file says.

use std::io;

use super::{
    error::{FileProblem, Foreign},
    frame::Next,
    pcap::{self, Pcap},
    pcapng::{self, PcapNg},
    window::Window,
};

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
