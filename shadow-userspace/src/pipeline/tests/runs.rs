//! Where runs begin, end and meet: what is delivered, and what for which reason not.

use shadow_common::tcp_flags::{FIN, URG};

use super::*;

#[test]
fn requests_between_sampled_ones_may_be_left_out() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    for target in ["/1", "/2"] {
        let request = sized(target);
        let (head, body) = request.split_at(30);
        rig.take(client.enter(FRAMED).send(head));
        rig.take(client.send(body));
        client.skip(1000);
    }
    rig.take(client.enter(FRAMED).send(&get("/3")));
    rig.take(client.enter(FRAMED).send(&get("/4")));
    assert_eq!(rig.targets(), ["POST /post", "POST /post", "GET /3", "GET /4"]);
    let expected = FlowStats { flows_open: 1, flows_total: 1, ..FlowStats::default() };
    assert_eq!((rig.stats(), rig.drops()), (expected, vec![]));
    rig.finish();
}

#[test]
fn in_open_runs_the_pipeline_draws_for_all_but_the_first() {
    for (mark, draws, targets, passed) in [
        (OPENED, &[false, true][..], &["GET /1", "GET /3"][..], 1),
        (PASSED, &[false, true], &["GET /3"], 2),
        (PASSED, &[true, false], &["POST /post"], 2),
        (OPENED, &[true, true], &["GET /1", "POST /post", "GET /3"], 0),
    ] {
        let mut rig = Rig::scripted(draws);
        let mut client = Client::new(1);
        let requests = get("/1") + &sized("body") + &get("/3");
        let (one, other) = requests.split_at(requests.len() / 2);
        rig.take(client.enter(mark).send(one));
        rig.take(client.send(other));
        let stats = rig.stats();
        assert_eq!(
            (rig.targets(), rig.drops()),
            (targets.iter().map(|&target| target.into()).collect(), vec![])
        );
        assert_eq!((stats.requests_framed, stats.requests_passed), (3, passed));
        rig.finish();
    }
}

#[test]
fn a_run_may_be_opened_on_the_way() {
    let mut rig = Rig::scripted(&[true, false, true]);
    let mut client = Client::new(1);
    rig.take(client.enter(FRAMED).send(OPEN));
    // One segment has the end of the request, and what follows.
    rig.take(client.mark(OPENED).send(&("c".to_owned() + &get("/2") + &sized("/3"))));
    assert_eq!((rig.targets(), rig.notes().len()), (vec!["POST /open".to_owned(), "GET /2".to_owned()], 1));
    // It stays open, also if an earlier record comes late; what the kernel counted isn't counted here.
    rig.take(Segment { seq: client.run.start, ..client.mark(FRAMED).part(ACK, OPEN.as_bytes()) });
    rig.take(client.send(&get("/4")));
    assert_eq!((rig.targets().len(), rig.drops()), (3, vec![]));
    assert_eq!((rig.stats().requests_framed, rig.stats().requests_passed), (3, 1));
    rig.finish();
}

#[test]
fn requests_outside_the_sample_hold_nothing_and_are_nothing_to_the_ledger() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(PASSED).send(&post("Content-Length: 1000\r\n", &"x".repeat(500))));
    assert_eq!((rig.budget.used(), rig.snapshot().sampled), (0, 0));
    rig.take(client.send(&"x".repeat(500)));
    rig.take(client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n"));
    // The second is the pipeline's to draw for.
    assert_eq!(rig.drops(), [(DropReason::Ambiguous, 1)]);
    rig.finish();
    let mut rig = Rig::new();
    Client::new(1);
    rig.take(Client::new(1).enter(PASSED).send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"));
    assert_eq!((rig.snapshot().sampled, rig.stats().tunnels, rig.stats().requests_passed), (0, 1, 1));
    rig.finish();
}

#[test]
fn bytes_before_the_run_are_no_part_of_it() {
    for mark in [FRAMED, OPENED] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        // The segment has the end of a request that is not in the sample.
        let segment = "the end of a body".to_owned() + &get("/1");
        client.run = Run { start: client.next.wrapping_add(17), mark };
        rig.take(client.send(&segment));
        // And once more, on a flow that is known.
        client.skip(5);
        client.run = Run { start: client.next.wrapping_add(17), mark };
        rig.take(client.send(&segment));
        // All of a segment may lie before it: a record of a segment of several.
        client.run = Run { start: client.next.wrapping_add(5), mark };
        rig.take(client.send("of a"));
        rig.take(client.send(&("f".to_owned() + &get("/2"))));
        assert_eq!(
            (rig.targets(), rig.drops()),
            (["GET /1", "GET /1", "GET /2"].map(String::from).to_vec(), vec![])
        );
        rig.finish();
    }
}

#[test]
fn an_end_that_only_the_kernel_sees_is_a_disagreement() {
    // A request is under way; or only its first bytes; or an empty line, and then nothing.
    for before in [OPEN, "GE", "\r\n"] {
        for (mark, next) in [(FRAMED, FRAMED), (OPENED, OPENED), (FRAMED, FRAMED | marks::LOST)] {
            let mut rig = Rig::new();
            let mut client = Client::new(1);
            rig.take(client.enter(mark).send(before));
            rig.take(client.enter(next).send(&get("/smuggled")));
            // Nothing is believed any more. What the kernel framed it counted as well.
            let drops = if next == OPENED { 1 } else { 2 };
            let found = (rig.targets(), rig.drops());
            assert_eq!(found, (vec![], vec![(DropReason::Ambiguous, drops)]), "{before}");
            rig.take(client.enter(FRAMED).send(&get("/later")));
            client.skip(7);
            rig.take(client.enter(OPENED).send(&get("/later")));
            let found = (rig.targets(), rig.snapshot().sampled, rig.stats().flows_open);
            assert_eq!(found, (vec![], drops + 1, 1));
            assert_eq!(rig.stats().ignored_bytes as usize, get("/smuggled").len() + 2 * get("/later").len());
            rig.take(client.with(FIN));
            assert_eq!(rig.stats().flows_open, 0);
            rig.finish();
        }
    }
}

#[test]
fn an_end_that_only_the_decoder_sees_is_a_disagreement() {
    for more in [get("/2"), get("/2") + &get("/3"), get("/2") + "rubbish\0"] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        rig.take(client.enter(FRAMED).send(&(get("/1") + &more)));
        assert_eq!(
            (rig.targets(), rig.drops()),
            (vec!["GET /1".to_owned()], vec![(DropReason::Ambiguous, 1)])
        );
        assert_eq!((rig.stats().requests_framed, rig.stats().flows_lost), (1, 0));
        rig.take(client.enter(FRAMED).send(&get("/4")));
        assert_eq!((rig.targets().len(), rig.snapshot().sampled), (1, 3));
        rig.finish();
    }
    // Where the kernel read a request there is none.
    let mut rig = Rig::new();
    rig.take(Client::new(1).enter(FRAMED).send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert_eq!((rig.drops(), rig.stats().http2), (vec![(DropReason::Ambiguous, 1)], 1));
    rig.finish();
}

#[test]
fn a_run_within_bytes_that_were_taken_is_a_disagreement() {
    let request = get("/1");
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&request, &request]);
    // Sent again whole, after the kernel was told that it begins there.
    let run = Run { start: FIRST.wrapping_add(u32::try_from(request.len()).unwrap()), mark: FRAMED };
    rig.take(Segment { run, seq: run.start, ..client.part(ACK, request.as_bytes()) });
    assert_eq!((rig.targets().len(), rig.stats().repeated_segments), (2, 1));
    rig.take(client.enter(FRAMED).send(&get("/3")));
    assert_eq!(rig.targets().len(), 3);
    let next = Run { start: client.next.wrapping_sub(1), mark: FRAMED };
    rig.take(Segment { run: next, ..client.part(ACK, b"body") });
    rig.take(client.enter(FRAMED).send(&get("/4")));
    let drops = vec![(DropReason::Ambiguous, 1)];
    assert_eq!((rig.targets().len(), rig.drops(), rig.stats().flows_open), (3, drops, 1));
    rig.finish();
}

#[test]
fn late_records_of_an_earlier_run_are_ignored() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(FRAMED).send(OPEN));
    let late = client;
    client.skip(1000);
    rig.take(client.enter(FRAMED).send(OPEN));
    rig.take({ late }.send("c"));
    rig.take(client.send("c"));
    assert_eq!((rig.targets(), rig.drops()), (vec!["POST /open".to_owned()], vec![(DropReason::Gap, 1)]));
    assert_eq!(rig.stats().repeated_segments, 1);
    // They don't keep the flow either.
    rig.wait(SECOND / 2);
    rig.take({ late }.send("c"));
    rig.wait(600 * SECOND - SECOND / 2);
    assert_eq!(rig.stats().flows_open, 0);
    rig.finish();
}

#[test]
fn records_without_a_run_end_the_flow() {
    let (syn, fin, rst): (Make, Make, Make) =
        (|client| client.control(SYN), |client| client.control(FIN), |client| client.control(RST));
    for (end, reused) in [(syn, 1), (fin, 0), (rst, 0)] {
        let mut rig = Rig::new();
        let mut client = Client::connect(&mut rig, 1, &[&get("/1"), OPEN]);
        rig.take(end(&mut client));
        let stats = rig.stats();
        assert_eq!(rig.drops(), [(DropReason::Incomplete, 1)]);
        assert_eq!((stats.flows_open, stats.flows_reused, stats.unknown_segments), (0, reused, 0));
        // The next connection's sequence numbers may be anywhere.
        let mut again = Client::at(1, FIRST.wrapping_sub(1000));
        rig.take(again.enter(FRAMED).send(&get("/2")));
        assert_eq!(rig.targets(), ["GET /1", "GET /2"]);
        // A SYN that carries a request begins its run.
        let mut fast = Client::at(1, FIRST.wrapping_sub(2000));
        fast.enter(FRAMED);
        rig.take(fast.syn(get("/3").as_bytes()));
        assert_eq!((rig.targets().len(), rig.stats().flows_reused), (3, reused + 1));
        rig.finish();
    }
}

#[test]
fn a_dead_flow_s_ports_may_be_used_again() {
    let mut rig = Rig::new();
    let client = Client::connect(&mut rig, 1, &["CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"]);
    rig.take(client.control(SYN));
    let mut again = Client::at(1, 7);
    rig.take(again.send(&get("/")));
    assert_eq!(rig.targets(), ["GET /"]);
    rig.finish();
}

#[test]
fn runs_of_refused_flows_are_counted() {
    let mut rig = Rig::within(PipelineLimits { max_flows: 1, ..PipelineLimits::default() }, 1 << 20);
    let first = Client::connect(&mut rig, 1, &[&get("/1")]);
    let mut second = Client::new(2);
    let request = sized("body");
    for _ in 0..2 {
        rig.take(second.enter(FRAMED).send(&request[..20]));
        rig.take(second.send(&request[20..]));
    }
    rig.take(second.with(FIN));
    let stats = rig.stats();
    assert_eq!((stats.flows_refused, stats.unknown_segments, stats.flows_open), (2, 0, 1));
    // The rest of a run that was refused is nothing new.
    assert_eq!((stats.repeated_segments, rig.drops()), (2, vec![(DropReason::FlowLimit, 2)]));
    rig.take(first.with(FIN));
    rig.take(second.enter(FRAMED).send(&request));
    assert_eq!(rig.targets(), ["GET /1", "POST /post"]);
    rig.finish();
}

#[test]
fn urgent_data_makes_a_request_ambiguous() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    let request = sized("body");
    let (head, body) = request.split_at(30);
    rig.take(client.enter(FRAMED).send(head));
    rig.take(client.part(URG, body.as_bytes()));
    rig.take(client.enter(FRAMED).send(&get("/after")));
    assert_eq!((rig.targets(), rig.drops()), (vec![], vec![(DropReason::Ambiguous, 2)]));
    rig.finish();
}
