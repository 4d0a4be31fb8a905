//! From packets to frames: link headers, IP, TCP, with right lengths and checksums.

use std::net::{IpAddr, SocketAddr};

use super::{Order, Packet, Side};

/// A link type of capture files, by what stands before the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with the conversation's VLAN tags.
    Ethernet,
    /// Linux cooked capture, version 1.
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
    /// Nothing: a packet begins with its IP header.
    Raw,
    /// BSD loopback: the address family in the order of the machine that captured.
    Null,
    /// OpenBSD loopback: the address family in network order.
    Loop,
}

impl Link {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ethernet, Self::Sll, Self::Sll2, Self::Raw, Self::Null, Self::Loop];

    /// The number in capture files (LINKTYPE_…, tcpdump.org/linktypes.html).
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::Sll => 113,
            Self::Sll2 => 276,
            Self::Raw => 101,
            Self::Null => 0,
            Self::Loop => 108,
        }
    }
}

/// The bytes of a frame in a file of this byte order.
#[must_use]
pub fn frame(packet: &Packet, link: Link, order: Order) -> Vec<u8> {
    let mut frame = Vec::with_capacity(packet.payload.len() + 100);
    link_header(&mut frame, packet, link, order);
    let tcp = tcp(packet);
    let (source, destination) = packet.ends.of(packet.from);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = frame.len();
            let length = be16(20 + tcp.len());
            frame.extend([0x45, 0]);
            frame.extend(length);
            frame.extend(be16(packet.id as usize & 0xffff));
            // Don't fragment; 64 hops; TCP; the checksum follows below.
            frame.extend([0x40, 0, 64, 6, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            let sum = checksum(&[&frame[start..]]);
            frame[start + 10..start + 12].copy_from_slice(&sum);
        }
        (from, to) => {
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(be16(tcp.len()));
            frame.extend([6, 64]);
            frame.extend(octets(from));
            frame.extend(octets(to));
        }
    }
    frame.extend(tcp);
    frame
}

fn link_header(frame: &mut Vec<u8>, packet: &Packet, link: Link, order: Order) {
    const ADDRESSES: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    let is_v4 = packet.ends.client.is_ipv4();
    let protocol: u16 = if is_v4 { 0x0800 } else { 0x86dd };
    let from = ADDRESSES[packet.from.index()];
    // To the server's machine, where it is captured, or from it.
    let kind: u8 = if packet.from == Side::Client { 0 } else { 4 };
    // Types and tags as they follow each other: each type says what comes after the tag behind it.
    let mut types = Vec::new();
    let vlans = packet.ends.vlans.iter().flatten();
    let count = packet.ends.vlans.iter().flatten().count();
    for (place, vlan) in vlans.enumerate() {
        let outer = place == 0 && count == 2;
        types.extend([if outer { 0x88a8 } else { 0x8100_u16 }, *vlan]);
    }
    types.push(protocol);
    let types: Vec<u8> = types.into_iter().flat_map(u16::to_be_bytes).collect();
    match link {
        Link::Ethernet => {
            frame.extend(ADDRESSES[packet.from.other().index()]);
            frame.extend(from);
            frame.extend(types);
        }
        Link::Sll => {
            // Kind, ARPHRD_ETHER, length of the address, the address.
            frame.extend([0, kind, 0, 1, 0, 6]);
            frame.extend(from);
            frame.extend([0, 0]);
            frame.extend(types);
        }
        Link::Sll2 => {
            let (protocol, rest) = types.split_at(2);
            frame.extend(protocol);
            // Reserved, interface 3, ARPHRD_ETHER, kind, length of the address, the address.
            frame.extend([0, 0, 0, 0, 0, 3, 0, 1, kind, 6]);
            frame.extend(from);
            frame.extend([0, 0]);
            frame.extend(rest);
        }
        Link::Raw => {}
        // IPv6 is 30 on macOS, which writes the one, and 24 on OpenBSD, which writes the other.
        Link::Null => frame.extend(order.u32(if is_v4 { 2 } else { 30 })),
        Link::Loop => frame.extend(u32::to_be_bytes(if is_v4 { 2 } else { 24 })),
    }
}

fn tcp(packet: &Packet) -> Vec<u8> {
    let (source, destination) = packet.ends.of(packet.from);
    let mut tcp = Vec::with_capacity(24 + packet.payload.len());
    tcp.extend(source.port().to_be_bytes());
    tcp.extend(destination.port().to_be_bytes());
    tcp.extend(packet.seq.to_be_bytes());
    tcp.extend(packet.ack.to_be_bytes());
    tcp.extend([if packet.mss.is_some() { 0x60 } else { 0x50 }, packet.flags]);
    tcp.extend(packet.window.to_be_bytes());
    tcp.extend([0; 4]);
    if let Some(mss) = packet.mss {
        tcp.extend([2, 4]);
        tcp.extend(mss.to_be_bytes());
    }
    tcp.extend_from_slice(&packet.payload);
    let sum = checksum(&[&pseudo_header(source, destination, tcp.len()), &tcp]);
    tcp[16..18].copy_from_slice(&sum);
    tcp
}

/// What TCP's checksum covers besides the segment (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo_header(source: SocketAddr, destination: SocketAddr, length: usize) -> Vec<u8> {
    let mut header = octets(source.ip());
    header.extend(octets(destination.ip()));
    header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    header.extend([0, 0, 0, 6]);
    header
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A length as IP writes it; what doesn't fit is a mistake of the script.
fn be16(length: usize) -> [u8; 2] {
    u16::try_from(length)
        .unwrap_or_else(|_| panic!("{length} bytes don't fit into an IP packet"))
        .to_be_bytes()
}

/// The Internet checksum (RFC 1071) of parts, all but the last of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let words = words.map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    // 64 KB are 32 K words: the sum fits.
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(!sum & 0xffff).unwrap_or(0).to_be_bytes()
}
