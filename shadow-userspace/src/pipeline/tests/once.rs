//! Every request is settled once and delivered at most once, whatever comes after its flow was forgotten, and however far
//! apart the requests of a flow are.

use shadow_common::tcp_flags::FIN;

use super::*;

/// The service refuses an upload and resets the connection; of the body more is on the way already.
#[test]
fn what_comes_behind_the_service_s_reset_is_no_other_request() {
    for mark in [FRAMED, OPENED] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        let upload = post("Content-Length: 3000\r\n", &"x".repeat(500));
        rig.take(client.enter(mark).send(&upload));
        rig.take(client.answer(RST));
        rig.take(client.send(&"x".repeat(500)));
        rig.take(client.send(&"x".repeat(500)));
        rig.wait(4 * SECOND);
        let stats = rig.stats();
        assert_eq!((rig.drops(), stats.flows_open), (vec![(DropReason::Incomplete, 1)], 0), "{mark}");
        rig.finish();
    }
}

/// Sent again when the flow is forgotten already: whole, as from a client that didn't hear of the reset yet.
#[test]
fn what_is_sent_again_behind_a_reset_is_not_delivered_twice() {
    for end in [Client::answer as fn(&Client, u8) -> Segment<'static>, Client::control] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        let request = get("/once");
        let whole = client.enter(FRAMED).send(&request);
        rig.take(whole);
        rig.take(end(&client, RST));
        rig.take(whole);
        assert_eq!((rig.targets(), rig.drops()), (vec!["GET /once".to_owned()], vec![]));
        rig.finish();
    }
}

/// A reset that the service doesn't believe: the kernel needn't go on with what nobody follows.
#[test]
fn the_kernel_is_told_of_an_open_run_that_goes_on_behind_its_end() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&post(CHUNKED, "3\r\nabc\r\n")]);
    rig.take(client.with(RST));
    assert_eq!((rig.notes(), rig.stats().flows_open), (vec![], 0));
    let start = client.run.start;
    rig.take(client.send("0\r\n\r\n"));
    assert_eq!((rig.notes(), rig.drops()), (vec![(0, "lost", 0)], vec![(DropReason::Incomplete, 1)]));
    // One whose end the kernel knows is none of the agent's to end.
    client.run = Run { start, mark: FRAMED };
    rig.take(client.send("more"));
    assert_eq!((rig.notes(), rig.stats().repeated_segments), (vec![], 2));
    rig.finish();
}

/// An upload pauses for longer than a flow is remembered: the request was settled when it was forgotten.
#[test]
fn an_upload_that_goes_on_after_its_flow_was_forgotten_is_no_other_request() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(FRAMED).send(&post("Content-Length: 3000\r\n", "x")));
    rig.wait(600 * SECOND);
    assert_eq!(rig.drops(), [(DropReason::Incomplete, 1)]);
    rig.take(client.send(&"x".repeat(500)));
    rig.wait(4 * SECOND);
    assert_eq!(rig.drops(), [(DropReason::Incomplete, 1)]);
    // The next request is followed again.
    rig.take(client.enter(FRAMED).send(&get("/next")));
    assert_eq!(rig.targets(), ["GET /next"]);
    rig.finish();
}

/// Between two requests of the sample, gigabytes outside it: sequence numbers alone don't say which is the later.
#[test]
fn a_run_may_begin_far_behind_the_last() {
    for far in [1_u32 << 30, i32::MAX as u32 - 100, 1 << 31, 3 << 30, u32::MAX - 1000] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        for target in ["/1", "/2", "/3"] {
            rig.take(client.enter(FRAMED).send(&get(target)));
            client.next = client.next.wrapping_add(far);
            rig.wait(10 * SECOND);
        }
        assert_eq!((rig.targets().len(), rig.drops()), (3, vec![]), "{far}");
        rig.finish();
    }
    // What another processor saw a moment ago is late, and no later run.
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    let first = get("/1");
    let early = client.enter(FRAMED).send(&first);
    rig.take(early);
    rig.take(client.enter(FRAMED).send(&get("/2")));
    rig.take(early);
    assert_eq!((rig.targets().len(), rig.stats().repeated_segments), (2, 1));
    rig.finish();
}

/// Requests of flows for which there is no room are in the sample too.
#[test]
fn what_finds_no_room_in_the_table_has_its_outcome() {
    let mut rig = Rig::within(PipelineLimits { max_flows: 1, ..PipelineLimits::default() }, 1 << 20);
    let first = Client::connect(&mut rig, 1, &[&get("/1")]);
    let (mut framed, mut opened, mut passed) = (Client::new(2), Client::new(3), Client::new(4));
    let (upload, request) = (sized("some body"), get("/refused"));
    let (head, body) = upload.split_at(upload.len() - 5);
    let head = framed.enter(FRAMED).send(head);
    for record in [head, head, framed.send(body), opened.enter(OPENED).send(&request)] {
        rig.take(record);
    }
    rig.take(passed.enter(PASSED).send(&request));
    assert_eq!((rig.drops(), rig.snapshot().sampled), (vec![(DropReason::FlowLimit, 2)], 3));
    // The first of the flow that is followed, and what the kernel didn't count of the others.
    assert_eq!((rig.stats().requests_framed, rig.stats().flows_refused), (2, 3));
    // It isn't taken up in its midst either.
    rig.take(first.with(RST));
    rig.take(framed.send("x"));
    assert_eq!((rig.snapshot().sampled, rig.stats().flows_open), (3, 0));
    rig.take(framed.enter(FRAMED).send(&request));
    assert_eq!(rig.targets(), ["GET /1", "GET /refused"]);
    rig.finish();
}

/// Where nothing is believed any more, the kernel still draws for the requests that it can frame.
#[test]
fn what_is_sampled_behind_doubtful_framing_has_its_outcome() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    for count in 1..=3 {
        // The kernel doesn't ask for a Host.
        rig.take(client.enter(FRAMED).send("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"));
        rig.take(client.send("body"));
        assert_eq!((rig.drops(), rig.snapshot().sampled), (vec![(DropReason::Ambiguous, count)], count));
    }
    rig.take(client.with(FIN));
    rig.finish();
    assert_eq!(rig.drops(), [(DropReason::Ambiguous, 3)]);
}

/// The run is lost behind a request that was delivered; that one is sent again, and its start is taken in mid-life.
#[test]
fn what_was_delivered_before_its_run_was_lost_is_not_delivered_again() {
    let mut rig = Rig::new();
    let (first, second) = (get("/1"), get("/2"));
    let mut client = Client::connect(&mut rig, 1, &[&first]);
    let at_second = client;
    rig.take(client.send(&second));
    client.skip(1);
    rig.take(client.send("behind a hole"));
    rig.wait(4 * SECOND);
    assert_eq!((rig.targets().len(), rig.stats().holes_timed_out), (2, 1));
    let mut again = at_second;
    rig.take(again.enter(marks::SAMPLED | marks::UNCONFIRMED).send(&second));
    rig.take(again.news(marks::CONFIRMED));
    assert_eq!((rig.targets(), rig.drops()), (vec!["GET /1".to_owned(), "GET /2".to_owned()], vec![]));
    client.skip(100);
    rig.take(client.enter(FRAMED).send(&get("/3")));
    assert_eq!(rig.targets().len(), 3);
    rig.finish();
}
