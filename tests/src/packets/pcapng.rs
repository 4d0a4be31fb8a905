//! pcapng, as Wireshark writes it: blocks, one of which describes each interface that frames came from
//! (draft-ietf-opsawg-pcapng).

use super::{Link, Order, Packet, file::Frame};

/// An interface that a capture has frames of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The link type's number.
    pub link: u16,
    /// Units of time in a second as a power of ten, or microseconds by saying nothing.
    pub resolution: Option<u8>,
    /// Bytes that are kept of a frame, 0 for all.
    pub snap: u32,
}

impl Interface {
    /// Microseconds, whole frames.
    #[must_use]
    pub const fn of(link: Link) -> Self {
        Self { link: link.number(), resolution: None, snap: 0 }
    }

    /// The same with another resolution.
    #[must_use]
    pub const fn resolution(mut self, digits: u8) -> Self {
        self.resolution = Some(digits);
        self
    }
}

/// A capture that is built block by block.
#[derive(Clone, Debug)]
pub struct Pcapng {
    bytes: Vec<u8>,
    order: Order,
    interfaces: Vec<Interface>,
}

impl Pcapng {
    /// Begins a section without interfaces.
    #[must_use]
    pub fn new(order: Order) -> Self {
        let mut capture = Self { bytes: Vec::new(), order, interfaces: Vec::new() };
        capture.section();
        capture
    }

    /// Begins another section, whose interfaces are numbered from 0 again.
    pub fn section(&mut self) -> &mut Self {
        self.interfaces.clear();
        let order = self.order;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend([order.u16(1), order.u16(0)].concat());
        // Its length isn't said.
        body.extend([0xff; 8]);
        // Who wrote it (shb_userappl).
        body.extend(self.option(4, b"script"));
        body.extend([0; 4]);
        self.block(0x0a0d_0d0a, &body)
    }

    /// Describes the next interface; the first is 0.
    pub fn interface(&mut self, interface: Interface) -> &mut Self {
        self.interfaces.push(interface);
        let order = self.order;
        let mut body = [order.u16(interface.link), order.u16(0)].concat();
        body.extend(order.u32(interface.snap));
        // Its name (if_name) and its resolution (if_tsresol).
        body.extend(self.option(2, b"eth0"));
        if let Some(digits) = interface.resolution {
            body.extend(self.option(9, &[digits]));
        }
        body.extend([0; 4]);
        self.block(1, &body)
    }

    /// A frame of an interface; its time is cut to what that can say.
    ///
    /// # Panics
    /// The interface wasn't described.
    pub fn frame(&mut self, interface: usize, frame: &Frame) -> &mut Self {
        let order = self.order;
        let digits = self.interfaces[interface].resolution.unwrap_or(6);
        let time = match digits {
            0..9 => frame.at_ns / 10_u64.pow(9 - u32::from(digits)),
            _ => frame.at_ns * 10_u64.pow(u32::from(digits) - 9),
        };
        let number = |value: usize| order.u32(u32::try_from(value).unwrap_or(u32::MAX));
        let [high, low] =
            [time >> 32, time & 0xffff_ffff].map(|half| order.u32(u32::try_from(half).unwrap_or(0)));
        let head = [number(interface), high, low, number(frame.bytes.len()), order.u32(frame.length)];
        let mut body = head.concat();
        body.extend_from_slice(&frame.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        // A comment on it.
        body.extend(self.option(1, b"a frame"));
        body.extend([0; 4]);
        self.block(6, &body)
    }

    /// What readers should pass over: a block with names, statistics of an interface, and a block that nobody knows.
    pub fn noise(&mut self) -> &mut Self {
        let name = self.option(1, b"\x0a\x01\x00\x02shop\0");
        self.block(4, &[&name[..], &[0; 4]].concat());
        self.block(5, &[0; 12]);
        self.block(0x0bad_0bad, &[0xff; 20])
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let mut option = [self.order.u16(code), self.order.u16(length)].concat();
        option.extend_from_slice(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    /// A block, with its length at both ends.
    fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let length = self.order.u32(u32::try_from(body.len() + 12).unwrap_or(u32::MAX));
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(length);
        self.bytes.extend_from_slice(body);
        self.bytes.extend(length);
        self
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A capture on several interfaces, conversations spread over them by their clients' ports, with noise between.
#[must_use]
pub fn several(packets: &[Packet], links: &[(Link, Option<u8>)], order: Order) -> Vec<u8> {
    let mut capture = Pcapng::new(order);
    for &(link, resolution) in links {
        capture.interface(Interface { resolution, ..Interface::of(link) });
    }
    for (place, packet) in packets.iter().enumerate() {
        if place % 16 == 0 {
            capture.noise();
        }
        let interface = usize::from(packet.ends.client.port()) % links.len();
        capture.frame(interface, &Frame::of(packet, links[interface].0, order, u32::MAX));
    }
    capture.bytes().to_vec()
}

/// What was read from a pcap file, as a capture of one interface.
#[must_use]
pub fn converted(link: u16, frames: &[Frame]) -> Vec<u8> {
    let mut capture = Pcapng::new(Order::Little);
    capture.interface(Interface { link, resolution: Some(9), snap: 0 });
    for frame in frames {
        capture.frame(0, frame);
    }
    capture.bytes().to_vec()
}
