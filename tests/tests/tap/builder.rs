//! The packet builder itself: tshark must read in its captures what the script said.

use shadow_tests::{
    packets::{
        Conversation, Ends, Format, Link, Order, Packet, Reply, Side,
        conversation::merged,
        faults, file,
        message::{Ending, get, post, post_chunked, with_body},
        pcapng,
    },
    plan::Framing,
    random::Random,
    tap::{directory, save},
    tshark::{self, Request},
};

/// A conversation of every kind of message, over `ends`.
fn conversation(ends: Ends) -> Conversation {
    let mut talk = Conversation::new(ends).isn(u32::MAX - 2_000, u32::MAX - 300);
    let mut random = Random::new(u64::from(ends.client.port()));
    let body = random.bytes(9_000);
    talk.open();
    talk.exchange(get("/get?a=1"), Reply::ok(&b"hello"[..]));
    talk.exchange(post("/post", body.clone()), Reply::ok(body.clone()).ending(Ending::Chunked(1_000)));
    talk.exchange(post_chunked("/chunked", body), Reply::ok("").status(204).ending(Ending::None));
    talk.exchange(
        with_body("HEAD", "/head", Framing::None, Vec::new()),
        Reply::ok(&b"unsent"[..]).ending(Ending::LengthOnly),
    );
    talk.close();
    talk
}

/// What tshark should find in it.
fn expected(talk: &Conversation, stream: u32) -> Vec<Request> {
    let request = |exchange: &shadow_tests::packets::Exchange| Request {
        flow: talk.ends.flow(),
        stream,
        method: exchange.request.method.clone(),
        host: exchange.request.header("host").map(str::to_owned),
        target: exchange.request.target.clone(),
        status: Some(exchange.reply.status),
    };
    talk.exchanges.iter().map(request).collect()
}

fn assert_read(what: &str, capture: &[u8], talks: &[Conversation]) {
    let directory = directory().unwrap();
    let read = tshark::read(&save(&directory, "capture", capture).unwrap(), &[8080]).unwrap();
    let expected: Vec<Request> =
        talks.iter().zip(0..).flat_map(|(talk, stream)| expected(talk, stream)).collect();
    assert_eq!((read.complete, read.others), (expected, Vec::new()), "{what}");
}

fn tshark_is_missing() -> bool {
    let missing = std::process::Command::new("tshark").arg("--version").output().is_err();
    if missing {
        eprintln!("skipped: tshark isn't installed");
    }
    missing
}

#[test]
fn every_format_and_link_type_says_the_same_to_tshark() {
    if tshark_is_missing() {
        return;
    }
    let tagged = Ends::v4(40_002).tagged([Some(7), Some(9)]);
    let talks = [Ends::v4(40_000), Ends::v6(40_001), tagged].map(conversation);
    let packets = merged(&talks);
    for link in Link::ALL {
        for (order, nanoseconds) in [(Order::Little, false), (Order::Big, true)] {
            let format = Format { link, order, nanoseconds, ..Format::default() };
            assert_read(&format!("{format:?}"), &file::bytes(&packets, format), &talks);
        }
    }
    for order in [Order::Little, Order::Big] {
        let links = [(Link::Ethernet, None), (Link::Sll2, Some(9)), (Link::Raw, Some(3))];
        assert_read(&format!("pcapng {order:?}"), &pcapng::several(&packets, &links, order), &talks);
    }
}

/// What tells one capture from another.
fn places(packets: &[Packet]) -> Vec<(Side, u32, usize)> {
    packets.iter().map(|packet| (packet.from, packet.seq, packet.payload.len())).collect()
}

#[test]
fn faults_that_hide_nothing_hide_nothing_from_tshark() {
    if tshark_is_missing() {
        return;
    }
    let talk = conversation(Ends::v4(40_000)).ack_every(8);
    let packets = || talk.packets.clone();
    let random = || Random::new(5);
    let cases: [(&str, Vec<Packet>); 4] = [
        ("reordered", faults::reorder(packets(), &mut random())),
        ("retransmitted", faults::retransmit(packets(), &mut random())),
        ("overlapping", faults::overlap(packets(), |_| true, faults::same)),
        ("twice", faults::duplicate(packets())),
    ];
    for (what, changed) in cases {
        assert_ne!(places(&changed), places(&talk.packets), "{what} changes something");
        assert_read(what, &file::bytes(&changed, Format::default()), std::slice::from_ref(&talk));
    }
}
