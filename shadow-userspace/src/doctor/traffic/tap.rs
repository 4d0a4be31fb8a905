//! A look at an interface's packets by a packet socket: their first bytes, without their link header, for a while. The
//! packets pass as they would.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    time::{Duration, Instant},
};

use etherparse::{EtherType, LaxSlicedPacket, TransportSlice};
use nix::{
    errno::Errno,
    libc::{ETH_P_ALL, PACKET_OUTGOING, SKF_AD_IFINDEX, SKF_AD_OFF},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{LinkAddr, recvfrom},
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::netlink::link::{Layer, Link};

/// So many bytes of a packet are looked at.
const SNAP: usize = 512;

/// Classic BPF (linux/filter.h): load a word, jump if equal, return.
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// A TCP segment of which the first bytes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    /// The sender's port.
    pub(super) source: u16,
    /// The receiver's port.
    pub(super) destination: u16,
    /// The first bytes of the payload.
    pub(super) payload: &'a [u8],
}

/// A socket that receives a copy of every packet of one interface.
#[derive(Debug)]
pub(super) struct Tap {
    socket: Socket,
    index: usize,
    /// On the loopback a packet is seen leaving and arriving: once is enough.
    arriving_only: bool,
}

impl Tap {
    /// Opens the socket.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW.
    pub(super) fn open(link: &Link) -> io::Result<Self> {
        // The protocol is in network order here, as in the address.
        let protocol = Protocol::from(i32::from((ETH_P_ALL as u16).to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        // A filter instead of an address, whose kind no safe interface makes. It also cuts the copy.
        socket.attach_filter(&[
            SockFilter::new(LOAD_WORD, 0, 0, (SKF_AD_OFF + SKF_AD_IFINDEX).cast_unsigned()),
            SockFilter::new(JUMP_EQUAL, 0, 1, link.index),
            SockFilter::new(RETURN, 0, 0, SNAP as u32),
            SockFilter::new(RETURN, 0, 0, 0),
        ])?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, index: link.index as usize, arriving_only: link.layer == Layer::Loopback })
    }

    /// Hands every TCP segment that passes within `time` to `each`.
    ///
    /// # Errors
    /// If the socket fails.
    pub(super) fn watch(&self, time: Duration, mut each: impl FnMut(Seen<'_>)) -> io::Result<()> {
        let end = Instant::now() + time;
        let mut buffer = [0; SNAP];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Ok((length, Some(address))) => {
                    if self.wants(&address)
                        && let Some(packet) = buffer.get(..length)
                        && let Some(seen) = segment(u16::from_be(address.protocol()), packet)
                    {
                        each(seen);
                    }
                }
                Ok((_, None)) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(left)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Packets that came between the socket and its filter are of any interface.
    fn wants(&self, address: &LinkAddr) -> bool {
        address.ifindex() == self.index && !(self.arriving_only && address.pkttype() == PACKET_OUTGOING)
    }

    fn wait(&self, time: Duration) -> io::Result<()> {
        let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The TCP segment in a packet that begins behind its link header, if it is one; the packet may be cut.
fn segment(ether_type: u16, packet: &[u8]) -> Option<Seen<'_>> {
    match LaxSlicedPacket::from_ether_type(EtherType(ether_type), packet).transport? {
        TransportSlice::Tcp(tcp) => Some(Seen {
            source: tcp.source_port(),
            destination: tcp.destination_port(),
            payload: tcp.payload(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader, ether_type};

    use super::*;

    fn packet(builder: PacketBuilderStep<TcpHeader>, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    #[test]
    fn segments_are_found_with_and_without_a_vlan_tag_and_when_cut() {
        let seen = Some(Seen { source: 4000, destination: 80, payload: b"GET /" });
        let v4 = packet(PacketBuilder::ipv4([1; 4], [2; 4], 64).tcp(4000, 80, 1, 512), b"GET /");
        let v6 = packet(PacketBuilder::ipv6([1; 16], [2; 16], 64).tcp(4000, 80, 1, 512), b"GET /");
        assert_eq!(segment(ether_type::IPV4.0, &v4), seen);
        assert_eq!(segment(ether_type::IPV6.0, &v6), seen);
        let tagged = [&[0, 5, 0x08, 0x00], v4.as_slice()].concat();
        assert_eq!(segment(ether_type::VLAN_TAGGED_FRAME.0, &tagged), seen);
        let long = packet(PacketBuilder::ipv4([1; 4], [2; 4], 64).tcp(4000, 80, 1, 512), &[b'a'; 1000]);
        let cut = segment(ether_type::IPV4.0, &long[..SNAP]).unwrap();
        assert_eq!(cut.payload, [b'a'; SNAP - 40]);
    }

    #[test]
    fn everything_else_is_left_alone() {
        let mut udp = Vec::new();
        PacketBuilder::ipv4([1; 4], [2; 4], 64).udp(4000, 80).write(&mut udp, b"GET /").unwrap();
        assert_eq!(segment(ether_type::IPV4.0, &udp), None);
        assert_eq!(segment(ether_type::ARP.0, &udp), None);
        assert_eq!(segment(ether_type::IPV4.0, &udp[..30]), None);
        assert_eq!(segment(ether_type::IPV6.0, &[]), None);
    }
}
