//! Every limit, and the reason that it drops copies for.

use std::num::NonZeroU32;

use super::*;
use crate::shadow::{mirror::breaker::BreakerState, options::BreakerOptions};

#[tokio::test]
async fn a_hanging_v2_fills_the_places_then_the_queue_then_costs_copies() {
    let (peer, mut arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |options| (options.max_in_flight, options.max_queue) = (3, 5));
    for _ in 0..3 {
        rig.send(GET);
        arrivals.recv().await.unwrap();
    }
    for _ in 0..5 {
        rig.send(GET);
    }
    assert_eq!(rig.ledger.snapshot().in_flight(), 8);
    let gauges = rig.mirror.plan().relays()[0].gauges();
    assert_eq!((gauges.in_flight, gauges.queued), (3, 5));
    let began = Instant::now();
    for _ in 0..100 {
        rig.send(GET);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "never blocks");
    assert_eq!(rig.drops(), [(DropReason::QueueFull, 100)]);

    rig.mirror.close(sleep(Duration::from_millis(20))).await;
    rig.send(GET);
    assert_ledger(&rig.ledger.snapshot(), &[("queue_full", 100), ("shutdown", 9)]);
}

#[tokio::test]
async fn bytes_that_wait_are_bounded_and_a_queue_of_0_takes_none() {
    let (peer, _arrivals) = black_hole().await;
    let body = [b'x'; 1000];
    let post = || captured("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", &body);
    for (queue, bytes, waiting) in [(0, 1 << 20, 0), (10, 999, 0), (10, 2000, 1), (2, 1 << 20, 2)] {
        let mut rig = Rig::to(peer.upstream(), |options| {
            (options.max_in_flight, options.max_queue, options.max_queue_bytes) = (1, queue, bytes);
        });
        for _ in 0..5 {
            rig.take(post());
        }
        assert_eq!(rig.drops(), [(DropReason::QueueFull, 4 - waiting)], "{queue} {bytes}");
        rig.mirror.close(std::future::ready(())).await;
        assert_ledger(&rig.ledger.snapshot(), &[("queue_full", 4 - waiting), ("shutdown", 1 + waiting)]);
    }
}

#[tokio::test]
async fn a_route_may_use_up_its_own_share_of_an_upstream_alone() {
    let (peer, _arrivals) = black_hole().await;
    let few = ShadowOptions { max_in_flight: Some(2), ..shadow_to("v2") };
    let matches = crate::route::matcher::RouteMatch {
        path: Some(crate::route::matcher::PathMatch::Prefix("/few".to_owned())),
        ..Default::default()
    };
    let few = RouteOptions { matches: vec![matches], ..route("few", vec![few]) };
    let routes = vec![few, route("rest", vec![shadow_to("v2")])];
    let mut rig = Rig::new(&config(vec![upstream("v2", peer.upstream())], routes));
    // What was admitted before is looked at again.
    let early = captured("GET /few HTTP/1.1\r\nHost: a\r\n\r\n", b"");
    let admitted = rig.admit(&early).unwrap();
    for _ in 0..4 {
        rig.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n");
        rig.send(GET);
    }
    rig.sink.deliver(early, admitted.copies);
    assert!(
        rig.admit(&captured("GET /few HTTP/1.1\r\nHost: a\r\n\r\n", b"")).is_none(),
        "nothing is collected"
    );
    assert_eq!(rig.drops(), [(DropReason::InFlightLimit, 4)]);
    rig.mirror.close(std::future::ready(())).await;
    let snapshot = rig.ledger.snapshot();
    assert_ledger(&snapshot, &[("in_flight_limit", 4), ("shutdown", 6)]);
    assert_eq!((snapshot.copies[0].outcomes.sampled, snapshot.copies[1].outcomes.sampled), (6, 4));
}

#[tokio::test]
async fn no_more_copies_per_second_than_may_be() {
    let peer = Peer::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_rps = NonZeroU32::new(100));
    let began = Instant::now();
    for _ in 0..500 {
        rig.send(GET);
    }
    let most = 10 + (began.elapsed().as_secs_f64() * 100.0).ceil() as u64;
    rig.mirror.close(sleep(LONG)).await;
    let snapshot = rig.ledger.snapshot();
    assert!((10..=most).contains(&snapshot.mirrored()), "{} of {most}", snapshot.mirrored());
    assert_eq!(rig.drops(), [(DropReason::RateLimit, 500 - snapshot.mirrored())]);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_left_in_peace_until_it_is() {
    let url = refusing().await;
    let mut rig = Rig::to(url.clone(), |options| {
        let open_for = Duration::from_millis(50);
        options.breaker = Some(BreakerOptions { failures: NonZeroU32::new(3).unwrap(), open_for });
        options.max_in_flight = 1;
    });
    let relay = Arc::clone(&rig.mirror.plan().relays()[0]);
    // What waits when it opens is dropped too.
    for _ in 0..10 {
        rig.send(GET);
    }
    rig.until(|ledger| ledger.in_flight() == 0).await;
    let snapshot = rig.ledger.snapshot();
    assert_eq!((snapshot.failed(), rig.drops()), (3, vec![(DropReason::CircuitOpen, 7)]));
    assert_eq!(relay.gauges().breaker, BreakerState::Open);
    rig.send(GET);
    assert_eq!(rig.drops(), [(DropReason::CircuitOpen, 8)], "at once");

    let listener = tokio::net::TcpListener::bind((url.host(), url.port())).await.unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while read_request(&mut stream).await.unwrap().is_some() {
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        }
    });
    // Copies are refused until one is let through, and that closes it.
    let mut sent = 12;
    while rig.ledger.snapshot().mirrored() == 0 {
        rig.send(GET);
        sent += 1;
        sleep(Duration::from_millis(5)).await;
        assert!(sent < 1000);
    }
    assert_eq!(relay.gauges().breaker, BreakerState::Closed);
    let dropped = rig.ledger.snapshot().dropped();
    rig.send(GET);
    rig.mirror.close(sleep(LONG)).await;
    let snapshot = rig.ledger.snapshot();
    assert!(snapshot.mirrored() >= 2 && snapshot.dropped() == dropped && snapshot.in_flight() == 0);
    peer.abort();
}

#[tokio::test]
async fn a_body_may_be_too_large_for_one_copy_and_not_for_another() {
    let (peer, mut received) = Peer::recording().await;
    let small = ShadowOptions { max_body: 3, ..shadow_to("small") };
    let upstreams = vec![upstream("small", peer.upstream()), upstream("large", peer.upstream())];
    let mut rig = Rig::new(&config(upstreams, vec![route("both", vec![small, shadow_to("large")])]));
    rig.take(captured("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", b"abcd"));
    let chunked = captured("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"abcd");
    let admitted = rig.admit(&chunked).unwrap();
    assert_eq!(admitted.max_body, 1 << 30, "all is collected that any of them takes");
    rig.sink.deliver(chunked, admitted.copies);
    rig.take(captured("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", b"abc"));
    let ledger = rig.ledger.clone();
    rig.expect(&[("mirrored", 4), ("body_too_large", 2)]).await;
    assert_eq!(ledger.snapshot().copies[0].outcomes.dropped(), 2);
    assert_eq!(std::iter::from_fn(|| received.try_recv().ok()).count(), 4);
}

#[tokio::test]
async fn one_copy_at_a_time_sees_whether_an_upstream_is_back() {
    let url = refusing().await;
    let mut rig = Rig::to(url.clone(), |options| {
        options.breaker = Some(BreakerOptions { failures: NonZeroU32::MIN, open_for: Duration::ZERO });
    });
    rig.send(GET);
    rig.until(|ledger| ledger.failed() == 1).await;
    let listener = tokio::net::TcpListener::bind((url.host(), url.port())).await.unwrap();
    rig.send(GET);
    let _hangs = listener.accept().await.unwrap();
    rig.send(GET);
    assert_eq!(rig.drops(), [(DropReason::CircuitOpen, 1)], "for as long as an answer may take");
    rig.mirror.close(std::future::ready(())).await;
    assert_ledger(&rig.ledger.snapshot(), &[("connect", 1), ("circuit_open", 1), ("shutdown", 1)]);
}
