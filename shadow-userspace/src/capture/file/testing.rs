//! Packets and capture files made byte by byte, for tests.

use shadow_common::tcp_flags::ACK;

use super::frame::Order;

/// A TCP segment to be put on a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp<'a> {
    /// The last byte of the address, and the port.
    pub(crate) source: (u8, u16),
    pub(crate) dest: (u8, u16),
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) payload: &'a [u8],
}

impl Default for Tcp<'_> {
    fn default() -> Self {
        Self { source: (1, 40_000), dest: (2, 80), seq: 1, ack: 1, flags: ACK, payload: b"" }
    }
}

impl Tcp<'_> {
    /// Header, with 12 bytes of options, and payload.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { source, dest, seq, ack, flags, payload } = self;
        let mut bytes = [source.1.to_be_bytes(), dest.1.to_be_bytes()].concat();
        bytes.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        bytes.extend([8 << 4, *flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend([1; 12]);
        bytes.extend(*payload);
        bytes
    }

    /// In IPv4, with `options` (a multiple of 4 bytes).
    pub(crate) fn ipv4(&self, options: &[u8]) -> Vec<u8> {
        let tcp = self.bytes();
        let len = u16::try_from(20 + options.len() + tcp.len()).unwrap_or(0);
        let mut bytes = vec![0x45 + (options.len() / 4) as u8, 0];
        bytes.extend(len.to_be_bytes());
        bytes.extend([0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, self.source.0, 10, 0, 0, self.dest.0]);
        bytes.extend(options);
        bytes.extend(tcp);
        bytes
    }

    /// In IPv6, with extension headers: the type of the first, and their bytes, in which the last says 6.
    pub(crate) fn ipv6(&self, first: u8, extensions: &[u8]) -> Vec<u8> {
        let tcp = self.bytes();
        let len = u16::try_from(extensions.len() + tcp.len()).unwrap_or(0);
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(len.to_be_bytes());
        bytes.extend([first, 64]);
        for last in [self.source.0, self.dest.0] {
            bytes.extend([0xfd; 15]);
            bytes.push(last);
        }
        bytes.extend(extensions);
        bytes.extend(tcp);
        bytes
    }
}

/// An Ethernet frame, with VLAN tags of these types, padded to the least length.
pub(crate) fn ethernet(tags: &[u16], ip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xaa; 12];
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0, 5]);
    }
    bytes.extend(ethertype(ip));
    bytes.extend(ip);
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

/// By the version of an IP packet.
pub(crate) fn ethertype(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] }
}

/// A captured frame.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) timestamp_ns: u64,
    pub(crate) wire_len: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Captured {
    pub(crate) fn whole(timestamp_ns: u64, bytes: Vec<u8>) -> Self {
        Self { timestamp_ns, wire_len: bytes.len(), bytes }
    }
}

/// Numbers in a byte order.
impl Order {
    pub(super) fn put(self, bytes: &mut Vec<u8>, words: &[u32]) {
        for word in words {
            bytes.extend(match self {
                Self::Little => word.to_le_bytes(),
                Self::Big => word.to_be_bytes(),
            });
        }
    }

    fn put_half(self, bytes: &mut Vec<u8>, halves: &[u16]) {
        for half in halves {
            bytes.extend(match self {
                Self::Little => half.to_le_bytes(),
                Self::Big => half.to_be_bytes(),
            });
        }
    }
}

/// A pcap file with times in nanoseconds, little-endian.
pub(crate) fn pcap_file(link: u32, frames: &[Captured]) -> Vec<u8> {
    pcap(Order::Little, true, link, frames)
}

pub(super) fn pcap(order: Order, in_nanoseconds: bool, link: u32, frames: &[Captured]) -> Vec<u8> {
    let mut file = Vec::new();
    let (magic, unit) = if in_nanoseconds { (0xa1b2_3c4d, 1) } else { (0xa1b2_c3d4, 1000) };
    order.put(&mut file, &[magic]);
    order.put_half(&mut file, &[2, 4]);
    order.put(&mut file, &[0, 0, 262_144, link]);
    for Captured { timestamp_ns, wire_len, bytes } in frames {
        let (seconds, fraction) = (timestamp_ns / 1_000_000_000, timestamp_ns % 1_000_000_000 / unit);
        order.put(&mut file, &[seconds as u32, fraction as u32, bytes.len() as u32, *wire_len as u32]);
        file.extend(bytes);
    }
    file
}

/// A pcapng block.
pub(super) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let len = 12 + body.len().next_multiple_of(4) as u32;
    order.put(&mut bytes, &[kind, len]);
    bytes.extend(body);
    bytes.resize(len as usize - 4, 0);
    order.put(&mut bytes, &[len]);
    bytes
}

pub(super) fn section(order: Order) -> Vec<u8> {
    let mut body = Vec::new();
    order.put(&mut body, &[0x1a2b_3c4d]);
    order.put_half(&mut body, &[1, 0]);
    order.put(&mut body, &[u32::MAX, u32::MAX]);
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface with this link type and, if not the default, resolution of time.
pub(super) fn interface(order: Order, link: u16, snap_len: u32, resolution: Option<u8>) -> Vec<u8> {
    let mut body = Vec::new();
    order.put_half(&mut body, &[link, 0]);
    order.put(&mut body, &[snap_len]);
    if let Some(resolution) = resolution {
        order.put_half(&mut body, &[9, 1]);
        body.extend([resolution, 0, 0, 0]);
        order.put_half(&mut body, &[0, 0]);
    }
    block(order, 1, &body)
}

/// An enhanced packet block, or an obsolete packet block, with a time in the interface's units.
pub(super) fn packet(order: Order, kind: u32, interface: u16, units: u64, frame: &Captured) -> Vec<u8> {
    let mut body = Vec::new();
    if kind == 6 {
        order.put(&mut body, &[interface.into()]);
    } else {
        order.put_half(&mut body, &[interface, 3]);
    }
    let Captured { wire_len, bytes, .. } = frame;
    order.put(&mut body, &[(units >> 32) as u32, units as u32, bytes.len() as u32, *wire_len as u32]);
    body.extend(bytes);
    block(order, kind, &body)
}
