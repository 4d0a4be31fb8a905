//! Random segments: whatever a wire may bring, and whole requests over a bad network.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// Whatever a wire may bring: for a few flows, with sequence numbers mostly near each other.
#[derive(Clone, Debug)]
struct Wild {
    port: u16,
    from_service: bool,
    offset: u32,
    flags: u8,
    run: Run,
    payload: Vec<u8>,
    cut: u32,
    pause_ns: u64,
}

fn wild() -> impl Strategy<Value = Wild> {
    let text = prop_oneof![
        Just(get("/").into_bytes()),
        Just(sized("abc").into_bytes()),
        Just(post(CHUNKED, "3\r\nabc\r\n0\r\n\r\n").into_bytes()),
        Just(OPEN.as_bytes().to_vec()),
        Just(post("X-Refuse: 1\r\n", "").into_bytes()),
        vec(any::<u8>(), 0..50),
    ];
    let payload = (text, any::<Index>(), any::<Index>()).prop_map(|(text, from, to)| {
        let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
        // Mostly whole.
        if from < to { text[from..to].to_vec() } else { text }
    });
    let offset = prop_oneof![4 => 0..3_u32, 4 => 0..200_u32, 1 => any::<u32>()];
    let flags = prop_oneof![6 => Just(ACK), 3 => Just(SYN), 1 => any::<u8>()];
    let cut = prop_oneof![15 => Just(0_u32), 1 => 0..5_u32, 1 => any::<u32>()];
    let pause = prop_oneof![8 => Just(MS), 1 => Just(4 * SECOND), 1 => Just(601 * SECOND)];
    let start = prop_oneof![4 => 0..3_u32, 4 => 0..200_u32, 1 => any::<u32>()];
    let mark = prop_oneof![2 => Just(FRAMED), 2 => Just(OPENED), 1 => Just(PASSED), 2 => any::<u8>()];
    let run = (start, mark).prop_map(|(start, mark)| Run { start, mark });
    (0..3_u16, 0..8, offset, flags, run, payload, cut, pause).prop_map(
        |(port, from, offset, flags, run, payload, cut, pause_ns)| {
            let from_service = from == 0;
            Wild { port, from_service, offset, flags, run, payload, cut, pause_ns }
        },
    )
}

proptest! {
    #[test]
    fn the_ledger_balances_whatever_comes(
        segments in vec(wild(), 1..60),
        memory in prop_oneof![Just(300_usize), Just(1 << 20)],
        stream_above in prop_oneof![Just(None), (0..20_usize).prop_map(Some)],
    ) {
        let limits = PipelineLimits { max_flows: 2, ..PipelineLimits::default() };
        let mut rig = Rig::within(limits, memory);
        rig.pipeline.sink_mut().max_body = 50;
        rig.pipeline.sink_mut().stream_above = stream_above;
        for wild in &segments {
            rig.wait(wild.pause_ns);
            let direction = if wild.from_service { Direction::FromService } else { Direction::ToService };
            let segment = Client::segment(Client::new(wild.port).flow, wild.offset, wild.flags, &wild.payload);
            let payload_len = segment.payload_len.saturating_add(wild.cut);
            rig.take(Segment { direction, payload_len, run: wild.run, ..segment });
            prop_assert!(rig.budget.used() <= memory);
            prop_assert!(rig.stats().flows_open <= 2);
        }
        rig.finish();
    }

    /// Reordered, repeated and cut anywhere: every request comes out, once, as it was.
    #[test]
    fn requests_survive_the_network(
        bodies in vec((".{0,40}", any::<bool>()), 1..6),
        cuts in vec(any::<Index>(), 0..20),
        order in vec(0..4_usize, 24),
        repeats in vec(any::<Index>(), 0..4),
    ) {
        let mut stream = String::new();
        for (body, is_chunked) in &bodies {
            stream += &match is_chunked {
                true if body.is_empty() => post(CHUNKED, "0\r\n\r\n"),
                true => post(CHUNKED, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
                false => sized(body),
            };
        }
        let stream = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut pieces: Vec<(usize, usize)> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for repeat in &repeats {
            pieces.insert(repeat.index(pieces.len()), pieces[repeat.index(pieces.len())]);
        }
        for (place, ahead) in order.iter().enumerate() {
            if place + ahead < pieces.len() {
                pieces.swap(place, place + ahead);
            }
        }
        let mut rig = Rig::new();
        let client = Client::connect(&mut rig, 1, &[]);
        for (start, end) in pieces {
            let mut at = client;
            at.skip(start);
            rig.take(at.send(&stream[start..end]));
        }
        let found: Vec<Vec<u8>> = rig.delivered().into_iter().map(|(_, body)| body).collect();
        let sent: Vec<Vec<u8>> = bodies.into_iter().map(|(body, _)| body.into_bytes()).collect();
        prop_assert_eq!(found, sent);
        prop_assert_eq!(rig.drops(), vec![]);
        rig.finish();
    }
}
