//! The kernel programs through BPF_PROG_TEST_RUN: what they return, what they export, what they count.
//!
//! Needs root, and skips with the reason where it isn't.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

mod frame;

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use frame::Frame;
use proptest::test_runner::{RngAlgorithm, TestRng};
use shadow_common::{Counter, Direction, FlowKey, tcp_flags};
use shadow_userspace::capture::{
    AttachMode, CaptureError, EXPORT, KernelCounters, LiveOptions, Programs, SampleRate, Segment, TAG, load,
    parse_record,
};

const XDP_PASS: u32 = 2;
const TCX_NEXT: u32 = u32::MAX;

const SYN: u8 = tcp_flags::SYN;
const ACK: u8 = tcp_flags::ACK;

/// The programs, loaded but not attached to anything.
struct Kernel {
    programs: Programs,
}

impl Kernel {
    /// `None` without the rights to load; says so.
    fn new(rate: &str, export_responses: bool) -> Option<Self> {
        Self::with(rate, |options| options.export_responses = export_responses)
    }

    fn with(rate: &str, change: impl FnOnce(&mut LiveOptions)) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: loading kernel programs needs root");
            return None;
        }
        let mut options = LiveOptions {
            interfaces: Vec::new(),
            netns: None,
            ports: vec![8080, 9090],
            rate: rate.parse::<SampleRate>().unwrap(),
            attach: AttachMode::Tc,
            ring_bytes: 1 << 20,
            max_flows: 1024,
            export_responses: false,
            own_mark: 0,
            seed: 7,
        };
        change(&mut options);
        let mut programs = load(&options).map_err(|error: CaptureError| error.to_string()).unwrap();
        tag(&mut programs).load().unwrap();
        export(&mut programs).load().unwrap();
        Some(Self { programs })
    }

    /// Runs both programs over a frame and checks what they return.
    fn run(&mut self, frame: &[u8]) -> Result<(), ProgramError> {
        let tag = tag(&mut self.programs).test_run(options(frame))?.return_value;
        assert_eq!(tag, XDP_PASS, "tag over {frame:02x?}");
        self.export(frame)
    }

    /// Runs `export` alone over a frame and checks what it returns.
    fn export(&mut self, frame: &[u8]) -> Result<(), ProgramError> {
        let export = export(&mut self.programs).test_run(options(frame))?.return_value;
        assert_eq!(export, TCX_NEXT, "export over {frame:02x?}");
        Ok(())
    }

    fn send(&mut self, frame: &Frame) {
        self.export(&frame.bytes()).unwrap();
    }

    fn counters(&self) -> KernelCounters {
        self.programs.control.counters().unwrap()
    }

    /// Takes the next record out of the ring and looks at it.
    fn record<R>(&mut self, look: impl FnOnce(&Segment<'_>) -> R) -> Option<R> {
        let record = self.programs.ring.next()?;
        Some(look(&parse_record(&record).unwrap()))
    }
}

fn options(frame: &[u8]) -> TestRunOptions<'_> {
    TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() }
}

fn tag(programs: &mut Programs) -> &mut Xdp {
    programs.ebpf.program_mut(TAG).unwrap().try_into().unwrap()
}

fn export(programs: &mut Programs) -> &mut SchedClassifier {
    programs.ebpf.program_mut(EXPORT).unwrap().try_into().unwrap()
}

/// One frame of every shape that a service port's flow comes in.
fn shapes() -> Vec<(&'static str, Frame)> {
    let payload = b"GET /shape HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let base = Frame { payload, ..Frame::default() };
    let v6 = Frame { ipv6: true, ..base.clone() };
    // Options headers of 8 and 16 bytes, less the next-header byte.
    let short = || vec![0, 1, 4, 0, 0, 0, 0];
    let long = || vec![1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let extensions = |list: Vec<(u8, Vec<u8>)>| Frame { extensions: list, ..v6.clone() };
    vec![
        ("IPv4", base.clone()),
        ("IPv4 with options", Frame { ipv4_options: 40, ..base.clone() }),
        ("IPv4 with TCP options", Frame { tcp_options: 40, ..base.clone() }),
        ("IPv4 with Ethernet padding", Frame { padding: 17, ..base.clone() }),
        ("one VLAN tag", Frame { vlans: vec![(0x8100, 5)], ..base.clone() }),
        ("two VLAN tags", Frame { vlans: vec![(0x88a8, 5), (0x8100, 6)], ..base.clone() }),
        ("large segment", Frame { payload: vec![0x61; 3300], ..base.clone() }),
        ("IPv6", v6.clone()),
        ("IPv6 hop-by-hop", extensions(vec![(0, short())])),
        ("IPv6 destination", extensions(vec![(60, long())])),
        ("IPv6 routing and destination", extensions(vec![(43, short()), (60, short())])),
        ("IPv6 atomic fragment", extensions(vec![(44, vec![0, 0, 0, 0, 0, 0, 1])])),
        ("IPv6 in VLAN", Frame { vlans: vec![(0x8100, 5)], ..v6.clone() }),
    ]
}

/// The flow's SYN, so that the segment belongs to a known flow.
fn syn_of(frame: &Frame) -> Frame {
    Frame { flags: SYN, seq: frame.seq.wrapping_sub(1), payload: Vec::new(), ..frame.clone() }
}

#[test]
fn programs_return_only_pass_and_next() {
    let Some(mut kernel) = Kernel::new("50%", true) else { return };
    let mut runs = 0;
    let mut run = |bytes: &[u8]| {
        match kernel.run(bytes) {
            Ok(()) => runs += 1,
            // The kernel makes no test packet of a frame that is shorter than its Ethernet and IP headers.
            Err(error) => assert!(bytes.len() < 14 + 40, "{} bytes: {error}", bytes.len()),
        }
    };
    for (_, frame) in shapes() {
        for host in 0..4 {
            let frame = Frame { host, ..frame.clone() };
            for flags in [SYN, SYN | ACK, ACK, 0x18, 0x11, 0x04, 0x20, 0, 0xff] {
                run(&Frame { flags, ..frame.clone() }.bytes());
            }
            run(&Frame { ports: (8080, 40_000), ..frame.clone() }.bytes());
            run(&Frame { ports: (8080, 9090), ..frame.clone() }.bytes());
        }
        let whole = frame.bytes();
        for cut in 0..whole.len().min(160) {
            run(&whole[..cut]);
        }
    }
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, b"shadow: every packet must pass!!");
    for _ in 0..10_000 {
        run(&random_frame(&mut random));
    }
    assert!(runs > 8_000, "{runs} runs");
    assert!(kernel.counters().is_balanced(), "{:?}", kernel.counters());
}

/// Noise, or a good frame with noise in its headers.
fn random_frame(random: &mut TestRng) -> Vec<u8> {
    use proptest::prelude::Rng as _;
    let mut below = |limit: usize| random.next_u32() as usize % limit;
    if below(4) == 0 {
        return (0..14 + below(200)).map(|_| below(256) as u8).collect();
    }
    let all = shapes();
    let mut frame = all[below(all.len())].1.bytes();
    for _ in 0..=below(6) {
        let at = 12 + below(frame.len().min(110) - 12);
        frame[at] = below(256) as u8;
    }
    frame.truncate(14 + below(frame.len() - 13));
    frame
}

#[test]
fn every_shape_is_exported_whole() {
    for (name, frame) in shapes() {
        let Some(mut kernel) = Kernel::new("100%", false) else { return };
        kernel.send(&syn_of(&frame));
        let is_syn = kernel.record(|segment| segment.has(SYN) && segment.payload.is_empty());
        assert_eq!(is_syn, Some(true), "{name}: SYN");
        kernel.send(&frame);
        let same = kernel.record(|segment| {
            assert_eq!(segment.payload, frame.payload, "{name}");
            assert_eq!(segment.payload_len as usize, frame.payload.len(), "{name}");
            assert_eq!((segment.seq, segment.ack, segment.flags), (frame.seq, 77, frame.flags), "{name}");
            assert_eq!((segment.flow.client_port, segment.flow.service_port), frame.ports, "{name}");
            assert_eq!(segment.flow.client_addr[15], frame.host, "{name}");
            assert_eq!(segment.direction, Direction::ToService, "{name}");
        });
        assert!(same.is_some(), "{name}: no record; {:?}", kernel.counters());
        let counters = kernel.counters();
        assert_eq!((counters.get(Counter::Matched), counters.get(Counter::Exported)), (2, 2), "{name}");
        assert_eq!(counters.get(Counter::ExportedBytes), frame.payload.len() as u64, "{name}");
    }
}

#[test]
fn what_is_not_exported_has_its_counter() {
    let base = Frame { payload: b"GET / HTTP/1.1\r\n\r\n".to_vec(), ..Frame::default() };
    let v6_fragment = vec![(44, vec![0, 0, 1, 0, 0, 0, 1])];
    let mut udp = base.bytes();
    udp[23] = 17;
    let mut arp = base.bytes();
    arp[12..14].copy_from_slice(&[8, 6]);
    let mut short_header = base.bytes();
    short_header[46] = 0x40;
    let cases: [(&str, Vec<u8>, Counter); 10] = [
        ("UDP", udp, Counter::NotTcp),
        ("ARP", arp, Counter::NotTcp),
        ("first fragment", Frame { ipv4_fragment: 0x2000, ..base.clone() }.bytes(), Counter::Fragment),
        ("later fragment", Frame { ipv4_fragment: 0x0010, ..base.clone() }.bytes(), Counter::Fragment),
        (
            "IPv6 fragment",
            Frame { ipv6: true, extensions: v6_fragment, ..base.clone() }.bytes(),
            Counter::Fragment,
        ),
        ("TCP header too short", short_header, Counter::Malformed),
        ("datagram cut short", base.bytes()[..60].to_vec(), Counter::Malformed),
        ("other ports", Frame { ports: (1, 2), ..base.clone() }.bytes(), Counter::OtherPort),
        ("no SYN seen", base.bytes(), Counter::UnknownFlow),
        (
            "no payload",
            Frame { payload: Vec::new(), flags: ACK, ..base.clone() }.bytes(),
            Counter::UnknownFlow,
        ),
    ];
    for (name, bytes, reason) in cases {
        let Some(mut kernel) = Kernel::new("100%", false) else { return };
        kernel.export(&bytes).unwrap();
        let counters = kernel.counters();
        assert_eq!(counters.get(reason), 1, "{name}: {counters:?}");
        assert!(counters.is_balanced(), "{name}");
        assert!(kernel.record(|_| ()).is_none(), "{name}: exported");
    }
}

#[test]
fn responses_are_exported_only_when_asked_for() {
    let request = Frame { payload: b"GET / HTTP/1.1\r\n\r\n".to_vec(), ..Frame::default() };
    for asked in [false, true] {
        let Some(mut kernel) = Kernel::new("100%", asked) else { return };
        kernel.send(&syn_of(&request));
        kernel.record(|_| ()).unwrap();
        let mut answer =
            Frame { payload: b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), ..request.clone() }.bytes();
        // The same flow the other way round.
        let (source, dest) = (answer[26..30].to_vec(), answer[30..34].to_vec());
        answer[26..30].copy_from_slice(&dest);
        answer[30..34].copy_from_slice(&source);
        answer[34..38].copy_from_slice(&[0x1f, 0x90, 0x9c, 0x40]);
        kernel.export(&answer).unwrap();
        let seen = kernel.record(|segment| {
            let key = FlowKey { client_port: 40_000, service_port: 8080, ..segment.flow };
            assert_eq!((segment.direction, segment.flow), (Direction::FromService, key));
            segment.payload.len()
        });
        assert_eq!(seen, asked.then_some(27));
        assert_eq!(kernel.counters().get(Counter::Response), u64::from(!asked));
        assert!(kernel.counters().is_balanced());
    }
}

#[test]
fn packets_that_carry_the_agents_mark_are_left_alone() {
    const MARK: u32 = 0x5ad0;
    let Some(mut kernel) = Kernel::with("100%", |options| options.own_mark = MARK) else { return };
    let syn = syn_of(&Frame::default()).bytes();
    for (mark, own, exported) in [(MARK, 1, 0), (MARK + 1, 1, 1), (0, 1, 2)] {
        // `mark` is the third word of the context.
        let mut context = [0_u8; 192];
        context[8..12].copy_from_slice(&mark.to_ne_bytes());
        let marked = TestRunOptions { ctx_in: Some(&context), ..options(&syn) };
        assert_eq!(export(&mut kernel.programs).test_run(marked).unwrap().return_value, TCX_NEXT);
        let counters = kernel.counters();
        assert_eq!(
            (counters.get(Counter::Own), counters.get(Counter::Exported)),
            (own, exported),
            "{mark:#x}"
        );
        assert!(counters.is_balanced());
    }
}

#[test]
fn a_flow_keeps_its_verdict_when_the_rate_changes() {
    let Some(mut kernel) = Kernel::new("100%", false) else { return };
    let data = |host| Frame { host, payload: b"x".to_vec(), ..Frame::default() };
    kernel.send(&syn_of(&data(1)));
    kernel.programs.control.set_rate("0%".parse().unwrap()).unwrap();
    kernel.send(&data(1));
    // A retransmitted SYN changes nothing; a new connection on the same ports is decided anew.
    kernel.send(&syn_of(&data(1)));
    kernel.send(&data(1));
    assert_eq!(kernel.counters().get(Counter::Exported), 4);
    kernel.send(&Frame { seq: 5_000_000, ..syn_of(&data(1)) });
    kernel.send(&data(1));
    kernel.send(&syn_of(&data(2)));
    let counters = kernel.counters();
    assert_eq!((counters.get(Counter::Exported), counters.get(Counter::Unsampled)), (4, 3));
    assert_eq!((counters.get(Counter::FlowsSeen), counters.get(Counter::FlowsSampled)), (3, 1));

    kernel.programs.control.set_rate("100%".parse().unwrap()).unwrap();
    kernel.programs.control.set_paused(true).unwrap();
    kernel.send(&syn_of(&data(3)));
    kernel.programs.control.set_paused(false).unwrap();
    kernel.send(&syn_of(&data(4)));
    let counters = kernel.counters();
    assert_eq!((counters.get(Counter::FlowsSeen), counters.get(Counter::FlowsSampled)), (5, 2));
}

#[test]
fn sampling_connections_keeps_the_rate_and_nests() {
    let mut sampled: Vec<Vec<u16>> = Vec::new();
    for rate in ["1%", "20%", "50%"] {
        let Some(mut kernel) = Kernel::new(rate, false) else { return };
        let members = (1..=1000_u16).filter(|port| {
            kernel.send(&Frame { ports: (20_000 + port, 8080), flags: SYN, ..Frame::default() });
            kernel.record(|_| ()).is_some()
        });
        sampled.push(members.collect());
    }
    for (members, share) in sampled.iter().zip([0.01_f64, 0.2, 0.5]) {
        let (n, tolerance) = (1000.0, 3.0 * (1000.0 * share * (1.0 - share)).sqrt());
        let count = members.len() as f64;
        assert!((count - n * share).abs() <= tolerance, "{count} of {n} at {share}");
    }
    for (fewer, more) in sampled.iter().zip(&sampled[1..]) {
        assert!(fewer.iter().all(|port| more.contains(port)), "raising the rate lost members");
    }
}

#[test]
fn a_full_ring_is_counted_and_nothing_else_happens() {
    let Some(mut kernel) = Kernel::new("100%", false) else { return };
    let frame = Frame { payload: vec![7; 3000], ..Frame::default() };
    kernel.send(&syn_of(&frame));
    for _ in 0..400 {
        kernel.send(&frame);
    }
    let counters = kernel.counters();
    assert!(counters.get(Counter::RingFull) > 0, "{counters:?}");
    assert!(counters.get(Counter::Exported) > 200, "{counters:?}");
    assert!(counters.is_balanced());
    let mut records = 0;
    while kernel.record(|_| ()).is_some() {
        records += 1;
    }
    assert_eq!(records, counters.get(Counter::Exported));
}
