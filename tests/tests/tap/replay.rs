//! `replay`: v2 receives what the capture holds whole, and at its pace.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use shadow_tests::{
    agent::binary,
    compare::difference,
    packets::{
        Conversation, Ends, Exchange, Reply,
        conversation::merged,
        faults,
        message::{get, post, post_chunked},
    },
    random::Random,
    scene::Kind,
    tap::run,
};

use crate::{
    common::{COPIES_LIMIT, scene},
    script::Capture,
};

fn replay(mut command: Command, capture: &Capture, upstream: SocketAddr, speed: &str) {
    let path = capture.path.display().to_string();
    command.args(["replay", "--pcap", &path, "--shadow", &format!("http://{upstream}"), "--speed", speed]);
    let output = run(&mut command, None).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Conversations of small and large requests, each with a target of its own.
fn conversations(random: &mut Random) -> Vec<Conversation> {
    let conversation = |port: u16| {
        let mut talk = Conversation::new(Ends::v4(port)).starting(Duration::from_micros(u64::from(port)));
        talk.open();
        for number in 0..6 {
            let target = format!("/{port}/{number}");
            let size = random.below(if number == 5 { 200_000 } else { 6_000 });
            let body = random.bytes(size);
            let request = match random.below(3) {
                0 => get(&target),
                1 => post(&target, body),
                _ => post_chunked(&target, body),
            };
            talk.exchange(request, Reply::ok(&b"ok"[..]));
        }
        talk.close();
        talk
    };
    (20_000..20_050).map(conversation).collect()
}

#[test]
fn v2_receives_what_is_complete_byte_for_byte() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let mut random = Random::new(11);
    let talks = conversations(&mut random);
    let left = faults::lose_some(merged(&talks), 10, &mut random);
    let capture = Capture::of_packets(&left);
    let listed = capture.list();
    let complete: Vec<&str> = listed.iter().filter(|one| one.is_complete()).map(|one| one.target()).collect();
    assert!(complete.len() > 150 && complete.len() < 300, "{} complete", complete.len());

    replay(
        scene.lab.gateway.command(binary().unwrap()),
        &capture,
        scene.lab.v2_address(shadow_tests::lab::Family::V4),
        "max",
    );
    let copies = scene.v2.wait_for(complete.len(), COPIES_LIMIT).unwrap();
    let sent: BTreeMap<&str, &Exchange> = talks
        .iter()
        .flat_map(|talk| &talk.exchanges)
        .map(|exchange| (exchange.request.target.as_str(), exchange))
        .collect();
    let received: Vec<&str> = copies.iter().map(|copy| copy.target.as_str()).collect();
    for copy in &copies {
        assert_eq!(difference(&sent[copy.target.as_str()].request, copy), None);
        assert_eq!(copy.header("host"), Some("shop.example-shadow"));
    }
    let [complete, received]: [BTreeSet<&str>; 2] =
        [complete, received].map(|targets| targets.into_iter().collect());
    let missing: Vec<_> = complete.difference(&received).collect();
    let more: Vec<_> = received.difference(&complete).collect();
    assert_eq!(
        (missing, more, received.len()),
        (Vec::new(), Vec::new(), copies.len()),
        "missing, not listed, count"
    );
}

/// A service on this machine that says when each request came.
fn clock() -> (SocketAddr, mpsc::Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (came, when) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let came = came.clone();
            thread::spawn(move || answer(stream, &came));
        }
    });
    (address, when)
}

/// Answers requests without bodies until the connection ends.
fn answer(mut stream: TcpStream, came: &mpsc::Sender<Instant>) {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        head.extend_from_slice(&buffer[..count]);
        while let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            head.drain(..end + 4);
            // The test may be over.
            let _ = came.send(Instant::now());
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    }
}

#[test]
fn the_spacing_of_the_capture_is_kept() {
    const GAPS: [u64; 5] = [400, 50, 800, 0, 200];
    let mut talk = Conversation::new(Ends::v4(40_000));
    talk.open().exchange(get("/0"), Reply::ok(""));
    for gap in GAPS {
        talk.waits(Duration::from_millis(gap)).exchange(get("/next"), Reply::ok(""));
    }
    talk.close();
    let capture = Capture::of_packets(&talk.packets);
    for (speed, factor) in [("1x", 1), ("10x", 10)] {
        let (address, when) = clock();
        replay(Command::new(binary().unwrap()), &capture, address, speed);
        let arrivals: Vec<Instant> = when.try_iter().collect();
        assert_eq!(arrivals.len(), GAPS.len() + 1);
        for (pair, gap) in arrivals.windows(2).zip(GAPS) {
            let expected = Duration::from_millis(gap) / factor;
            let (found, late) = (pair[1] - pair[0], Duration::from_millis(60));
            let early = expected.saturating_sub(late);
            assert!((early..=expected + late).contains(&found), "{speed}: {found:?} instead of {expected:?}");
        }
    }
}
