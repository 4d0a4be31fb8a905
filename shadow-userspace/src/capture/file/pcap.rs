//! The pcap format (draft-ietf-opsawg-pcap): one header, then records of one link type.

use super::{
    error::{Damage, FileProblem, Foreign},
    frame::{Frame, MAX_BLOCK, Next, Order, damaged},
    link::Link,
    window::Window,
};

/// Bytes of the file's header.
pub(super) const HEADER: usize = 24;

/// Bytes of a record's header.
const RECORD: usize = 16;

#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of the records' fractions of a second.
    unit_ns: u64,
    link: Link,
}

impl Pcap {
    /// What the file's header says; `None` if it is no pcap file.
    pub(super) fn open(header: &[u8]) -> Result<Option<Self>, FileProblem> {
        let (order, unit_ns) = match header {
            [0xd4, 0xc3, 0xb2, 0xa1, ..] => (Order::Little, 1000),
            [0xa1, 0xb2, 0xc3, 0xd4, ..] => (Order::Big, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1, ..] => (Order::Little, 1),
            [0xa1, 0xb2, 0x3c, 0x4d, ..] => (Order::Big, 1),
            _ => return Ok(None),
        };
        if header.len() < HEADER {
            return Err(FileProblem::Foreign(Foreign::Cut));
        }
        let [.., link] = order.words::<6>(header);
        // The upper bits say how long the frame check sequence is.
        match Link::new(link & 0xffff) {
            Link::Unknown(number) => Err(FileProblem::LinkType { number }),
            link => Ok(Some(Self { order, unit_ns, link })),
        }
    }

    #[inline]
    pub(super) fn next(&self, window: &mut Window) -> Result<Next, FileProblem> {
        if !window.want(RECORD)? {
            return Ok(Next::End { truncated: !window.ahead().is_empty() });
        }
        let [seconds, fraction, captured, wire_len] = self.order.words(window.ahead());
        let len = captured as usize;
        if len > MAX_BLOCK {
            return Err(damaged(window, Damage::TooLong(captured.into())));
        }
        if !window.want(RECORD + len)? {
            return Ok(Next::End { truncated: true });
        }
        let place = window.take(RECORD + len) + RECORD;
        let timestamp_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit_ns;
        Ok(Next::Frame(Frame { place, len, wire_len, link: self.link, timestamp_ns }))
    }
}
