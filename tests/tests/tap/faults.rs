//! Every fault that a capture may have, and what becomes of each request in it.

use std::time::Duration;

use shadow_common::tcp_flags::SYN;
use shadow_tests::{
    packets::{
        Conversation, Ends, Exchange, Format, Link, Order, Packet, Reply, Side,
        conversation::merged,
        faults, file,
        message::{get, post},
        pcapng,
    },
    random::Random,
};

use crate::script::{Capture, assert_true, conversation, exchanges, listed, whole};

/// What should become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// Listed as this.
    Is(&'static str),
    /// Not listed: nothing tells that it was there.
    Absent,
    /// Nothing tells where it begins: not listed as complete unless it is right, or not listed.
    Free,
}

const COMPLETE: Want = Want::Is("complete");

/// Asserts what becomes of the exchanges, in their order. What is listed without a target isn't complete.
fn assert_outcomes(what: &str, packets: &[Packet], exchanges: &[Exchange], wanted: &[Want]) {
    assert_eq!(exchanges.len(), wanted.len(), "{what}");
    assert_listed(what, &Capture::of_packets(packets), exchanges, wanted);
}

fn assert_listed(what: &str, capture: &Capture, exchanges: &[Exchange], wanted: &[Want]) {
    let listed = capture.list();
    assert!(listed.iter().all(|one| one.target.is_some() || !one.is_complete()), "{what}: {listed:#?}");
    let mut left = listed.iter().filter(|one| one.target.is_some()).peekable();
    for (exchange, wanted) in exchanges.iter().zip(wanted) {
        let found = left.next_if(|one| one.target() == exchange.request.target);
        if let Some(found) = found {
            assert_true(found, exchange);
        }
        let outcome = found.map(|found| found.outcome.as_str());
        let as_wanted = match wanted {
            Want::Is(wanted) => outcome == Some(wanted),
            Want::Absent => outcome.is_none(),
            Want::Free => true,
        };
        let target = &exchange.request.target;
        assert!(as_wanted, "{what}: {target} is {outcome:?}, {wanted:?} expected, of {listed:#?}");
    }
    assert_eq!(left.next(), None, "{what}: more was listed than was said");
}

/// `wanted` for the request of this number, and complete for the other four.
fn all_but(number: usize, wanted: Want) -> [Want; 5] {
    let mut all = [COMPLETE; 5];
    all[number] = wanted;
    all
}

#[test]
fn what_every_reader_must_put_up_with_costs_nothing() {
    let talk = || conversation(Ends::v4(40_000)).packets;
    let slow = || whole(Conversation::new(Ends::v4(40_000)).ack_every(8)).packets;
    let wrapping = whole(Conversation::new(Ends::v6(40_000)).isn(u32::MAX - 6_000, u32::MAX - 3_000));
    let tagged = conversation(Ends::v4(40_000).tagged([Some(5), Some(6)]));
    let large = whole(Conversation::new(Ends::v4(40_000)).segments_of(32_000));
    let exchanges = conversation(Ends::v4(40_000)).exchanges;
    for seed in 0..3 {
        let mut random = Random::new(seed);
        for (what, packets) in [
            ("reordered", faults::reorder(slow(), &mut random)),
            ("retransmitted", faults::retransmit(talk(), &mut random)),
            ("both", faults::retransmit(faults::reorder(slow(), &mut random), &mut random)),
        ] {
            assert_outcomes(&format!("{what}, seed {seed}"), &packets, &exchanges, &[COMPLETE; 5]);
        }
    }
    let is_empty = |_: usize, packet: &Packet| packet.payload.is_empty() && packet.id > 2;
    for (what, packets) in [
        ("as it was", talk()),
        ("the same bytes in overlaps", faults::overlap(talk(), |_| true, faults::same)),
        ("every packet twice", faults::duplicate(talk())),
        ("sequence numbers that wrap, IPv6", wrapping.packets),
        ("two VLAN tags", tagged.packets),
        ("segments as offload makes them", large.packets),
        ("no acknowledgements, no FIN", faults::lose(talk(), is_empty)),
    ] {
        assert_outcomes(what, &packets, &exchanges, &[COMPLETE; 5]);
    }
}

#[test]
fn every_format_and_link_type_is_read() {
    let talks = [Ends::v4(40_000), Ends::v6(40_001), Ends::v4(40_002)].map(conversation);
    let packets = merged(&talks);
    let check = |what: &str, bytes: &[u8]| {
        let listed = Capture::of(bytes).list();
        for talk in &talks {
            let of_flow: Vec<_> = listed.iter().filter(|one| one.flow == talk.ends.flow()).collect();
            let found: Vec<_> = of_flow.iter().map(|one| (one.target(), one.outcome.as_str())).collect();
            let expected = ["/0", "/1", "/2", "/3", "/4"].map(|target| (target, "complete"));
            assert_eq!(found, expected, "{what}, {}", talk.ends.flow());
            of_flow.iter().zip(&talk.exchanges).for_each(|(listed, exchange)| assert_true(listed, exchange));
        }
        assert_eq!(listed.len(), 15, "{what}");
    };
    for link in Link::ALL {
        for (order, nanoseconds) in
            [(Order::Little, false), (Order::Little, true), (Order::Big, false), (Order::Big, true)]
        {
            let format = Format { link, order, nanoseconds, ..Format::default() };
            check(&format!("{format:?}"), &file::bytes(&packets, format));
        }
    }
    for order in [Order::Little, Order::Big] {
        let links = [(Link::Ethernet, None), (Link::Sll, Some(9)), (Link::Raw, Some(3))];
        check(&format!("pcapng {order:?}"), &pcapng::several(&packets, &links, order));
    }
}

#[test]
fn what_was_lost_costs_the_request_that_it_was_in() {
    let talk = conversation(Ends::v4(40_000));
    let exchanges = &talk.exchanges;
    let inside = |number: usize, packet: &Packet| exchanges[number].request_ids.contains(&packet.id);
    let data_of = |number: usize, side: Side| -> Vec<u32> {
        let ids = match side {
            Side::Client => &exchanges[number].request_ids,
            Side::Server => &exchanges[number].reply_ids,
        };
        let data = talk.packets.iter().filter(|packet| packet.is_data_of(side) && ids.contains(&packet.id));
        data.map(|packet| packet.id).collect()
    };
    let without = |id: u32| faults::lose(talk.packets.clone(), |_, packet| packet.id == id);
    let [post, chunked] = [1, 2].map(|number| data_of(number, Side::Client));
    let differing = faults::overlap(talk.packets.clone(), |packet| packet.id == post[3], faults::differing);
    assert_eq!(differing.len(), talk.packets.len() + 1);
    let answer = data_of(1, Side::Server);
    for (what, packets, wanted) in [
        ("a body's middle", without(post[2]), all_but(1, Want::Is("gap"))),
        ("a body's end", without(post[post.len() - 1]), all_but(1, Want::Is("gap"))),
        ("a head", without(post[0]), all_but(1, Want::Absent)),
        ("a chunked body's middle", without(chunked[2]), all_but(2, Want::Is("gap"))),
        ("a connection's first request", without(data_of(0, Side::Client)[0]), all_but(0, Want::Absent)),
        ("a whole request", without(data_of(3, Side::Client)[0]), all_but(3, Want::Absent)),
        (
            "all of a POST",
            faults::lose(talk.packets.clone(), |_, packet| inside(1, packet)),
            all_but(1, Want::Absent),
        ),
        ("an answer's middle", without(answer[1]), [COMPLETE; 5]),
        ("an answer's beginning", without(answer[0]), [COMPLETE; 5]),
        ("bytes that differ", differing, all_but(1, Want::Is("ambiguous"))),
    ] {
        assert_outcomes(what, &packets, exchanges, &wanted);
    }
    let of_answer = listed(&without(answer[1]))[1].response.clone().unwrap();
    assert_eq!((of_answer.status, of_answer.body_sha256), (200, None));
}

#[test]
fn snapped_packets_cost_what_they_cut() {
    let talk = conversation(Ends::v4(40_000));
    let capture = Capture::of(&file::bytes(&talk.packets, Format { snap: 200, ..Format::default() }));
    let gap = Want::Is("gap");
    assert_listed("200 bytes", &capture, &talk.exchanges, &[COMPLETE, gap, gap, COMPLETE, COMPLETE]);
}

#[test]
fn a_connection_met_in_mid_life_is_followed_from_where_it_can_be() {
    let talk = conversation(Ends::v4(40_000));
    let before = |id: u32| faults::lose(talk.packets.clone(), |_, packet| packet.id < id);
    let start = |number: usize| talk.exchanges[number].request_ids.start;
    let no_syn =
        faults::lose(talk.packets.clone(), |_, packet| packet.has(SYN) && packet.from == Side::Client);
    let (free, gone) = (Want::Free, Want::Absent);
    for (what, packets, wanted) in [
        ("no SYN", no_syn, all_but(0, free)),
        ("no handshake", before(start(0)), all_but(0, free)),
        ("from within a body", before(start(1) + 2), [gone, gone, COMPLETE, COMPLETE, COMPLETE]),
        (
            "from an answer",
            before(talk.exchanges[1].reply_ids.start),
            [gone, gone, COMPLETE, COMPLETE, COMPLETE],
        ),
        ("from a request", before(start(2)), [gone, gone, free, COMPLETE, COMPLETE]),
    ] {
        assert_outcomes(what, &packets, &talk.exchanges, &wanted);
    }
}

#[test]
fn probes_are_no_data() {
    for with_byte in [false, true] {
        let mut talk = Conversation::new(Ends::v4(40_000));
        talk.open();
        for prefix in ["/a", "/b"] {
            exchanges(&mut talk, prefix);
            for side in [Side::Client, Side::Server] {
                talk.waits(Duration::from_secs(30)).keep_alive(side, with_byte);
            }
        }
        talk.close();
        assert_outcomes("keep-alive probes", &talk.packets, &talk.exchanges, &[COMPLETE; 10]);
    }
    let mut talk = Conversation::new(Ends::v4(40_000));
    let (request, reply) = (post("/probed", vec![b'x'; 20_000]), Reply::ok(&b"ok"[..]));
    let wire = request.wire().freeze();
    talk.open();
    let start = talk.next_id();
    talk.client(wire.slice(..10_000)).sends_into_zero_window(Side::Client, wire.slice(10_000..));
    let middle = talk.next_id();
    talk.server(reply.wire())
        .said(request, reply, start, middle)
        .exchange(get("/after"), Reply::ok(""))
        .close();
    assert_outcomes("probes of a full window", &talk.packets, &talk.exchanges, &[COMPLETE; 2]);
}

#[test]
fn connections_end_in_several_ways() {
    let opened = || {
        let mut talk = Conversation::new(Ends::v4(40_000));
        talk.open().exchange(get("/first"), Reply::ok(&b"first"[..]));
        talk
    };
    let (request, reply) = (post("/last", vec![b'x'; 9_000]), Reply::ok(&b"last"[..]));
    let wire = request.wire().freeze();

    let mut reset = opened();
    let start = reset.next_id();
    reset.client(wire.slice(..5_000)).resets(Side::Client);
    let end = reset.next_id();
    reset.said(request.clone(), reply.clone(), start, end);
    assert_outcomes("RST in a body", &reset.packets, &reset.exchanges, &[COMPLETE, Want::Is("incomplete")]);

    let mut with_fin = opened();
    let start = with_fin.next_id();
    with_fin.client(wire.slice(..8_500)).ends_with(Side::Client, wire.slice(8_500..));
    let middle = with_fin.next_id();
    // The client has closed its half; the answer comes on the other.
    with_fin.acks(Side::Server).waits(Duration::from_secs(1)).ends_with(Side::Server, reply.wire());
    with_fin.acks(Side::Client).said(request.clone(), reply.clone(), start, middle);
    assert_outcomes("FIN with payload", &with_fin.packets, &with_fin.exchanges, &[COMPLETE; 2]);
    assert_eq!(listed(&with_fin.packets)[1].status(), Some(200), "the answer on a half-closed connection");

    let mut cut = opened();
    let start = cut.next_id();
    cut.client(wire.slice(..5_000));
    let end = cut.next_id();
    cut.said(request, reply, start, end);
    assert_outcomes("the capture ends", &cut.packets, &cut.exchanges, &[COMPLETE, Want::Is("incomplete")]);
}

#[test]
fn ports_may_be_used_again() {
    for (what, closed, isn) in [
        ("after FIN", true, 500_000),
        ("after FIN, numbers near the old", true, 30_000),
        ("the first one's end wasn't captured", false, 500_000),
    ] {
        let mut first = Conversation::new(Ends::v4(40_000));
        first.open();
        exchanges(&mut first, "/a");
        if closed {
            first.close();
        }
        let second = Conversation::new(Ends::v4(40_000)).isn(isn, 7).starting(Duration::from_secs(70));
        let mut second = second;
        second.open();
        exchanges(&mut second, "/b");
        second.close();
        let all = [first.exchanges.clone(), second.exchanges.clone()].concat();
        assert_outcomes(what, &merged([&first, &second]), &all, &[COMPLETE; 10]);
    }
}
