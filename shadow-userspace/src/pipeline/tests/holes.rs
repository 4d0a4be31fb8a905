//! Missing and contradicting bytes.

use shadow_common::tcp_flags::FIN;

use super::*;

#[test]
fn a_hole_is_waited_for_and_then_a_gap() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&OPEN[..20]]);
    let late = client;
    client.skip(OPEN.len() - 20);
    rig.take(client.send("c"));
    rig.wait(2900 * MS);
    assert_eq!(rig.drops(), []);
    // In another flow the missing segment comes in time.
    let mut other = Client::connect(&mut rig, 2, &[]);
    let early = other;
    other.skip(OPEN.len());
    rig.take(other.send("c"));
    rig.wait(200 * MS);
    assert_eq!((rig.drops(), rig.stats().holes_timed_out), (vec![(DropReason::Gap, 1)], 1));
    rig.wait(2000 * MS);
    rig.take({ early }.send(OPEN));
    rig.take({ late }.send(&OPEN[20..]));
    rig.wait(3000 * MS);
    assert_eq!(rig.targets(), ["POST /open"]);
    assert_eq!(rig.delivered()[0].1, b"abc");
    // The flow with the hole isn't followed any more.
    rig.take(client.send(&get("/")));
    assert_eq!(rig.snapshot().sampled, 2);
    assert_eq!(rig.stats().ignored_bytes, (OPEN.len() - 20 + get("/").len()) as u64);
    assert_eq!((rig.stats().flows_lost, rig.stats().reordered_segments), (0, 2));
    rig.finish();
}

#[test]
fn the_wait_begins_anew_where_another_hole_follows() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[]);
    let (mut first, request) = (client, get("/"));
    client.skip(1);
    rig.take(client.send(&request[1..10]));
    let mut second = client;
    client.skip(1);
    rig.take(client.send(&request[11..]));
    rig.wait(2500 * MS);
    rig.take(first.send(&request[..1]));
    rig.wait(2500 * MS);
    rig.take(second.send(&request[10..11]));
    assert_eq!(rig.targets(), ["GET /"]);
    rig.wait(10 * SECOND);
    assert_eq!((rig.drops(), rig.stats().holes_timed_out), (vec![], 0));
    rig.finish();
}

#[test]
fn bytes_that_the_capture_cut_off_are_a_gap() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[]);
    let cut = Segment { payload_len: OPEN.len() as u32 + 1, ..client.send(OPEN) };
    rig.take(cut);
    assert_eq!((rig.drops(), rig.stats().flows_lost), (vec![(DropReason::Gap, 1)], 0));
    rig.finish();
}

#[test]
fn a_hole_between_requests_loses_the_flow() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&get("/1")]);
    client.skip(5);
    rig.take(client.send(&get("/2")));
    rig.wait(4 * SECOND);
    assert_eq!((rig.targets(), rig.drops()), (vec!["GET /1".to_owned()], vec![]));
    assert_eq!((rig.stats().flows_lost, rig.stats().holes_timed_out), (1, 1));
    rig.finish();
}

#[test]
fn copies_that_differ_make_the_request_ambiguous() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&OPEN[..30]]);
    client.skip(1);
    rig.take(client.clone().send("one"));
    rig.take(client.send("two"));
    assert_eq!(rig.drops(), [(DropReason::Ambiguous, 1)]);
    assert_eq!((rig.stats().overlaps_differing, rig.stats().flows_lost), (1, 0));
    assert_eq!(rig.budget.used(), 0);
    rig.finish();
}

/// What was delivered of a request that is under way matters until it is complete.
#[test]
fn what_comes_again_and_differs_makes_an_open_request_ambiguous() {
    let chunk = post(CHUNKED, "2\r\nab");
    for (request, max_body, reason, conflicts) in [
        (OPEN, 1 << 20, DropReason::Ambiguous, 1),
        (OPEN_CHUNKED, 1 << 20, DropReason::Ambiguous, 1),
        // Of a body that isn't wanted only the framing matters.
        (OPEN, 1, DropReason::BodyTooLarge, 0),
        (&*chunk, 1, DropReason::BodyTooLarge, 1),
    ] {
        let mut rig = Rig::taking(max_body);
        let mut client = Client::connect(&mut rig, 1, &[&request[..20]]);
        let again = client;
        rig.take(client.send(&request[20..]));
        rig.take({ again }.send(&"x".repeat(request.len() - 20)));
        assert_eq!(
            (rig.drops(), rig.stats().overlaps_differing),
            (vec![(reason, 1)], conflicts),
            "{request}"
        );
        rig.finish();
    }
    let mut rig = Rig::new();
    let again = Client::connect(&mut rig, 1, &[]);
    rig.take({ again }.send(&get("/")));
    rig.take({ again }.send(&get("/").to_lowercase()));
    assert_eq!((rig.targets().len(), rig.stats().overlaps_differing), (1, 0));
    rig.finish();
}

#[test]
fn a_flow_with_a_hole_is_forgotten_once_its_end_was_seen() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[OPEN]);
    client.skip(1);
    rig.take(client.with(FIN));
    assert_eq!(rig.stats().flows_open, 1);
    rig.wait(4 * SECOND);
    assert_eq!((rig.drops(), rig.stats().flows_open), (vec![(DropReason::Gap, 1)], 0));
    rig.finish();
}

#[test]
fn no_flow_is_lost_where_no_request_is_to_come() {
    let (last, failed) = (post("Connection: close\r\n", ""), post("Host: b\r\n", ""));
    // The last two have a request open that was dropped before the hole.
    for (request, drops) in [
        (&*last, vec![]),
        (&*failed, vec![(DropReason::Ambiguous, 1)]),
        (OPEN, vec![(DropReason::BodyTooLarge, 1)]),
        (&*post(CHUNKED, "2\r\nab"), vec![(DropReason::BodyTooLarge, 1)]),
    ] {
        let mut rig = Rig::taking(1);
        let mut client = Client::connect(&mut rig, 1, &[]);
        let whole = client.send(request);
        rig.take(Segment { payload_len: whole.payload_len + 1, ..whole });
        assert_eq!((rig.drops(), rig.stats().flows_lost), (drops, 0), "{request}");
        rig.finish();
    }
}
