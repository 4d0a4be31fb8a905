//! How flows and requests begin and end.

use shadow_common::tcp_flags::FIN;

use super::*;
use crate::http::MAX_HEADERS;

#[test]
fn whole_requests_are_delivered() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[]);
    let chunked = post(CHUNKED, "3\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n");
    let (first, second) = chunked.split_at(20);
    rig.take(client.send(first));
    let began_ns = rig.now_ns;
    rig.take(client.send(second));
    rig.take(client.send(&(get("/1") + &sized("body") + &get("/2"))));
    let expected = [("POST /post", "abcde"), ("GET /1", ""), ("POST /post", "body"), ("GET /2", "")];
    assert_eq!(rig.delivered(), expected.map(|(target, body)| (target.to_owned(), body.as_bytes().to_vec())));
    let request = &rig.pipeline.sink().requests[0].0;
    assert_eq!((request.flow, request.timestamp_ns), (client.flow, began_ns));
    assert_eq!(request.trailers, [("T".into(), "t".into())]);
    assert_eq!((rig.snapshot().sampled, rig.snapshot().in_flight()), (4, 4));
    rig.finish();
    assert_eq!(rig.drops(), []);
}

#[test]
fn a_ticket_is_open_from_the_method_on() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &["GE"]);
    assert_eq!(rig.snapshot().sampled, 0);
    rig.take(client.send("T "));
    assert_eq!((rig.snapshot().sampled, rig.snapshot().in_flight()), (1, 1));
    rig.finish();
    assert_eq!(rig.drops(), [(DropReason::Shutdown, 1)]);
    // What ends before is none, unless the kernel read it.
    for (mark, drops) in [(OPENED, vec![]), (FRAMED, vec![(DropReason::Incomplete, 1)])] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        rig.take(client.enter(mark).send("GE"));
        rig.take(client.with(FIN));
        assert_eq!((rig.drops(), rig.snapshot().dropped()), (drops.clone(), drops.len() as u64));
        rig.finish();
    }
}

#[test]
fn a_body_that_looks_like_a_request_stays_a_body() {
    let smuggled = get("/admin");
    let mut rig = Rig::new();
    let head = post(&format!("Content-Length: {}\r\n", smuggled.len()), "");
    let mut client = Client::connect(&mut rig, 1, &[&head]);
    // The server may answer before it reads the body.
    rig.take(client.answer(0));
    rig.take(client.send(&smuggled));
    rig.take(client.send(&get("/next")));
    assert_eq!(rig.targets(), ["POST /post", "GET /next"]);
    assert_eq!(rig.delivered()[0].1, smuggled.as_bytes());
    rig.finish();
}

#[test]
fn data_in_the_syn_is_the_first_request_even_if_sent_again() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    let request = get("/fast");
    let syn = client.syn(request.as_bytes());
    rig.take(syn);
    rig.take(syn);
    rig.take(Client::new(1).send(&request));
    rig.take(client.send(&get("/next")));
    assert_eq!(rig.targets(), ["GET /fast", "GET /next"]);
    let stats = rig.stats();
    assert_eq!((stats.flows_total, stats.flows_reused, stats.repeated_segments), (1, 0, 2));
    rig.finish();
}

#[test]
fn what_is_sent_again_after_the_end_is_no_other_flow_s() {
    let close = post("Connection: close\r\n", "");
    for (request, mark) in [(&*get("/"), FRAMED), (&*get("/"), OPENED), (&*close, FRAMED)] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        let whole = Segment { flags: FIN | ACK, ..client.enter(mark).send(request) };
        rig.take(whole);
        rig.wait(SECOND);
        rig.take(Segment { flags: ACK, ..whole });
        rig.take(client.with(FIN));
        let stats = rig.stats();
        assert_eq!((rig.targets().len(), stats.flows_open, stats.repeated_segments), (1, 0, 1));
        // The same ports again, at once: sequence numbers are others.
        let mut again = Client::at(1, FIRST.wrapping_add(1_000_000));
        rig.take(again.enter(mark).send(request));
        assert_eq!(rig.targets().len(), 2);
        rig.finish();
    }
}

#[test]
fn another_syn_is_another_connection() {
    let mut rig = Rig::new();
    Client::connect(&mut rig, 1, &[OPEN]);
    let mut again = Client::at(1, 1001);
    rig.take(again.syn(b""));
    assert_eq!(rig.drops(), [(DropReason::Incomplete, 1)]);
    rig.take(again.send(&get("/new")));
    assert_eq!(rig.targets(), ["GET /new"]);
    let stats = rig.stats();
    assert_eq!((stats.flows_open, stats.flows_total, stats.flows_reused), (1, 2, 1));
    rig.finish();
}

#[test]
fn what_belongs_to_no_run_is_left_alone() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    client.run = Run::default();
    rig.take(client.send(&get("/")));
    rig.take(client.with(FIN));
    rig.take(client.answer(RST));
    // The service's host connects from the service port: the SYN towards it is an answer.
    rig.take(Client::segment(client.flow, 5, SYN | ACK, b""));
    rig.take(Client::segment(client.flow, 5, SYN | RST, b""));
    rig.take(client.send(&get("/")));
    let expected = FlowStats { unknown_segments: 2, ..FlowStats::default() };
    assert_eq!((rig.stats(), rig.snapshot().sampled), (expected, 0));
}

#[test]
fn an_end_before_the_end_of_the_request_leaves_it_incomplete() {
    let client_ends = |flags| move |client: &Client| client.with(flags);
    let service_resets = |client: &Client| client.answer(RST);
    let ends: [&dyn Fn(&Client) -> Segment<'static>; 3] =
        [&client_ends(FIN), &client_ends(RST), &service_resets];
    for end in ends {
        let mut rig = Rig::new();
        let client = Client::connect(&mut rig, 1, &[&get("/whole"), OPEN]);
        rig.take(end(&client));
        assert_eq!(rig.targets(), ["GET /whole"]);
        assert_eq!(rig.drops(), [(DropReason::Incomplete, 1)]);
        assert_eq!((rig.stats().flows_open, rig.stats().flows_lost), (0, 0));
        rig.finish();
    }
}

#[test]
fn the_service_s_fin_is_half_a_close() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[OPEN]);
    rig.take(client.answer(FIN));
    rig.take(client.send("c"));
    assert_eq!(rig.targets(), ["POST /open"]);
    rig.take(client.with(FIN));
    assert_eq!(rig.stats().flows_open, 0);
    rig.finish();
}

#[test]
fn what_the_decoder_refuses_is_dropped_for_its_reason() {
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(64 << 10));
    let many = post(&"A: b\r\n".repeat(MAX_HEADERS), "");
    for (request, reason, tunnels) in [
        (&*post("Content-Length: 1, 1\r\n", "x"), DropReason::Ambiguous, 0),
        (&*post(CHUNKED, "x\r\n"), DropReason::Ambiguous, 0),
        (&*large, DropReason::HeadTooLarge, 0),
        (&*many, DropReason::HeadTooLarge, 0),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", DropReason::Connect, 1),
        (&*post("Connection: upgrade\r\nUpgrade: websocket\r\n", ""), DropReason::Upgrade, 1),
    ] {
        let mut rig = Rig::new();
        let mut client = Client::connect(&mut rig, 1, &[request, &get("/")]);
        assert_eq!((rig.drops(), rig.targets()), (vec![(reason, 1)], vec![]));
        let stats = rig.stats();
        assert_eq!((stats.tunnels, stats.flows_lost, stats.flows_open), (tunnels, 0, 1), "{reason:?}");
        assert_eq!((stats.ignored_bytes, rig.budget.used()), (get("/").len() as u64, 0));
        rig.take(client.send("x"));
        rig.take(client.with(FIN));
        assert_eq!(rig.stats().flows_open, 0);
        rig.finish();
    }
}

#[test]
fn requests_that_are_not_wanted_are_followed_to_their_end() {
    let refused = post("X-Refuse: 1\r\nContent-Length: 3\r\n", "abc");
    for (request, reason) in [
        (&*refused, DropReason::Loop),
        (&*sized("abcde"), DropReason::BodyTooLarge),
        (&*post(CHUNKED, "3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\nT: t\r\n\r\n"), DropReason::BodyTooLarge),
    ] {
        let mut rig = Rig::taking(4);
        let parts = [&*get("/1"), request, &*sized("abcd"), &*get("/2")];
        Client::connect(&mut rig, 1, &parts);
        assert_eq!(rig.targets(), ["GET /1", "POST /post", "GET /2"]);
        assert_eq!(rig.drops(), [(reason, 1)]);
        rig.finish();
        // Dropped once, also if its end never comes.
        let mut rig = Rig::taking(4);
        Client::connect(&mut rig, 1, &[&request[..request.len() - 1]]);
        rig.finish();
        assert_eq!(rig.drops(), [(reason, 1)]);
    }
}

#[test]
fn other_protocols_are_recognised_once_and_left_alone() {
    let mut rig = Rig::new();
    Client::connect(&mut rig, 1, &["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "more"]);
    Client::connect(&mut rig, 2, &["\u{16}\u{3}\u{1}", "more"]);
    Client::connect(&mut rig, 3, &["*1\r\n$4\r\nPING\r\n", "more"]);
    let stats = rig.stats();
    assert_eq!((stats.http2, stats.tls, stats.other_protocol, stats.ignored_bytes), (1, 1, 1, 12));
    assert_eq!(rig.snapshot().sampled, 0);
    rig.finish();
}

#[test]
fn bytes_after_the_last_request_are_ignored() {
    let mut rig = Rig::new();
    let request = post("Connection: close\r\n", &get("/more"));
    let client = Client::connect(&mut rig, 1, &[&request, &get("/more")]);
    assert_eq!((rig.targets(), rig.drops()), (vec!["POST /post".to_owned()], vec![]));
    assert_eq!(rig.stats().ignored_bytes, 2 * get("/more").len() as u64);
    rig.take(client.with(FIN));
    assert_eq!((rig.stats().flows_open, rig.stats().flows_lost), (0, 0));
    rig.finish();
}
