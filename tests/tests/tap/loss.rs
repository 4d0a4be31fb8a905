//! A capture that lost 1 % of its packets: no request with a wrong byte is complete, and none is missed that can be
//! told.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    time::Duration,
};

use shadow_common::tcp_flags::SYN;
use shadow_tests::{
    packets::{
        Conversation, Ends, Exchange, Packet, Reply, Side,
        conversation::merged,
        faults,
        message::{Ending, get, post, post_chunked},
    },
    plan::Framing,
    random::Random,
    tap::Listed,
};

use crate::script::{assert_true, listed};

const CONNECTIONS: u16 = 250;
const REQUESTS: u32 = 6;
/// Packets that are lost of 1000.
const LOSS: u32 = 10;

/// Kept connections at once, of which each request has a target of its own.
fn conversations(random: &mut Random) -> Vec<Conversation> {
    let conversation = |port: u16| {
        let ends = if port.is_multiple_of(4) { Ends::v6(port) } else { Ends::v4(port) };
        let isn = [random.draw(), random.draw()].map(|number| (number >> 32) as u32);
        // All within a tenth of a second, so that they are interleaved.
        let start = Duration::from_micros(random.below(100_000) as u64);
        let mut talk = Conversation::new(ends).isn(isn[0], isn[1]).starting(start);
        talk.open();
        for number in 0..REQUESTS {
            let target = format!("/{port}/{number}");
            let body = body(random);
            let request = match random.below(4) {
                0 | 1 => get(&target),
                2 => post(&target, body),
                _ => post_chunked(&target, body),
            };
            let reply = Reply::ok(random_reply(random));
            let chunked = random.chance(250);
            talk.exchange(request, if chunked { reply.ending(Ending::Chunked(4_000)) } else { reply });
            talk.waits(Duration::from_millis(random.below(60) as u64));
        }
        talk.close();
        talk
    };
    (20_000..20_000 + CONNECTIONS).map(conversation).collect()
}

/// 0 to 300 KB, mostly small.
fn body(random: &mut Random) -> Vec<u8> {
    let limit = match random.below(16) {
        0..10 => 3_000,
        10..15 => 30_000,
        _ => 300_000,
    };
    let size = random.below(limit + 1);
    random.bytes(size)
}

fn random_reply(random: &mut Random) -> Vec<u8> {
    let size = random.below(8_000);
    random.bytes(size)
}

/// What is left of a capture.
struct Survivors(HashSet<(SocketAddr, u32)>);

impl Survivors {
    fn of(packets: &[Packet]) -> Self {
        Self(packets.iter().map(|packet| (packet.ends.client, packet.id)).collect())
    }

    fn has(&self, packet: &Packet) -> bool {
        self.0.contains(&(packet.ends.client, packet.id))
    }

    /// Which requests of a conversation must be complete: those all of whose packets are there, where their start can
    /// be told: by the framing of what comes before, or because they follow an answer whose beginning was seen.
    fn must(&self, talk: &Conversation) -> Vec<Must> {
        let is_there = |id: u32| self.has(&talk.packets[id as usize]);
        let first_data = |ids: &std::ops::Range<u32>, side: Side| {
            ids.clone().find(|&id| talk.packets[id as usize].is_data_of(side)).is_some_and(is_there)
        };
        let mut place_is_known = talk
            .packets
            .iter()
            .any(|packet| packet.has(SYN) && packet.from == Side::Client && self.has(packet));
        let mut follows_an_answer = false;
        let mut all = Vec::new();
        for Exchange { request, request_ids, reply_ids, .. } in &talk.exchanges {
            let request_is_whole = request_ids.clone().all(is_there);
            let is_whole = request_is_whole && reply_ids.clone().all(is_there);
            let start_is_known = place_is_known || (follows_an_answer && is_whole);
            all.push(Must { is_whole, start_is_known });
            let has_length = request.framing != Framing::Chunked && first_data(request_ids, Side::Client);
            place_is_known = start_is_known && (request_is_whole || has_length);
            follows_an_answer = first_data(reply_ids, Side::Server);
        }
        all
    }
}

#[derive(Clone, Copy, Debug)]
struct Must {
    is_whole: bool,
    start_is_known: bool,
}

#[test]
fn a_lossy_capture_gives_right_requests_or_reasons() {
    for seed in 1..=3 {
        let mut random = Random::new(seed);
        let talks = conversations(&mut random);
        let all = merged(&talks);
        let count = all.len();
        let left = faults::lose_some(all, LOSS, &mut random);
        let survivors = Survivors::of(&left);
        let found = listed(&left);
        println!("seed {seed}: {} of {count} packets lost", count - left.len());
        judge(&talks, &survivors, &found);
    }
}

fn judge(talks: &[Conversation], survivors: &Survivors, found: &[Listed]) {
    let mut by_target: BTreeMap<&str, &Listed> = BTreeMap::new();
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for one in found {
        *outcomes.entry(&one.outcome).or_default() += 1;
        assert!(!one.outcome.is_empty() && (one.target.is_some() || !one.is_complete()), "{one:?}");
        if let Some(target) = &one.target {
            assert!(by_target.insert(target, one).is_none(), "{target} is listed twice");
        }
    }
    let (mut whole, mut known, mut missed) = (0, 0, Vec::new());
    for talk in talks {
        for (exchange, must) in talk.exchanges.iter().zip(survivors.must(talk)) {
            let found = by_target.remove(exchange.request.target.as_str());
            if let Some(found) = found {
                assert_eq!(found.flow, talk.ends.flow());
                assert_true(found, exchange);
            }
            whole += u32::from(must.is_whole);
            known += u32::from(must.is_whole && must.start_is_known);
            if must.is_whole && must.start_is_known && !found.is_some_and(Listed::is_complete) {
                missed.push((exchange.request.target.clone(), found.map(|found| &found.outcome)));
            }
        }
    }
    let requests = usize::from(CONNECTIONS) * REQUESTS as usize;
    println!(
        "  {requests} requests, {whole} untouched by loss, {known} of them with a start that can be told; listed: \
         {outcomes:?}"
    );
    assert_eq!(by_target.keys().collect::<Vec<_>>(), Vec::<&&str>::new(), "nobody sent these");
    assert_eq!(missed, [], "whole, but not complete");
    assert!(known * 20 > whole * 19 && whole > 500, "the test tests little");
}
