//! Every shape that a segment of a service port may have on the wire: exported whole, or counted.

use shadow_common::{
    Counter, Direction,
    tcp_flags::{ACK, FIN, PSH, RST, SYN, URG},
};

use crate::{
    frame::Frame,
    harness::Kernel,
    talk::{OPEN, SAMPLED, Talk, brief, seq},
};

const GET: &[u8] = b"GET /shape HTTP/1.1\r\nHost: a\r\n\r\n";

/// One frame of every shape.
pub fn shapes() -> Vec<(&'static str, Frame)> {
    let base = Frame { payload: GET.to_vec(), ..Frame::default() };
    let v6 = Frame { ipv6: true, ..base.clone() };
    // Options headers of 8 and 16 bytes, less the next-header byte.
    let short = || vec![0, 1, 4, 0, 0, 0, 0];
    let long = || vec![1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let extensions = |list: Vec<(u8, Vec<u8>)>| Frame { extensions: list, ..v6.clone() };
    let large = [b"POST / HTTP/1.1\r\nContent-Length: 3200\r\n\r\n".to_vec(), vec![0x61; 3200]].concat();
    vec![
        ("IPv4", base.clone()),
        ("IPv4 with options", Frame { ipv4_options: 40, ..base.clone() }),
        ("IPv4 with TCP options", Frame { tcp_options: 40, ..base.clone() }),
        ("IPv4 with both", Frame { tcp_options: 12, ipv4_options: 4, ..base.clone() }),
        ("IPv4 with Ethernet padding", Frame { padding: 17, ..base.clone() }),
        ("one VLAN tag", Frame { vlans: vec![(0x8100, 5)], ..base.clone() }),
        ("two VLAN tags", Frame { vlans: vec![(0x88a8, 5), (0x8100, 6)], ..base.clone() }),
        ("large segment", Frame { payload: large, ..base.clone() }),
        ("zero window", Frame { window: 0, ..base.clone() }),
        ("FIN with payload", Frame { flags: FIN | ACK | PSH, ..base.clone() }),
        ("RST with payload", Frame { flags: RST | ACK, ..base.clone() }),
        ("urgent data", Frame { flags: URG | ACK | PSH, ..base.clone() }),
        ("no flags at all", Frame { flags: 0, ..base.clone() }),
        ("IPv6", v6.clone()),
        ("IPv6 hop-by-hop", extensions(vec![(0, short())])),
        ("IPv6 destination", extensions(vec![(60, long())])),
        ("IPv6 routing and destination", extensions(vec![(43, short()), (60, short())])),
        ("IPv6 all three", extensions(vec![(0, long()), (43, short()), (60, long())])),
        ("IPv6 authentication", extensions(vec![(51, [&[4, 0, 0][..], &[7; 20]].concat())])),
        ("IPv6 atomic fragment", extensions(vec![(44, vec![0, 0, 0, 0, 0, 0, 1])])),
        ("IPv6 in VLAN", Frame { vlans: vec![(0x8100, 5)], ..v6.clone() }),
    ]
}

/// The flow's SYN.
fn syn_of(frame: &Frame) -> Frame {
    Frame { flags: SYN, seq: frame.seq.wrapping_sub(1), payload: Vec::new(), ..frame.clone() }
}

/// With XDP before it too, whose tag then got lost: what is decided twice is decided alike.
#[test]
fn every_shape_is_exported_whole() {
    for with_tag in [false, true] {
        for (name, frame) in shapes() {
            let Some(mut kernel) = Kernel::new("100%") else { return };
            kernel.with_tag = with_tag;
            frame.handshake().iter().for_each(|frame| kernel.send(frame));
            assert!(kernel.record(|_| ()).is_none(), "{name}: a SYN is no news");
            kernel.send(&frame);
            let same = kernel.record(|segment| {
                assert_eq!(segment.payload, frame.payload, "{name}");
                assert_eq!(segment.payload_len as usize, frame.payload.len(), "{name}");
                assert_eq!((segment.seq, segment.ack, segment.flags), (frame.seq, 77, frame.flags), "{name}");
                assert_eq!((segment.run.start, segment.run.mark), (frame.seq, SAMPLED), "{name}");
                assert_eq!((segment.flow.client_port, segment.flow.service_port), frame.ports, "{name}");
                assert_eq!(segment.flow.client_addr[15], frame.host, "{name}");
                assert_eq!(segment.direction, Direction::ToService, "{name}");
            });
            assert!(same.is_some(), "{name}: no record; {:?}", kernel.counters());
            let counters = kernel.counters();
            let expected = [(Counter::Matched, 3), (Counter::Exported, 1), (Counter::RequestsFramed, 1)];
            for (counter, count) in expected {
                assert_eq!(counters.get(counter), count, "{name}: {counter:?} of {counters:?}");
            }
            assert_eq!(counters.get(Counter::ExportedBytes), frame.payload.len() as u64, "{name}");
            assert!(counters.is_balanced(), "{name}");
        }
    }
}

/// XDP sees jumbo frames, in fragments where its buffers are smaller.
#[test]
fn xdp_frames_requests_in_jumbo_frames() {
    let Some(mut kernel) = Kernel::new("100%") else { return };
    let head = b"POST /jumbo HTTP/1.1\r\nContent-Length: 8000\r\n\r\n".to_vec();
    let frame = Frame { payload: [head, vec![7; 8000]].concat(), ..Frame::default() };
    frame.handshake().iter().for_each(|frame| kernel.tag(&frame.bytes()).unwrap());
    kernel.tag(&frame.bytes()).unwrap();
    let next = frame.seq + frame.payload.len() as u32;
    kernel.tag(&Frame { seq: next, payload: GET.to_vec(), ..frame }.bytes()).unwrap();
    assert_eq!((kernel.count(Counter::RequestsFramed), kernel.count(Counter::XdpTagged)), (2, 4));
    assert_eq!((kernel.count(Counter::XdpSeen), kernel.count(Counter::XdpUntagged)), (4, 0));
}

/// BIG TCP: a length of 0 says that the datagram goes on to the packet's end. XDP, which sees none, leaves it alone.
#[test]
fn a_length_of_zero_means_the_whole_packet() {
    let base = Frame { payload: GET.to_vec(), ..Frame::default() };
    for frame in [base.clone(), Frame { ipv6: true, ..base }] {
        let Some(mut kernel) = Kernel::new("100%") else { return };
        frame.handshake().iter().for_each(|frame| kernel.send(frame));
        let mut bytes = frame.bytes();
        let length = if frame.ipv6 { 18..20 } else { 16..18 };
        bytes[length].fill(0);
        kernel.tag(&bytes).unwrap();
        kernel.export(&bytes).unwrap();
        assert_eq!(kernel.record(|segment| segment.payload.to_vec()), Some(GET.to_vec()));
        assert_eq!(kernel.count(Counter::XdpTagged), 0);
    }
}

/// TCP Fast Open: the first bytes come with the SYN, and whether the service takes them isn't known yet.
#[test]
fn payload_in_the_syn_is_not_believed() {
    for (received, exported) in [(0, vec![(0, SAMPLED, GET.len())]), (GET.len() as i32, vec![])] {
        let Some(kernel) = Kernel::new("100%") else { return };
        let mut talk = Talk::new(kernel);
        assert_eq!(talk.frame(Frame { flags: SYN, ..talk.request(-1, GET) }), []);
        talk.frame(Frame { flags: SYN | ACK, ack: seq(received), ..talk.answer(b"") });
        // Sent once more without the SYN, as after a refused cookie.
        assert_eq!(brief(&talk.client(GET)), exported);
        // In any case the connection is followed from the next request on.
        talk.service(b"HTTP/1.1 200 OK\r\n\r\n");
        let (start, records) = (talk.at, talk.client(GET));
        assert_eq!((records[0].start, records[0].mark & SAMPLED), (start, SAMPLED));
    }
}

/// Which byte an urgent pointer takes out of the stream is open.
#[test]
fn behind_urgent_data_nothing_is_a_request() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let urgent = Frame { flags: URG | ACK, ..talk.request(0, GET) };
    assert_eq!(brief(&talk.frame(urgent)), [(0, SAMPLED, GET.len())]);
    assert_eq!(talk.client_at(GET.len() as i32, GET), []);
    assert_eq!(talk.kernel.count(Counter::AfterLast), 1);
    // Nor in an open run: what there is of it the agent has to judge.
    talk.base.ports.0 += 1;
    talk.syn();
    let urgent = Frame { flags: URG | ACK, ..talk.request(0, &[GET, GET].concat()) };
    assert_eq!(brief(&talk.frame(urgent)), [(0, SAMPLED | OPEN, 2 * GET.len())]);
    assert_eq!(talk.client_at(2 * GET.len() as i32, GET), []);
    assert_eq!(talk.kernel.count(Counter::LeftAlone), 1);
    let fin = talk.frame(Frame { flags: FIN | ACK, ..talk.request(2 * GET.len() as i32, b"") });
    assert_eq!((fin.len(), fin[0].flags & FIN, fin[0].mark), (1, FIN, 0));
}

#[test]
fn keepalive_and_window_probes_change_nothing() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(GET);
    let end = GET.len() as i32;
    // A byte that was acknowledged, or none (RFC 9293 section 3.8.4).
    assert_eq!(brief(&talk.client_at(end - 1, b"\n")), [(0, SAMPLED, 1)]);
    assert_eq!(talk.client_at(end - 1, b""), []);
    // The first byte of what didn't fit the window: not enough to frame.
    assert_eq!(brief(&talk.client(b"G")), [(end, SAMPLED | OPEN, 1)]);
    assert!(talk.kernel.counters().is_balanced());
}

#[test]
fn what_is_not_exported_has_its_counter() {
    let base = Frame { payload: GET.to_vec(), ..Frame::default() };
    let v6_fragment =
        |offset| Frame { ipv6: true, extensions: vec![(44, vec![0, 0, offset, 0, 0, 0, 1])], ..base.clone() };
    let mut udp = base.bytes();
    udp[23] = 17;
    let mut arp = base.bytes();
    arp[12..14].copy_from_slice(&[8, 6]);
    let with = |frame: &Frame, at: usize, byte| {
        let mut bytes = frame.bytes();
        bytes[at] = byte;
        bytes
    };
    let empty = Frame { payload: Vec::new(), padding: 40, ..base.clone() };
    let v6 = Frame { ipv6: true, ..base.clone() };
    // Four bytes before its TCP header begins what could be one.
    let early = Frame { ack: 0x5000_0000, ..base.clone() };
    let cut = base.bytes().len() - 1;
    let cases: [(&str, Vec<u8>, Counter); 17] = [
        ("UDP", udp, Counter::NotTcp),
        ("ARP", arp, Counter::NotTcp),
        ("first fragment", Frame { ipv4_fragment: 0x2000, ..base.clone() }.bytes(), Counter::Fragment),
        ("later fragment", Frame { ipv4_fragment: 0x0010, ..base.clone() }.bytes(), Counter::Fragment),
        ("IPv6 first fragment", v6_fragment(1).bytes(), Counter::Fragment),
        ("IPv6 last fragment", v6_fragment(8).bytes(), Counter::Fragment),
        ("TCP header too short", with(&base, 46, 0x40), Counter::Malformed),
        ("TCP header longer than the datagram", with(&empty, 46, 0xf0), Counter::Malformed),
        ("IPv4 header too short", with(&early, 14, 0x44), Counter::Malformed),
        ("IPv4 by its ethertype only", with(&base, 14, 0x65), Counter::Malformed),
        ("IPv6 by its ethertype only", with(&v6, 14, 0x40), Counter::Malformed),
        ("datagram cut short", base.bytes()[..60].to_vec(), Counter::Malformed),
        ("datagram cut short by a byte", base.bytes()[..cut].to_vec(), Counter::Malformed),
        ("other ports", Frame { ports: (1, 2), ..base.clone() }.bytes(), Counter::OtherPort),
        ("no SYN seen", base.bytes(), Counter::UnknownFlow),
        ("no payload", Frame { payload: Vec::new(), flags: ACK, ..base.clone() }.bytes(), Counter::Empty),
        ("SYN", syn_of(&base).bytes(), Counter::Control),
    ];
    for (name, bytes, reason) in cases {
        let Some(mut kernel) = Kernel::new("100%") else { return };
        kernel.export(&bytes).unwrap();
        let counters = kernel.counters();
        assert_eq!(counters.get(reason), 1, "{name}: {counters:?}");
        assert!(counters.is_balanced(), "{name}");
        assert!(kernel.record(|_| ()).is_none(), "{name}: exported");
    }
}

/// What was received remembers its device, also on its way out by another.
#[test]
fn each_program_counts_what_it_sees() {
    let Some(mut kernel) = Kernel::new("100%") else { return };
    let frame = Frame::default().bytes();
    const COUNTERS: [Counter; 3] = [Counter::XdpSeen, Counter::IngressSeen, Counter::EgressSeen];
    for (came_by, seen) in [(1_u32, [0, 1, 0]), (0, [0, 1, 1]), (7, [0, 1, 2])] {
        kernel.export_from(&frame, came_by).unwrap();
        assert_eq!(COUNTERS.map(|counter| kernel.count(counter)), seen);
    }
    kernel.tag(&frame).unwrap();
    assert_eq!(COUNTERS.map(|counter| kernel.count(counter)), [1, 1, 2]);
}
