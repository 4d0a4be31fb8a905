//! What the kernel is told about open runs.

use shadow_common::tcp_flags::FIN;

use super::*;

/// An offset of the client's stream.
fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap()
}

#[test]
fn the_next_start_is_told_once() {
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &["POST"]);
    assert_eq!(rig.notes(), []);
    let request = sized("body");
    rig.take(client.send(&request[4..]));
    assert_eq!(rig.notes(), [(0, "resume", length(&request))]);
    // Nothing new: a keep-alive probe, a copy, an answer.
    rig.take(client.with(PSH));
    rig.take(Client::new(1).send(&request));
    rig.take(client.answer(0));
    // No end: it may be the beginning of the next.
    rig.take(client.send("\r"));
    assert_eq!(rig.notes(), []);
    rig.take(client.send("\n"));
    assert_eq!(rig.notes(), [(0, "resume", length(&request) + 2)]);
    // Two at once, and then the beginning of a third; and what waits for a hole.
    rig.take(client.send(&(get("/1") + &get("/2") + "G")));
    assert_eq!(rig.notes(), []);
    rig.take(client.send(&get("/3")[1..]));
    let told = length(&request) + 2 + 3 * length(&get("/1"));
    assert_eq!(rig.notes(), [(0, "resume", told)]);
    let mut late = client;
    client.skip(10);
    rig.take(client.send(&get("/4")[10..]));
    assert_eq!(rig.notes(), []);
    rig.take(late.send(&get("/4")[..10]));
    assert_eq!(rig.notes(), [(0, "resume", told + length(&get("/4")))]);
    assert_eq!(rig.targets().len(), 5);
    // A hole behind the end is no place to go on from.
    let mut early = client;
    early.skip(get("/5").len() + 1);
    rig.take(early.send("x"));
    rig.take(client.send(&get("/5")));
    assert_eq!((rig.targets().len(), rig.notes()), (6, vec![]));
    rig.finish();
}

#[test]
fn requests_outside_the_sample_are_told_too() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(marks::OPEN).send(&get("/")));
    assert_eq!(rig.notes(), [(0, "resume", length(&get("/")))]);
    rig.finish();
}

#[test]
fn nothing_is_told_of_runs_that_the_kernel_knows_the_end_of() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(FRAMED).send(&get("/1")));
    rig.take(client.enter(FRAMED).send(OPEN));
    rig.take(client.enter(FRAMED).send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"));
    rig.take(client.enter(FRAMED).send(&get("/2")));
    rig.wait(600 * SECOND);
    assert_eq!(rig.notes(), []);
    rig.finish();
}

#[test]
fn of_a_flow_the_latest_note_is_told() {
    let mut rig = Rig::new();
    let request = get("/");
    let mut clients: Vec<_> = (1..4).map(|port| Client::connect(&mut rig, port, &[])).collect();
    for client in [0, 1, 0, 2, 0] {
        rig.take(clients[client].send(&request));
    }
    let told = [3, 1, 1].map(|requests| (0, "resume", requests * length(&request)));
    assert_eq!(rig.notes(), told);
    // At the start of the next run no request is told of.
    rig.take(clients[0].enter(OPENED).send("G"));
    assert_eq!(rig.notes(), []);
    rig.finish();
}

#[test]
fn the_kernel_is_told_to_leave_what_is_not_followed() {
    for bytes in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "*1\r\n$4\r\nPING\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
    ] {
        let mut rig = Rig::new();
        let mut client = Client::connect(&mut rig, 1, &[bytes]);
        assert_eq!(rig.notes(), [(0, "leave", 0)], "{bytes}");
        rig.take(client.send("more"));
        assert_eq!(rig.notes(), []);
        // It didn't hear of it.
        rig.take(client.enter(OPENED).send("more"));
        assert_eq!(rig.notes(), [(length(bytes) + 4, "leave", 0)]);
        rig.take(client.enter(FRAMED).send("more"));
        rig.wait(600 * SECOND);
        assert_eq!((rig.notes(), rig.stats().flows_open), (vec![], 0));
        rig.finish();
    }
    // A disagreement, about this run or by the next.
    for (next, told) in [(FRAMED, vec![(0, "leave", 0)]), (OPENED, vec![(2, "leave", 0)])] {
        let mut rig = Rig::new();
        let mut client = Client::connect(&mut rig, 1, &["GE"]);
        rig.take(client.enter(next).send(&get("/")));
        assert_eq!(rig.notes(), told);
        rig.finish();
    }
}

#[test]
fn the_kernel_is_told_of_runs_that_are_lost() {
    let gap: Act = |rig, client| rig.take(Segment { payload_len: 1, ..client.send("") });
    let ring: Act = |rig, client| rig.take(client.news(marks::LOST));
    let idle: Act = |rig, _| rig.wait(600 * SECOND);
    for lose in [gap, conflict, memory, hole, ring, idle] {
        let mut rig = Rig::within(PipelineLimits::default(), 4000);
        let mut client = Client::connect(&mut rig, 1, &[OPEN_CHUNKED]);
        lose(&mut rig, &mut client);
        assert_eq!(rig.notes(), [(0, "lost", 0)]);
        rig.wait(600 * SECOND);
        assert_eq!((rig.notes(), rig.snapshot().dropped()), (vec![], 1));
        rig.finish();
    }
}

#[test]
fn an_idle_flow_is_lost_unless_the_kernel_knows_its_place() {
    let mut rig = Rig::new();
    Client::connect(&mut rig, 1, &[&get("/")]);
    let next = length(&get("/"));
    assert_eq!(rig.notes(), [(0, "resume", next)]);
    rig.wait(600 * SECOND);
    assert_eq!((rig.notes(), rig.stats().flows_evicted), (vec![(0, "forgotten", next)], 1));
    rig.finish();
}

#[test]
fn nothing_is_told_of_flows_that_ended() {
    for flags in [FIN, RST] {
        let mut rig = Rig::new();
        let client = Client::connect(&mut rig, 1, &[OPEN]);
        rig.take(client.with(flags));
        assert_eq!((rig.notes(), rig.stats().flows_open), (vec![], 0));
        rig.finish();
    }
}

#[test]
fn open_runs_of_refused_flows_are_lost() {
    let mut rig = Rig::within(PipelineLimits { max_flows: 0, ..PipelineLimits::default() }, 1 << 20);
    let mut client = Client::connect(&mut rig, 1, &[OPEN]);
    assert_eq!(rig.notes(), [(0, "lost", 0)]);
    rig.take(client.enter(FRAMED).send(&get("/")));
    assert_eq!((rig.notes(), rig.stats().flows_refused), (vec![], 2));
    rig.finish();
}
