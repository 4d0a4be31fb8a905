//! From packet bytes to a TCP segment's place and fields: Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with
//! extension headers, TCP with options. One parser for XDP and TC, over [`Packet`].

use aya_ebpf::{macros::map, maps::PerCpuArray};
use shadow_common::Counter;

use crate::verifier::{opaque, put_down};

/// Bytes of a packet by offset, as the hook allows to read them.
pub trait Packet {
    /// The value at `offset`, or `None` if the packet ends before it does. The bytes may be unaligned.
    fn load<T: Copy>(&self, offset: usize) -> Option<T>;

    /// Copies `len` bytes from `offset` to where `to` points; says whether they were there. `to` must have room for them,
    /// and `len` bounds that the verifier knows.
    fn load_into(&self, offset: u32, to: *mut u8, len: u32) -> bool;

    /// The packet's length in bytes, link header included; `None` where the hook doesn't know (XDP fragments).
    fn len(&self) -> Option<u32>;

    /// The ethertype of a packet whose first byte is that of the network header; `None` if a link header comes first.
    fn without_link_header(&self) -> Option<u16>;
}

/// Where a segment's parts are and what its header says.
pub struct Segment {
    pub source_addr: [u8; 16],
    pub dest_addr: [u8; 16],
    pub source_port: u16,
    pub dest_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    /// Offset of the payload from the packet's first byte.
    pub payload_offset: u32,
    /// Payload bytes by the IP header (Ethernet padding is none of it).
    pub payload_len: u32,
}

/// Where a parsed segment is put down.
#[map]
static SEGMENT: PerCpuArray<Segment> = PerCpuArray::with_max_entries(1, 0);

impl Segment {
    /// The same, of which the verifier knows nothing. See [`put_down`].
    #[inline(always)]
    pub fn put_down(self) -> Option<&'static Self> {
        put_down(&SEGMENT, self)
    }
}

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

/// No headers are longer.
const MAX_HEADERS: usize = 4096;

/// An offset that the verifier lets be added to a packet pointer, as it is known to be small. The mask changes nothing but
/// what is known: kernels before 6.6 or so forget a comparison when the number goes to the stack.
#[inline(always)]
pub fn bounded(offset: usize) -> Option<usize> {
    if offset < MAX_HEADERS { Some(opaque(offset as u64) as usize & (MAX_HEADERS - 1)) } else { None }
}

const MAX_VLAN_TAGS: usize = 2;
/// Extension headers followed before a packet counts as malformed.
const MAX_EXTENSIONS: usize = 8;

const PROTOCOL_TCP: u8 = 6;
const EXT_HOP_BY_HOP: u8 = 0;
const EXT_ROUTING: u8 = 43;
const EXT_FRAGMENT: u8 = 44;
const EXT_AUTHENTICATION: u8 = 51;
const EXT_DESTINATION: u8 = 60;

// Each header is loaded whole, by one bounds check: the verifier loses track of several checks on parts of one header
// at a variable offset. Fields are byte arrays, so nothing is aligned, and fields that nobody reads cost nothing.

#[repr(C)]
#[derive(Clone, Copy)]
struct Ethernet {
    addresses: [u8; 12],
    ethertype: [u8; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct VlanTag {
    control: [u8; 2],
    ethertype: [u8; 2],
}

/// RFC 791 section 3.1, without options.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv4 {
    version_and_length: u8,
    service: u8,
    total_len: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum: [u8; 2],
    source: [u8; 4],
    dest: [u8; 4],
}

/// RFC 8200 section 3.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv6 {
    version: u8,
    flow: [u8; 3],
    payload_len: [u8; 2],
    next: u8,
    hop_limit: u8,
    source: [u8; 16],
    dest: [u8; 16],
}

/// The first 8 bytes of an extension header: no header is shorter (RFC 8200 section 4).
#[repr(C)]
#[derive(Clone, Copy)]
struct Extension {
    next: u8,
    len: u8,
    /// Offset and flags of a fragment header.
    fragment: [u8; 2],
    rest: [u8; 4],
}

/// RFC 9293 section 3.1, without options.
#[repr(C)]
#[derive(Clone, Copy)]
struct Tcp {
    source: [u8; 2],
    dest: [u8; 2],
    seq: [u8; 4],
    ack: [u8; 4],
    data_offset: u8,
    flags: u8,
    window: [u8; 2],
    checksum: [u8; 2],
    urgent: [u8; 2],
}

/// The network layer's answer: who, and where the TCP header begins and the datagram ends.
struct Datagram {
    source_addr: [u8; 16],
    dest_addr: [u8; 16],
    transport: usize,
    end: usize,
}

/// Finds the TCP segment in a packet.
///
/// # Errors
/// The counter that says why there is none.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P) -> Result<Segment, Counter> {
    let (ethertype, network) = match packet.without_link_header() {
        Some(ethertype) => (ethertype, 0),
        None => link(packet)?,
    };
    let datagram = match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, network)?,
        ETHERTYPE_IPV6 => ipv6(packet, network)?,
        _ => return Err(Counter::NotTcp),
    };
    tcp(packet, &datagram)
}

#[inline(always)]
fn link<P: Packet>(packet: &P) -> Result<(u16, usize), Counter> {
    let mut ethertype = u16::from_be_bytes(load::<Ethernet, P>(packet, 0)?.ethertype);
    let mut network = size_of::<Ethernet>();
    for _ in 0..MAX_VLAN_TAGS {
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ {
            break;
        }
        ethertype = u16::from_be_bytes(load::<VlanTag, P>(packet, network)?.ethertype);
        network += size_of::<VlanTag>();
    }
    Ok((ethertype, network))
}

#[inline(always)]
fn ipv4<P: Packet>(packet: &P, at: usize) -> Result<Datagram, Counter> {
    let header: Ipv4 = load(packet, at)?;
    let header_len = usize::from(header.version_and_length & 0x0f) * 4;
    if header.version_and_length >> 4 != 4 || header_len < size_of::<Ipv4>() {
        return Err(Counter::Malformed);
    }
    if header.protocol != PROTOCOL_TCP {
        return Err(Counter::NotTcp);
    }
    // More-fragments flag or a fragment offset.
    if u16::from_be_bytes(header.fragment) & 0x3fff != 0 {
        return Err(Counter::Fragment);
    }
    let end = end(packet, at, usize::from(u16::from_be_bytes(header.total_len)))?;
    if end < at + header_len {
        return Err(Counter::Malformed);
    }
    let (source_addr, dest_addr) = (mapped(header.source), mapped(header.dest));
    Ok(Datagram { source_addr, dest_addr, transport: at + header_len, end })
}

#[inline(always)]
fn ipv6<P: Packet>(packet: &P, at: usize) -> Result<Datagram, Counter> {
    let header: Ipv6 = load(packet, at)?;
    if header.version >> 4 != 6 {
        return Err(Counter::Malformed);
    }
    let payload_len = usize::from(u16::from_be_bytes(header.payload_len));
    let len = if payload_len == 0 { 0 } else { size_of::<Ipv6>() + payload_len };
    let end = end(packet, at, len)?;
    let (mut next, mut transport) = (header.next, at + size_of::<Ipv6>());
    for _ in 0..MAX_EXTENSIONS {
        if next == PROTOCOL_TCP {
            break;
        }
        let extension: Extension = load(packet, transport)?;
        transport += match next {
            EXT_HOP_BY_HOP | EXT_ROUTING | EXT_DESTINATION => (usize::from(extension.len) + 1) * 8,
            EXT_AUTHENTICATION => (usize::from(extension.len) + 2) * 4,
            // An atomic fragment (offset 0, no more) is a whole datagram: RFC 6946.
            EXT_FRAGMENT if u16::from_be_bytes(extension.fragment) & 0xfff9 == 0 => size_of::<Extension>(),
            EXT_FRAGMENT => return Err(Counter::Fragment),
            _ => return Err(Counter::NotTcp),
        };
        next = extension.next;
    }
    if next != PROTOCOL_TCP || end < transport {
        return Err(Counter::Malformed);
    }
    Ok(Datagram { source_addr: header.source, dest_addr: header.dest, transport, end })
}

#[inline(always)]
fn tcp<P: Packet>(packet: &P, datagram: &Datagram) -> Result<Segment, Counter> {
    let at = datagram.transport;
    let header: Tcp = load(packet, at)?;
    let header_len = usize::from(header.data_offset >> 4) * 4;
    if header_len < size_of::<Tcp>() || at + header_len > datagram.end {
        return Err(Counter::Malformed);
    }
    Ok(Segment {
        source_addr: datagram.source_addr,
        dest_addr: datagram.dest_addr,
        source_port: u16::from_be_bytes(header.source),
        dest_port: u16::from_be_bytes(header.dest),
        seq: u32::from_be_bytes(header.seq),
        ack: u32::from_be_bytes(header.ack),
        flags: header.flags,
        payload_offset: (at + header_len) as u32,
        payload_len: (datagram.end - at - header_len) as u32,
    })
}

/// The datagram's end as an offset. A length of 0 means BIG TCP: longer than the field can say, so to the packet's end.
#[inline(always)]
fn end<P: Packet>(packet: &P, at: usize, len: usize) -> Result<usize, Counter> {
    match packet.len() {
        Some(packet_len) if len == 0 => Ok(packet_len as usize),
        Some(packet_len) if at + len > packet_len as usize => Err(Counter::Malformed),
        _ => Ok(at + len),
    }
}

#[inline(always)]
fn load<T: Copy, P: Packet>(packet: &P, offset: usize) -> Result<T, Counter> {
    packet.load(offset).ok_or(Counter::Malformed)
}

/// `::ffff:a.b.c.d`
#[inline(always)]
fn mapped(v4: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]]
}
