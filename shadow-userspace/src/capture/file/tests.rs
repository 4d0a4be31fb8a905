//! Files in, segments out: every format and link type, and files that are cut, damaged or something else.

use std::io::Cursor;

use shadow_common::{Direction, marks, tcp_flags::ACK};

use super::{
    frame::Order,
    testing::{Captured, Tcp, block, ethernet, ethertype, interface, packet, pcap, section},
    *,
};
use crate::capture::Run;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const AT_NS: u64 = 1_700_000_000_123_456_000;

fn source(file: &[u8], ports: &[u16]) -> Result<FileSource, FileError> {
    FileSource::read(Cursor::new(file.to_vec()), "test.pcap".to_owned(), ports)
}

/// Payload and its length on the wire, and time, of each segment; and the counts.
type Read = (Vec<(Vec<u8>, u32, u64)>, FileStats);

fn read(file: &[u8]) -> Result<Read, FileError> {
    let mut source = source(file, &[80])?;
    let mut segments = Vec::new();
    while let Some(segment) = source.next()? {
        segments.push((segment.payload.to_vec(), segment.payload_len, segment.timestamp_ns));
    }
    Ok((segments, *source.stats()))
}

fn get() -> Tcp<'static> {
    Tcp { payload: GET, ..Tcp::default() }
}

/// The frame of a request, captured whole.
fn request(bytes: Vec<u8>) -> Captured {
    Captured::whole(AT_NS, bytes)
}

/// That the file holds the request, and nothing else.
fn assert_request(file: &[u8], at_ns: u64, what: &str) {
    let (segments, stats) = read(file).unwrap();
    assert_eq!(segments, [(GET.to_vec(), GET.len() as u32, at_ns)], "{what}");
    assert_eq!((stats.packets, stats.segments, stats.truncated), (1, 1, 0), "{what}");
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    let frame = Captured::whole(AT_NS + 789, ethernet(&[], &get().ipv4(&[])));
    for order in [Order::Little, Order::Big] {
        for (in_nanoseconds, at_ns) in [(true, AT_NS + 789), (false, AT_NS)] {
            let file = pcap(order, in_nanoseconds, 1, std::slice::from_ref(&frame));
            assert_request(&file, at_ns, &format!("{order:?} {in_nanoseconds}"));
        }
    }
}

#[test]
fn a_segment_says_what_its_packet_says() {
    let tcp = Tcp { seq: u32::MAX, ack: 7, flags: ACK | 0x08, ..get() };
    let file = pcap(Order::Little, true, 1, &[request(ethernet(&[], &tcp.ipv4(&[])))]);
    let mut source = source(&file, &[80]).unwrap();
    let mapped = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
    let flow = shadow_common::FlowKey {
        client_addr: mapped(1),
        service_addr: mapped(2),
        client_port: 40_000,
        service_port: 80,
    };
    let mark = marks::SAMPLED | marks::OPEN | marks::UNCONFIRMED;
    let expected = Segment {
        flow,
        direction: Direction::ToService,
        seq: u32::MAX,
        ack: 7,
        flags: ACK | 0x08,
        timestamp_ns: AT_NS,
        run: Run { start: u32::MAX, mark },
        payload_len: GET.len() as u32,
        payload: GET,
    };
    assert_eq!(source.next().unwrap(), Some(expected));
    assert_eq!(source.next().unwrap(), None);
    assert_eq!(source.next().unwrap(), None);
}

#[test]
fn every_link_type() {
    let (v4, v6) = (get().ipv4(&[]), get().ipv6(6, &[]));
    let before = |header: &[u8], ip: &[u8]| [header, ip].concat();
    let cooked = |ip: &[u8]| before(&[&[0; 14][..], &ethertype(ip)].concat(), ip);
    let cooked2 = |ip: &[u8]| before(&[&ethertype(ip), &[0; 18][..]].concat(), ip);
    for (link, bytes) in [
        (1, ethernet(&[], &v4)),
        (1, ethernet(&[], &v6)),
        (1, ethernet(&[0x8100], &v4)),
        (1, ethernet(&[0x88a8, 0x8100], &v6)),
        (1, ethernet(&[0x9100, 0x8100, 0x8100], &v4)),
        (1 | 4 << 28, ethernet(&[], &v4)),
        (101, v4.clone()),
        (101, v6.clone()),
        (12, v4.clone()),
        (14, v4.clone()),
        (228, v4.clone()),
        (229, v6.clone()),
        (0, before(&[2, 0, 0, 0], &v4)),
        (0, before(&[0, 0, 0, 2], &v4)),
        (0, before(&[30, 0, 0, 0], &v6)),
        (0, before(&[10, 0, 0, 0], &v6)),
        (0, before(&[24, 0, 0, 0], &v6)),
        (0, before(&[28, 0, 0, 0], &v6)),
        (108, before(&[0, 0, 0, 24], &v6)),
        (113, cooked(&v4)),
        (113, cooked(&v6)),
        (276, cooked2(&v4)),
        (276, cooked2(&v6)),
    ] {
        let file = pcap(Order::Little, false, link, &[request(bytes.clone())]);
        assert_request(&file, AT_NS, &format!("link type {link}"));
        for cut in 0..bytes.len() {
            let frame = Captured { timestamp_ns: 0, wire_len: bytes.len(), bytes: bytes[..cut].to_vec() };
            let (_, stats) = read(&pcap(Order::Little, false, link, &[frame])).unwrap();
            assert_eq!((stats.packets, stats.cut_short), (1, 1), "link type {link} cut at {cut}");
        }
    }
}

#[test]
fn headers_of_the_network_layer() {
    let hop_by_hop_and_options = [60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let atomic_fragment = [6, 0, 0, 0, 0, 0, 0, 9];
    let authentication = [6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for ip in [
        get().ipv4(&[1; 40]),
        get().ipv6(0, &hop_by_hop_and_options),
        get().ipv6(44, &atomic_fragment),
        get().ipv6(51, &authentication),
    ] {
        assert_request(&pcap(Order::Little, false, 101, &[request(ip)]), AT_NS, "");
    }
    // A length of 0: to the frame's end, as before segmentation offload.
    for (at, mut ip) in [(2, get().ipv4(&[])), (4, get().ipv6(6, &[]))] {
        ip[at..at + 2].fill(0);
        assert_request(&pcap(Order::Little, false, 101, &[request(ip)]), AT_NS, "");
    }
}

#[test]
fn what_is_no_segment_is_counted() {
    let changed = |at: usize, byte: u8| {
        let mut ip = get().ipv4(&[]);
        ip[at] = byte;
        ip
    };
    let six = |next: u8, extension: &[u8]| get().ipv6(next, extension);
    for (ip, stats) in [
        (changed(9, 17), FileStats { not_tcp: 1, ..FileStats::default() }),
        (changed(0, 0x25), FileStats { not_tcp: 1, ..FileStats::default() }),
        (changed(6, 0x20), FileStats { fragments: 1, ..FileStats::default() }),
        (changed(7, 1), FileStats { fragments: 1, ..FileStats::default() }),
        (changed(0, 0x44), FileStats { malformed: 1, ..FileStats::default() }),
        (changed(3, 19), FileStats { malformed: 1, ..FileStats::default() }),
        (changed(3, 45), FileStats { malformed: 1, ..FileStats::default() }),
        (changed(32, 4 << 4), FileStats { malformed: 1, ..FileStats::default() }),
        (six(17, &[]), FileStats { not_tcp: 1, ..FileStats::default() }),
        (six(44, &[6, 0, 0, 1, 0, 0, 0, 9]), FileStats { fragments: 1, ..FileStats::default() }),
        (six(60, &[60, 0, 0, 0, 0, 0, 0, 0].repeat(9)), FileStats { malformed: 1, ..FileStats::default() }),
        (Tcp { dest: (2, 81), ..get() }.ipv4(&[]), FileStats { other_ports: 1, ..FileStats::default() }),
        (
            Tcp { payload: b"{no request}", ..get() }.ipv4(&[]),
            FileStats { unknown_flow: 1, ..FileStats::default() },
        ),
    ] {
        let bytes = ip.len() as u64;
        let (segments, seen) = read(&pcap(Order::Little, false, 101, &[request(ip)])).unwrap();
        assert_eq!((segments.len(), seen), (0, FileStats { packets: 1, bytes, ..stats }));
    }
    let arp = [&[0xaa; 12][..], &[0x08, 0x06], &[0; 46]].concat();
    let (_, stats) = read(&pcap(Order::Little, false, 1, &[request(arp)])).unwrap();
    assert_eq!(stats.not_tcp, 1);
}

#[test]
fn what_was_cut_off_a_packet_is_a_hole() {
    let bytes = ethernet(&[], &get().ipv4(&[]));
    let frame =
        Captured { timestamp_ns: AT_NS, wire_len: bytes.len(), bytes: bytes[..bytes.len() - 9].to_vec() };
    let (segments, stats) = read(&pcap(Order::Little, false, 1, &[frame])).unwrap();
    assert_eq!(segments, [(GET[..GET.len() - 9].to_vec(), GET.len() as u32, AT_NS)]);
    assert_eq!(stats.cut_short, 1);
}

/// Two sections in different orders, several interfaces, every kind of packet block, and blocks of no interest.
fn pcapng_file() -> (Vec<u8>, Vec<u64>) {
    let frame = |bytes| Captured::whole(0, bytes);
    let on_ethernet = frame(ethernet(&[], &get().ipv4(&[])));
    let raw = frame(get().ipv6(6, &[]));
    let (little, big) = (Order::Little, Order::Big);
    let mut simple = Vec::new();
    big.put(&mut simple, &[raw.wire_len as u32]);
    simple.extend(&raw.bytes);
    let file = [
        section(little),
        interface(little, 1, 0, None),
        block(little, 4, b"names"),
        interface(little, 101, 0, Some(9)),
        packet(little, 6, 0, AT_NS / 1000, &on_ethernet),
        packet(little, 6, 1, AT_NS + 1, &raw),
        interface(little, 147, 0, None),
        packet(little, 6, 2, 0, &raw),
        packet(little, 2, 1, AT_NS + 2, &raw),
        block(little, 0x8000_0001, b"of somebody's own"),
        section(big),
        interface(big, 101, 1000, Some(3)),
        packet(big, 6, 0, AT_NS / 1_000_000, &raw),
        block(big, 3, &simple),
    ];
    (
        file.concat(),
        vec![AT_NS, AT_NS + 1, AT_NS + 2, AT_NS / 1_000_000 * 1_000_000, AT_NS / 1_000_000 * 1_000_000],
    )
}

#[test]
fn pcapng_with_sections_and_interfaces() {
    let (file, times) = pcapng_file();
    let (segments, stats) = read(&file).unwrap();
    assert!(segments.iter().all(|(payload, len, _)| payload == GET && *len == GET.len() as u32));
    assert_eq!(segments.iter().map(|(_, _, at_ns)| *at_ns).collect::<Vec<_>>(), times);
    assert_eq!((stats.packets, stats.unknown_link, stats.truncated), (6, 1, 0));
}

#[test]
fn a_file_cut_at_any_byte_is_read_up_to_there() {
    let frames = [request(ethernet(&[], &get().ipv4(&[]))), request(ethernet(&[], &get().ipv4(&[])))];
    let pcap = pcap(Order::Big, false, 1, &frames);
    for (file, blocks) in [(pcap, 2), (pcapng_file().0, 13)] {
        let whole = read(&file).unwrap().0;
        let (mut most, mut complete) = (0, 0);
        for cut in 0..file.len() {
            match read(&file[..cut]) {
                Ok((segments, stats)) => {
                    assert!(segments.len() >= most && whole.starts_with(&segments), "cut at {cut}");
                    assert!(stats.truncated <= 1);
                    complete += 1 - stats.truncated;
                    most = segments.len();
                }
                Err(FileError { problem: FileProblem::Foreign(_), .. }) => assert!(cut < 24, "cut at {cut}"),
                // A packet that isn't there yet leaves only those of unknown link types.
                Err(error) => panic!("cut at {cut}: {error}"),
            }
        }
        // Only between two blocks nothing is cut off.
        assert_eq!((most + 1, complete), (whole.len(), blocks), "{blocks}");
    }
}

#[test]
fn packets_without_a_header_are_those_of_the_first_interface() {
    let (little, ip) = (Order::Little, get().ipv4(&[]));
    let simple = |bytes: &[u8]| {
        let mut body = Vec::new();
        little.put(&mut body, &[ip.len() as u32]);
        body.extend(bytes);
        block(little, 3, &body)
    };
    let file = |snap_len, bytes: &[u8]| {
        let other = interface(little, 1, 0, None);
        [section(little), interface(little, 101, snap_len, None), other, simple(bytes)].concat()
    };
    let len = GET.len() as u32;
    for snap_len in [0, ip.len() as u32, 65_535] {
        assert_eq!(read(&file(snap_len, &ip)).unwrap().0, [(GET.to_vec(), len, 0)], "{snap_len}");
    }
    let cut = ip.len() - 8;
    let (segments, stats) = read(&file(cut as u32, &ip[..cut])).unwrap();
    assert_eq!((segments, stats.cut_short), (vec![(GET[..GET.len() - 8].to_vec(), len, 0)], 1));
    // Fewer bytes than it says.
    assert!(read(&file(0, &ip[..ip.len() - 4])).is_err());
}

#[test]
fn blocks_have_a_least_length_in_whole_words() {
    let little = Order::Little;
    for (kind, body) in [(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a][..]), (1, b""), (2, b""), (3, b""), (6, b"")]
    {
        let file = [section(little), block(little, kind, body)].concat();
        let error = read(&file).unwrap_err().to_string();
        assert!(
            error.contains(&format!("a block of type {kind:#x} with {} bytes", 12 + body.len())),
            "{error}"
        );
    }
    let mut odd = block(little, 4, &[0; 4]);
    (odd[4], odd[11]) = (15, 15);
    odd.truncate(15);
    assert!(read(&[section(little), odd].concat()).is_err());
}

#[test]
fn a_section_has_so_many_interfaces() {
    let big = Order::Big;
    let many =
        [section(big), interface(big, 1, 0, None).repeat(65_535), interface(big, 101, 0, None)].concat();
    let last = packet(big, 6, u16::MAX, 0, &request(get().ipv4(&[])));
    assert_eq!(read(&[&many[..], &last].concat()).unwrap().0.len(), 1);
    let error = read(&[many, interface(big, 101, 0, None)].concat()).unwrap_err().to_string();
    // Far behind the first piece that is read.
    assert!(error.contains(&format!("at byte {}:", 28 + 65_536 * 20)), "{error}");
}

#[test]
fn a_block_may_be_longer_than_what_is_read_at_once() {
    let (little, ip) = (Order::Little, get().ipv4(&[]));
    let long = block(little, 4, &[0; 3 << 20]);
    let next = packet(little, 6, 0, 0, &request(ip));
    assert_eq!(
        read(&[section(little), interface(little, 101, 0, None), long, next].concat()).unwrap().0.len(),
        1
    );
}

#[test]
fn bytes_changed_anywhere_do_no_harm() {
    let frames = [request(ethernet(&[0x8100], &get().ipv6(0, &[6, 0, 0, 0, 0, 0, 0, 0])))];
    for file in [pcap(Order::Little, true, 1, &frames), pcapng_file().0] {
        for at in 0..file.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = file.clone();
                file[at] = byte;
                // Whatever it is now, it is no panic.
                read(&file).ok();
            }
        }
    }
}

#[test]
fn a_mistake_gets_one_line() {
    let little = Order::Little;
    let start = [section(little), interface(little, 1, 0, None)].concat();
    let with = |block: Vec<u8>| [start.clone(), block].concat();
    let mut lengths = block(little, 4, b"");
    lengths[8] = 16;
    let mut long = Vec::new();
    little.put(&mut long, &[0, 0, 0x7fff_ffff, 60]);
    let mut inner = packet(little, 6, 0, 0, &request(vec![0; 8]));
    inner[20] = 9;
    let mut order = section(little);
    order[8] = 0;
    for (file, line) in [
        (vec![], "is no capture file (pcap or pcapng): it is empty".to_owned()),
        (
            vec![0x1f, 0x8b, 8, 0],
            "is no capture file (pcap or pcapng): it is compressed with gzip; give it as `zcat FILE | shadow-agent ... \
             --pcap -`"
                .to_owned(),
        ),
        (b"GET / HTTP/1.1\r\n".to_vec(), "is no capture file (pcap or pcapng): it looks like text".to_owned()),
        (
            vec![0, 1, 2],
            "is no capture file (pcap or pcapng): it begins with the bytes 00 01 02 00".to_owned(),
        ),
        (
            pcap(little, false, 1, &[])[..23].to_vec(),
            "is no capture file (pcap or pcapng): it ends within its own header".to_owned(),
        ),
        (
            pcap(little, false, 105, &[]),
            "its packets have link type 105 (IEEE 802.11), which can't be read: capture on an interface with Ethernet \
             or IP packets, or on `any`"
                .to_owned(),
        ),
        (
            [section(little), interface(little, 189, 0, None), packet(little, 6, 0, 0, &request(vec![0; 8]))]
                .concat(),
            "its packets have link type 189 (USB), which can't be read: capture on an interface with Ethernet or IP \
             packets, or on `any`"
                .to_owned(),
        ),
        (
            [pcap(little, false, 1, &[]), long].concat(),
            "makes no sense at byte 24: a block of 2147483647 bytes, more than any packet has; the file is damaged \
             from there"
                .to_owned(),
        ),
        (
            with(lengths),
            "makes no sense at byte 48: a block of 12 bytes by its beginning and 16 by its end; the file is damaged \
             from there"
                .to_owned(),
        ),
        (
            with(block(little, 6, b"")),
            "makes no sense at byte 48: a block of type 0x6 with 12 bytes; the file is damaged from there".to_owned(),
        ),
        (
            with(inner),
            "makes no sense at byte 48: a packet of 9 bytes in a block that has room for 8; the file is damaged from \
             there"
                .to_owned(),
        ),
        (
            with(packet(little, 6, 1, 0, &request(vec![]))),
            "makes no sense at byte 48: a packet of interface 1, which no block before it describes; the file is \
             damaged from there"
                .to_owned(),
        ),
        (
            order,
            "makes no sense at byte 0: a section with the byte-order mark 0x1a2b3c00; the file is damaged from there"
                .to_owned(),
        ),
    ] {
        assert_eq!(read(&file).unwrap_err().to_string(), format!("test.pcap: {line}"));
    }
    let missing = Input::Path("/nonexistent/x.pcap".into());
    let error = FileSource::open(&missing, &[]).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/x.pcap: can't be read: No such file"), "{error}");
}

#[test]
fn a_pipe_may_give_a_byte_at_a_time() {
    /// Is interrupted before each byte.
    struct Dribble(Cursor<Vec<u8>>, bool);
    impl io::Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }
    let reader = Dribble(Cursor::new(pcapng_file().0), false);
    let mut source = FileSource::read(reader, String::new(), &[80]).unwrap();
    let mut segments = 0;
    while source.next().unwrap().is_some() {
        segments += 1;
    }
    assert_eq!(segments, pcapng_file().1.len());
}
