//! What a frame's headers say, and where they lie.

use super::*;
use crate::capture::file::testing::{Tcp, ethernet};

fn raw(ip: &[u8]) -> Result<Packet<'_>, NoSegment> {
    parse(Link::Raw, ip, 0)
}

fn hello() -> Tcp<'static> {
    Tcp { payload: b"hello", ..Tcp::default() }
}

fn changed(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
}

#[test]
fn both_ends_are_told_apart() {
    let [v4, v6] = [hello().ipv4(&[]), hello().ipv6(6, &[])];
    let (mut client, mut service) = ([0xfd; 16], [0xfd; 16]);
    (client[15], service[15]) = (1, 2);
    for (ip, client, service) in [(v4, mapped([10, 0, 0, 1]), mapped([10, 0, 0, 2])), (v6, client, service)] {
        let packet = raw(&ip).unwrap();
        assert_eq!(packet.source, Endpoint { addr: client, port: 40_000 });
        assert_eq!(packet.dest, Endpoint { addr: service, port: 80 });
    }
}

#[test]
fn padding_is_no_payload() {
    for ip in [hello().ipv4(&[]), hello().ipv6(6, &[])] {
        let padded = [&ip[..], &[0; 7]].concat();
        let packet = raw(&padded).unwrap();
        assert_eq!((packet.payload, packet.payload_len), (&b"hello"[..], 5));
    }
}

/// Before segmentation offload the IP header has no length: the frame's is it.
#[test]
fn without_a_length_the_frame_has_it() {
    for (at, ip) in [(16, hello().ipv4(&[])), (18, hello().ipv6(6, &[]))] {
        let frame = changed(changed(ethernet(&[], &ip), at, 0), at + 1, 0);
        for (wire_len, payload_len) in [(frame.len(), 5), (frame.len() + 9, 14), (0, 5)] {
            let packet = parse(Link::Ethernet, &frame, wire_len as u32).unwrap();
            assert_eq!((packet.payload, packet.payload_len), (&b"hello"[..], payload_len));
        }
    }
}

#[test]
fn headers_have_a_least_length() {
    // Were 16 bytes enough, these would be a TCP header of 20.
    let short = Tcp { ack: 0x5000_0000, ..hello() }.ipv4(&[]);
    assert_eq!(raw(&changed(short, 0, 0x44)), Err(NoSegment::Malformed));
    // Without options.
    let packet = changed(hello().ipv4(&[]), 32, 5 << 4);
    assert_eq!(raw(&packet).unwrap().payload, [&[1; 12][..], b"hello"].concat());
    assert_eq!(raw(&changed(packet, 32, 4 << 4)), Err(NoSegment::Malformed));
    assert_eq!(raw(b""), Err(NoSegment::Malformed));
}

#[test]
fn fragments_are_told_by_offset_and_flag() {
    for (flags, is_fragment) in
        [(0, false), (0x40, false), (0x80, false), (0x20, true), (0x10, true), (1, true)]
    {
        let packet = changed(hello().ipv4(&[]), 6, flags);
        assert_eq!(raw(&packet).err(), is_fragment.then_some(NoSegment::Fragment), "{flags:#x}");
    }
    for (offset, is_fragment) in
        [([0, 0], false), ([0, 6], false), ([0, 1], true), ([0, 8], true), ([1, 0], true)]
    {
        let packet = hello().ipv6(44, &[6, 0, offset[0], offset[1], 0, 0, 0, 9]);
        assert_eq!(raw(&packet).err(), is_fragment.then_some(NoSegment::Fragment), "{offset:?}");
    }
}

#[test]
fn extension_headers_are_followed_so_far() {
    let chain = |length: usize| {
        let mut extensions = [60, 0, 0, 0, 0, 0, 0, 0].repeat(length);
        extensions[8 * (length - 1)] = 6;
        extensions
    };
    for (kind, extensions) in [(43, chain(1)), (60, chain(MAX_EXTENSIONS))] {
        assert_eq!(raw(&hello().ipv6(kind, &extensions)).unwrap().payload, b"hello");
    }
    assert_eq!(raw(&hello().ipv6(60, &chain(MAX_EXTENSIONS + 1))), Err(NoSegment::Malformed));
}

#[test]
fn other_links_and_protocols_are_no_segments() {
    let ip = hello().ipv4(&[]);
    for (link, before) in [
        (Link::Loopback, &[7, 0, 0, 0][..]),
        (Link::Ethernet, &ethernet(&[0x8100; 4], &ip)[..14 + 16]),
        (Link::Ethernet, &changed(ethernet(&[0x8100; 3], &ip), 25, 6)[..14 + 12]),
        (Link::Unknown(9), &[]),
    ] {
        let expected = if before.is_empty() { NoSegment::UnknownLink } else { NoSegment::NotTcp };
        assert_eq!(parse(link, &[before, &ip].concat(), 0), Err(expected), "{link:?}");
    }
}
