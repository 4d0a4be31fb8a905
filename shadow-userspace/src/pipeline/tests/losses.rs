//! Runs with missing bytes: why their requests are dropped, and that the next run is followed again.

use shadow_common::tcp_flags::FIN;

use super::*;

const LOST: u8 = marks::LOST;

#[test]
fn the_next_run_recovers_from_whatever_was_lost() {
    let gap: Act = |_, client| client.skip(1);
    let cut: Act = |rig, client| rig.take(Segment { payload_len: 2, ..client.send("") });
    let ring: Act = |rig, client| {
        client.skip(1);
        rig.take(client.mark(FRAMED | LOST).send("d"));
    };
    for (lose, reason) in [
        (gap, DropReason::Gap),
        (cut, DropReason::Gap),
        (hole, DropReason::Gap),
        (conflict, DropReason::Ambiguous),
        (memory, DropReason::MemoryLimit),
        (ring, DropReason::RingFull),
    ] {
        for mark in [FRAMED, OPENED] {
            let mut rig = Rig::within(PipelineLimits::default(), 4000);
            let mut client = Client::new(1);
            rig.take(client.enter(mark).send(OPEN_CHUNKED));
            lose(&mut rig, &mut client);
            rig.take(client.enter(mark).send(&get("/next")));
            assert_eq!((rig.drops(), rig.targets()), (vec![(reason, 1)], vec!["GET /next".to_owned()]));
            assert_eq!((rig.stats().flows_lost, rig.stats().flows_total), (0, 1), "{reason:?}");
            rig.finish();
        }
    }
}

#[test]
fn of_requests_without_their_beginning_those_have_a_reason_that_the_kernel_does_not_count() {
    let next_run: Act = |rig, client| rig.take(client.enter(FRAMED).send(&get("/next")));
    let late: Act = |rig, _| rig.wait(4 * SECOND);
    let reset: Act = |rig, client| rig.take(client.control(RST));
    for (end, reason) in
        [(next_run, DropReason::Gap), (late, DropReason::Gap), (reset, DropReason::Incomplete)]
    {
        for (mark, drops, flows_lost) in
            [(FRAMED, vec![], 0), (OPENED, vec![(reason, 1)], 0), (PASSED, vec![], 1)]
        {
            let mut rig = Rig::new();
            let mut client = Client::new(1);
            client.enter(mark).skip(5);
            rig.take(client.send("x"));
            end(&mut rig, &mut client);
            assert_eq!(rig.drops(), drops);
            assert_eq!(rig.stats().flows_lost, if reason == DropReason::Incomplete { 0 } else { flows_lost });
            rig.finish();
        }
    }
}

#[test]
fn what_the_ring_lost_is_dropped_for_that() {
    let before_run: Make = |client| {
        client.skip(1);
        client.enter(FRAMED | LOST).send("POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
    };
    let in_run: Make = |client| {
        client.skip(1);
        client.mark(OPENED | LOST).send("c")
    };
    let finished: Make = |client| client.mark(OPENED | LOST).with(FIN);
    let forgotten =
        |client: &mut Client| Segment { run: Run { start: 0, mark: LOST }, ..client.control(FIN) };
    let answered: Make = |client| client.news(LOST);
    let reset: Make = |client| Segment { flags: RST, ..client.news(LOST) };
    let late: Make = |client| {
        let run = Run { start: FIRST.wrapping_sub(50), mark: FRAMED | LOST };
        Segment { run, seq: FIRST.wrapping_sub(50), ..client.part(ACK, b"x") }
    };
    let repeated: Make = |client| Segment { seq: FIRST, ..client.mark(OPENED | LOST).part(ACK, b"P") };
    let records = [before_run, in_run, finished, forgotten, answered, reset, late, repeated];
    for (index, record) in records.into_iter().enumerate() {
        let mut rig = Rig::new();
        let mut client = Client::connect(&mut rig, 1, &[&get("/1"), OPEN]);
        rig.take(record(&mut client));
        assert_eq!(rig.drops(), [(DropReason::RingFull, 1)], "{index}");
        if rig.stats().flows_open > 0 {
            let mark = client.run.mark & !LOST;
            rig.take(client.mark(mark).send("c"));
        }
        rig.take(client.enter(FRAMED).send(&get("/2")));
        assert_eq!(rig.targets().last(), Some(&"GET /2".to_owned()), "{index}");
        assert_eq!(
            (rig.snapshot().sampled - rig.targets().len() as u64, rig.stats().flows_lost),
            (1, 0),
            "{index}"
        );
        rig.finish();
    }
}

#[test]
fn a_loss_before_a_run_is_none_of_the_run() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(FRAMED | LOST).send(OPEN));
    rig.take(client.mark(FRAMED).send("c"));
    // Nor is one after its end.
    rig.take(client.mark(FRAMED | LOST).with(PSH));
    rig.take(client.news(LOST));
    client.skip(100);
    rig.take(client.enter(FRAMED | LOST).send(&get("/2")));
    assert_eq!((rig.targets(), rig.drops()), (vec!["POST /open".to_owned(), "GET /2".to_owned()], vec![]));
    rig.finish();
    // Unless the run's first bytes are what is lost; of one that it framed the kernel counts that.
    for (mark, drops) in [(FRAMED, vec![]), (OPENED, vec![(DropReason::RingFull, 1)])] {
        let mut rig = Rig::new();
        client.enter(mark).skip(1);
        rig.take(client.mark(mark | LOST).send("ET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((rig.drops(), rig.targets(), rig.stats().flows_lost), (drops, vec![], 0));
        rig.finish();
    }
}

#[test]
fn an_open_run_that_lost_bytes_between_requests_is_counted() {
    // Something behind the hole was seen, or the kernel says that it lost something.
    for (mark, seen_behind) in [(LOST, false), (0, true), (LOST, true)] {
        let mut rig = Rig::new();
        let mut client = Client::connect(&mut rig, 1, &[&get("/1")]);
        client.skip(3);
        if seen_behind {
            rig.take(client.send("x"));
        }
        rig.take(client.enter(FRAMED | mark).send(&get("/2")));
        assert_eq!((rig.drops(), rig.stats().flows_lost, rig.targets().len()), (vec![], 1, 2));
        rig.finish();
    }
    let mut rig = Rig::new();
    let mut client = Client::connect(&mut rig, 1, &[&get("/1")]);
    rig.take(client.mark(OPENED | LOST).with(PSH));
    assert_eq!((rig.drops(), rig.stats().flows_lost), (vec![], 1));
    rig.finish();
}
