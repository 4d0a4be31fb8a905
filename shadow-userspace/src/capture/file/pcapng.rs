//! The pcapng format (draft-ietf-opsawg-pcapng): sections, each with a byte order and interfaces of its own.

use super::{
    error::{Damage, FileProblem},
    frame::{Frame, MAX_BLOCK, Next, Order, damaged},
    link::Link,
    window::Window,
};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// Obsolete since 2004, and still found.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Says a section's byte order.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Interfaces of a section at most.
const MAX_INTERFACES: usize = 65_536;

/// Whether a file begins as one of this format.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECTION.to_be_bytes())
}

/// The section that is being read.
#[derive(Debug)]
pub(super) struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
    /// The last packet's time, for those that have none.
    latest_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Link,
    /// The longest captured packet; 0 for no limit.
    snap_len: u32,
    clock: Clock,
}

impl Default for PcapNg {
    fn default() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), latest_ns: 0 }
    }
}

/// A block, of which all bytes are ahead.
struct Block {
    kind: u32,
    len: u32,
}

impl PcapNg {
    #[inline]
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Next, FileProblem> {
        let Some(block) = self.block(window)? else {
            return Ok(Next::End { truncated: !window.ahead().is_empty() });
        };
        let next = match block.kind {
            ENHANCED_PACKET | PACKET => Next::Frame(self.packet(&block, window)?),
            SIMPLE_PACKET => Next::Frame(self.simple_packet(&block, window)?),
            INTERFACE => self.interface(&block, window)?,
            SECTION => {
                self.interfaces.clear();
                Next::Other
            }
            _ => Next::Other,
        };
        let start = window.take(block.len as usize);
        Ok(match next {
            Next::Frame(frame) => Next::Frame(Frame { place: start + frame.place, ..frame }),
            other => other,
        })
    }

    /// The next block, if the file has all of it.
    #[inline]
    fn block(&mut self, window: &mut Window) -> Result<Option<Block>, FileProblem> {
        if !window.want(12)? {
            return Ok(None);
        }
        if begins(window.ahead()) {
            self.order = order(window)?;
        }
        let [kind, len] = self.order.words(window.ahead());
        let least = match kind {
            SECTION => 28,
            INTERFACE => 20,
            PACKET | ENHANCED_PACKET => 32,
            SIMPLE_PACKET => 16,
            _ => 12,
        };
        if len < least || len % 4 != 0 {
            return Err(damaged(window, Damage::Length { kind, len }));
        }
        if len as usize > MAX_BLOCK {
            return Err(damaged(window, Damage::TooLong(len.into())));
        }
        if !window.want(len as usize)? {
            return Ok(None);
        }
        let [after] = self.order.words(window.ahead().get(len as usize - 4..).unwrap_or_default());
        if after != len {
            return Err(damaged(window, Damage::Lengths { before: len, after }));
        }
        Ok(Some(Block { kind, len }))
    }

    /// Its frame's place is from the block's beginning.
    #[inline]
    fn packet(&mut self, block: &Block, window: &Window) -> Result<Frame, FileProblem> {
        let [_, _, id, high, low, captured, wire_len] = self.order.words(window.ahead());
        let id = if block.kind == ENHANCED_PACKET {
            id
        } else {
            // 16 bits, followed by a count of drops.
            let half = |id: &[u8; 2]| self.order.half(*id);
            window.ahead().get(8..).and_then(|id| id.first_chunk()).map_or(0, half).into()
        };
        let interface = self.interfaces.get(id as usize);
        let interface = interface.ok_or_else(|| damaged(window, Damage::Interface(id)))?;
        let room = block.len - 32;
        if captured > room {
            return Err(damaged(window, Damage::Packet { packet: captured, room }));
        }
        let timestamp_ns = interface.clock.nanoseconds(u64::from(high) << 32 | u64::from(low));
        self.latest_ns = timestamp_ns;
        Ok(Frame { place: 28, len: captured as usize, wire_len, link: interface.link, timestamp_ns })
    }

    fn simple_packet(&self, block: &Block, window: &Window) -> Result<Frame, FileProblem> {
        let [_, _, wire_len] = self.order.words(window.ahead());
        let interface = self.interfaces.first().ok_or_else(|| damaged(window, Damage::Interface(0)))?;
        let limit = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let (captured, room) = (wire_len.min(limit), block.len - 16);
        if captured > room {
            return Err(damaged(window, Damage::Packet { packet: captured, room }));
        }
        let timestamp_ns = self.latest_ns;
        Ok(Frame { place: 12, len: captured as usize, wire_len, link: interface.link, timestamp_ns })
    }

    fn interface(&mut self, block: &Block, window: &Window) -> Result<Next, FileProblem> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(damaged(window, Damage::Interfaces(MAX_INTERFACES)));
        }
        let [_, _, _, snap_len] = self.order.words(window.ahead());
        let body = window.ahead().get(8..block.len as usize - 4).unwrap_or_default();
        let link = body.first_chunk().map_or(0, |link| self.order.half(*link));
        let clock = Clock::new(self.order, body.get(8..).unwrap_or_default());
        self.interfaces.push(Interface { link: Link::new(link.into()), snap_len, clock });
        Ok(Next::Other)
    }
}

/// The byte order that a section says.
fn order(window: &Window) -> Result<Order, FileProblem> {
    let [_, _, little] = Order::Little.words(window.ahead());
    match little {
        BYTE_ORDER => Ok(Order::Little),
        mark if mark.swap_bytes() == BYTE_ORDER => Ok(Order::Big),
        mark => Err(damaged(window, Damage::ByteOrder(mark))),
    }
}

/// How an interface's timestamps count: in units since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    unit: Unit,
    /// The moment in seconds since the Unix epoch.
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanoseconds(u64),
    /// So many to a nanosecond.
    PerNanosecond(u64),
    /// Two to this power to a second.
    Binary(u8),
}

const OPTION_END: u16 = 0;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

impl Clock {
    /// By the options of an interface's description; what makes no sense in them is left.
    fn new(order: Order, mut options: &[u8]) -> Self {
        let mut clock = Self { unit: Unit::Nanoseconds(1000), offset: 0 };
        while let Some((&[code0, code1, len0, len1], rest)) = options.split_first_chunk() {
            let (code, len) = (order.half([code0, code1]), usize::from(order.half([len0, len1])));
            match (code, rest.get(..len)) {
                (OPTION_END, _) | (_, None) => break,
                (OPTION_RESOLUTION, Some(&[resolution])) => clock.unit = Unit::new(resolution),
                (OPTION_OFFSET, Some(value)) if let Ok(value) = value.try_into() => {
                    clock.offset = match order {
                        Order::Little => i64::from_le_bytes(value),
                        Order::Big => i64::from_be_bytes(value),
                    };
                }
                _ => {}
            }
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        clock
    }

    /// Since the Unix epoch; as far as 64 bits reach, to the year 2554.
    #[inline]
    fn nanoseconds(self, units: u64) -> u64 {
        let since = match self.unit {
            Unit::Nanoseconds(nanoseconds) => units.saturating_mul(nanoseconds),
            Unit::PerNanosecond(units_per) => units / units_per,
            Unit::Binary(power) => {
                let nanoseconds = (u128::from(units) * 1_000_000_000) >> power;
                u64::try_from(nanoseconds).unwrap_or(u64::MAX)
            }
        };
        if self.offset == 0 {
            return since;
        }
        let offset = self.offset.unsigned_abs().saturating_mul(1_000_000_000);
        if self.offset < 0 { since.saturating_sub(offset) } else { since.saturating_add(offset) }
    }
}

impl Unit {
    /// By the option: a negative power of 10, or with the highest bit of 2.
    fn new(resolution: u8) -> Self {
        let power = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::Binary(resolution & 0x7f);
        }
        match power {
            ..=9 => Self::Nanoseconds(10_u64.pow(9 - power)),
            _ => Self::PerNanosecond(10_u64.checked_pow(power - 9).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_every_resolution() {
        for (resolution, units, nanoseconds) in [
            (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
            (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
            (0, 1_700_000_000, 1_700_000_000_000_000_000),
            (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
            (12, 1_700_000_000_123_456, 1_700_000_000_123),
            (0x80 | 20, 3 << 19, 1_500_000_000),
            (0x80, 7, 7_000_000_000),
            (0x80 | 127, u64::MAX, 0),
            (127, u64::MAX, 1),
            (0, u64::MAX, u64::MAX),
            (0x80, u64::MAX, u64::MAX),
        ] {
            let clock = Clock { unit: Unit::new(resolution), offset: 0 };
            assert_eq!(clock.nanoseconds(units), nanoseconds, "{resolution:#x}");
        }
    }

    #[test]
    fn options_in_both_orders_and_cut_anywhere() {
        for order in [Order::Little, Order::Big] {
            let half = |number: u16| match order {
                Order::Little => number.to_le_bytes(),
                Order::Big => number.to_be_bytes(),
            };
            let mut options = Vec::new();
            let seconds = match order {
                Order::Little => (-10_i64).to_le_bytes(),
                Order::Big => (-10_i64).to_be_bytes(),
            };
            for (code, value) in
                // Nothing is read behind the end.
                [
                    (2, &b"eth0\0"[..]),
                    (OPTION_RESOLUTION, &[9]),
                    (OPTION_OFFSET, &seconds),
                    (OPTION_END, b""),
                    (OPTION_RESOLUTION, &[6]),
                ]
            {
                options.extend([half(code), half(value.len() as u16)].concat());
                options.extend(value);
                options.resize(options.len().next_multiple_of(4), 0);
            }
            let clock = Clock { unit: Unit::Nanoseconds(1), offset: -10 };
            assert_eq!(Clock::new(order, &options), clock);
            assert_eq!((clock.nanoseconds(30_000_000_000), clock.nanoseconds(5)), (20_000_000_000, 0));
            for cut in 0..options.len() {
                Clock::new(order, &options[..cut]);
            }
        }
    }
}
