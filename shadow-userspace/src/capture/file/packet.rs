//! From a captured frame to its TCP segment: IPv4 with options, IPv6 with extension headers, TCP with options.
//!
//! Lengths are the IP header's (an Ethernet frame may be padded); the frame only bounds what was captured of them. No
//! byte is read that wasn't checked to be there, and nothing is copied.

use super::link::Link;

/// One side of a connection. An IPv4 address is mapped, as in [`shadow_common::FlowKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) addr: [u8; 16],
    pub(super) port: u16,
}

/// A TCP segment in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) source: Endpoint,
    pub(super) dest: Endpoint,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    /// By the IP header; more than `payload` has if the capture cut it short.
    pub(super) payload_len: u32,
    pub(super) payload: &'a [u8],
    /// Where the payload begins in the frame.
    pub(super) payload_at: usize,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSegment {
    NotTcp,
    UnknownLink,
    Fragment,
    Malformed,
}

/// Extension headers followed before a packet counts as malformed.
const MAX_EXTENSIONS: usize = 8;

const PROTOCOL_TCP: u8 = 6;
const EXT_HOP_BY_HOP: u8 = 0;
const EXT_ROUTING: u8 = 43;
const EXT_FRAGMENT: u8 = 44;
const EXT_AUTHENTICATION: u8 = 51;
const EXT_DESTINATION: u8 = 60;

/// Who, where the TCP header begins in the frame, and where the datagram ends on the wire.
struct Datagram {
    source: [u8; 16],
    dest: [u8; 16],
    transport: usize,
    end: usize,
}

/// Finds the TCP segment in a frame that had `wire_len` bytes before it was cut short.
#[inline]
pub(super) fn parse(link: Link, frame: &[u8], wire_len: u32) -> Result<Packet<'_>, NoSegment> {
    if matches!(link, Link::Unknown(_)) {
        return Err(NoSegment::UnknownLink);
    }
    let at = link.network(frame).ok_or(NoSegment::NotTcp)?;
    let wire_len = frame.len().max(wire_len as usize);
    let datagram = match frame.get(at).map(|byte| byte >> 4) {
        Some(4) => ipv4(frame, at, wire_len)?,
        Some(6) => ipv6(frame, at, wire_len)?,
        Some(_) => return Err(NoSegment::NotTcp),
        None => return Err(NoSegment::Malformed),
    };
    tcp(frame, &datagram)
}

/// RFC 791 section 3.1.
#[inline]
fn ipv4(frame: &[u8], at: usize, wire_len: usize) -> Result<Datagram, NoSegment> {
    let &[first, _, len0, len1, _, _, frag0, frag1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        chunk::<20>(frame, at)?;
    if protocol != PROTOCOL_TCP {
        return Err(NoSegment::NotTcp);
    }
    // More-fragments flag or a fragment offset.
    if u16::from_be_bytes([frag0, frag1]) & 0x3fff != 0 {
        return Err(NoSegment::Fragment);
    }
    let header_len = usize::from(first & 0x0f) * 4;
    // 0 where the capture was made before segmentation offload, or is longer than the field can say (BIG TCP).
    let len = match usize::from(u16::from_be_bytes([len0, len1])) {
        0 => wire_len - at,
        len => len,
    };
    if header_len < 20 || len < header_len {
        return Err(NoSegment::Malformed);
    }
    let (source, dest) = (mapped([s0, s1, s2, s3]), mapped([d0, d1, d2, d3]));
    Ok(Datagram { source, dest, transport: at + header_len, end: at + len })
}

/// RFC 8200 sections 3 and 4.
#[inline]
fn ipv6(frame: &[u8], at: usize, wire_len: usize) -> Result<Datagram, NoSegment> {
    let header = chunk::<40>(frame, at)?;
    let &[_, _, _, _, len0, len1, mut next, ..] = header;
    let part = |at: usize| header.get(at..).and_then(|part| part.first_chunk()).copied().unwrap_or_default();
    let end = match usize::from(u16::from_be_bytes([len0, len1])) {
        0 => wire_len,
        len => at + 40 + len,
    };
    let mut transport = at + 40;
    for _ in 0..MAX_EXTENSIONS {
        if next == PROTOCOL_TCP {
            break;
        }
        let len;
        (next, len) = extension(next, frame, transport)?;
        transport += len;
    }
    if next != PROTOCOL_TCP {
        return Err(NoSegment::Malformed);
    }
    Ok(Datagram { source: part(8), dest: part(24), transport, end })
}

/// What follows an extension header of type `kind`, and its length in bytes.
#[cold]
fn extension(kind: u8, frame: &[u8], at: usize) -> Result<(u8, usize), NoSegment> {
    if !matches!(kind, EXT_HOP_BY_HOP | EXT_ROUTING | EXT_DESTINATION | EXT_AUTHENTICATION | EXT_FRAGMENT) {
        return Err(NoSegment::NotTcp);
    }
    let &[next, len, offset0, offset1, ..] = chunk::<8>(frame, at)?;
    let len = match kind {
        EXT_AUTHENTICATION => (usize::from(len) + 2) * 4,
        // An atomic fragment (offset 0, no more) is a whole datagram: RFC 6946.
        EXT_FRAGMENT if u16::from_be_bytes([offset0, offset1]) & 0xfff9 == 0 => 8,
        EXT_FRAGMENT => return Err(NoSegment::Fragment),
        _ => (usize::from(len) + 1) * 8,
    };
    Ok((next, len))
}

/// RFC 9293 section 3.1.
#[inline]
fn tcp<'a>(frame: &'a [u8], datagram: &Datagram) -> Result<Packet<'a>, NoSegment> {
    let at = datagram.transport;
    let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, data_offset, flags, ..] = chunk::<20>(frame, at)?;
    let header_len = usize::from(data_offset >> 4) * 4;
    let payload_at = at + header_len;
    let payload_len = datagram.end.checked_sub(payload_at).filter(|_| header_len >= 20);
    let payload_len = payload_len.ok_or(NoSegment::Malformed)?;
    // A snapped header is no error; what isn't there of the payload is a hole.
    let captured = frame.get(payload_at..).unwrap_or_default();
    Ok(Packet {
        source: Endpoint { addr: datagram.source, port: u16::from_be_bytes([s0, s1]) },
        dest: Endpoint { addr: datagram.dest, port: u16::from_be_bytes([d0, d1]) },
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        payload_len: u32::try_from(payload_len).map_err(|_| NoSegment::Malformed)?,
        payload: captured.get(..payload_len).unwrap_or(captured),
        payload_at,
    })
}

#[inline]
fn chunk<const N: usize>(frame: &[u8], at: usize) -> Result<&[u8; N], NoSegment> {
    frame.get(at..).and_then(|rest| rest.first_chunk()).ok_or(NoSegment::Malformed)
}

/// `::ffff:a.b.c.d`
#[inline]
const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
