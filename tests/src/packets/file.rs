//! pcap, as tcpdump writes it: a header of 24 bytes, then a header of 16 bytes before each frame.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

use super::{Link, Packet, wire};

/// The byte order of a file's numbers: that of the machine that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Least byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Order {
    /// A number of 32 bits.
    #[must_use]
    pub const fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// A number of 16 bits.
    #[must_use]
    pub const fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// How a capture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What stands before the IP header.
    pub link: Link,
    /// The byte order.
    pub order: Order,
    /// Whether times are in nanoseconds, rather than microseconds.
    pub nanoseconds: bool,
    /// Bytes that are kept of a frame.
    pub snap: u32,
}

impl Default for Format {
    /// Whole Ethernet frames, little endian, microseconds: tcpdump on most machines.
    fn default() -> Self {
        Self { link: Link::Ethernet, order: Order::Little, nanoseconds: false, snap: 262_144 }
    }
}

/// A frame as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was captured, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// Its length on the wire.
    pub length: u32,
    /// What was captured of it.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// A packet's frame, cut to `snap` bytes.
    #[must_use]
    pub fn of(packet: &Packet, link: Link, order: Order, snap: u32) -> Self {
        let mut bytes = wire::frame(packet, link, order);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.truncate(usize::try_from(snap).unwrap_or(usize::MAX));
        Self { at_ns: packet.at_ns, length, bytes }
    }
}

/// Writes a capture.
///
/// # Errors
/// The file can't be written.
pub fn write(path: &Path, packets: &[Packet], format: Format) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut writer = Writer::new(BufWriter::new(file), format)?;
    packets.iter().try_for_each(|packet| writer.write(packet))?;
    writer.finish()
}

/// The bytes of a capture.
#[must_use]
pub fn bytes(packets: &[Packet], format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory can't fail.
    let written = Writer::new(&mut bytes, format)
        .and_then(|mut writer| packets.iter().try_for_each(|packet| writer.write(packet)));
    debug_assert!(written.is_ok());
    bytes
}

/// Writes a capture packet by packet.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    format: Format,
}

impl<W: Write> Writer<W> {
    /// Begins it.
    ///
    /// # Errors
    /// The header can't be written.
    pub fn new(mut to: W, format: Format) -> Result<Self> {
        let magic: u32 = if format.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let Format { order, link, snap, .. } = format;
        to.write_all(&order.u32(magic))?;
        // Version 2.4, two words that nobody uses.
        to.write_all(&[order.u16(2), order.u16(4)].concat())?;
        to.write_all(&[0; 8])?;
        to.write_all(&[order.u32(snap), order.u32(link.number().into())].concat())?;
        Ok(Self { to, format })
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&mut self, packet: &Packet) -> Result<()> {
        let Format { link, order, nanoseconds, snap } = self.format;
        let frame = Frame::of(packet, link, order, snap);
        let fraction = frame.at_ns % 1_000_000_000 / if nanoseconds { 1 } else { 1000 };
        let captured = frame.bytes.len() as u64;
        for number in [frame.at_ns / 1_000_000_000, fraction, captured, frame.length.into()] {
            self.to.write_all(&order.u32(u32::try_from(number)?))?;
        }
        Ok(self.to.write_all(&frame.bytes)?)
    }

    /// Ends it.
    ///
    /// # Errors
    /// What is left can't be written.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.to.flush()?)
    }
}

/// The link type and the frames of a capture that tcpdump wrote on this machine: little endian, microseconds.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<(u16, Vec<Frame>)> {
    let word = |bytes: &[u8], at: usize| -> Result<u32> {
        let word = bytes.get(at..at + 4).context("the capture ends within a header")?;
        Ok(u32::from_le_bytes(word.try_into()?))
    };
    ensure!(word(bytes, 0)? == 0xa1b2_c3d4, "a capture in another format");
    let link = u16::try_from(word(bytes, 20)?)?;
    let (mut frames, mut rest) = (Vec::new(), &bytes[24..]);
    while !rest.is_empty() {
        let [seconds, micros, captured, length] =
            [word(rest, 0)?, word(rest, 4)?, word(rest, 8)?, word(rest, 12)?];
        let end = 16 + usize::try_from(captured)?;
        let bytes = rest.get(16..end).context("the capture ends within a frame")?.to_vec();
        let at_ns = u64::from(seconds) * 1_000_000_000 + u64::from(micros) * 1000;
        frames.push(Frame { at_ns, length, bytes });
        rest = &rest[end..];
    }
    Ok((link, frames))
}
