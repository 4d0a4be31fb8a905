//! Runs whose start was taken in mid-life of their flow: believed only once the service's answer confirms it.

use shadow_common::tcp_flags::FIN;

use super::*;

const UNCONFIRMED: u8 = marks::SAMPLED | marks::UNCONFIRMED;

/// A flow whose first run is not confirmed and has a whole request, or all but its last byte.
fn met(rig: &mut Rig, whole: bool) -> Client {
    let mut client = Client::new(1);
    rig.take(client.enter(UNCONFIRMED).send(OPEN));
    if whole {
        rig.take(client.send("c"));
    }
    assert_eq!((rig.targets(), rig.snapshot().in_flight()), (vec![], 1));
    client
}

fn confirmed(client: &mut Client) -> Segment<'static> {
    client.news(marks::SAMPLED | marks::CONFIRMED)
}

#[test]
fn a_complete_request_waits_for_its_confirmation() {
    let bare: Make = |client| client.news(marks::CONFIRMED);
    let with_loss: Make = |client| client.news(marks::CONFIRMED | marks::LOST);
    let later_record: Make = |client| client.mark(FRAMED).part(ACK, b"");
    let last_record: Make = |client| client.mark(FRAMED).with(FIN);
    for record in [confirmed, bare, with_loss, later_record, last_record] {
        let mut rig = Rig::new();
        let mut client = met(&mut rig, true);
        // Of another run, or lost on the way: nothing changes.
        let other = client.news(marks::CONFIRMED);
        rig.take(Segment { run: Run { start: 5, ..other.run }, ..other });
        rig.take(client.news(marks::LOST));
        rig.take(client.news(0));
        assert_eq!(rig.targets(), [""; 0]);
        rig.take(record(&mut client));
        assert_eq!((rig.targets(), rig.drops()), (vec!["POST /open".to_owned()], vec![]));
        // What comes again changes nothing.
        rig.take(client.news(marks::CONFIRMED));
        rig.take(client.news(marks::REFUTED));
        rig.take(client.enter(FRAMED).send(&get("/next")));
        assert_eq!((rig.targets().len(), rig.drops()), (2, vec![]));
        rig.finish();
    }
}

#[test]
fn a_confirmation_may_come_before_the_request_is_complete() {
    let mut rig = Rig::new();
    let mut client = met(&mut rig, false);
    rig.take(confirmed(&mut client));
    rig.take(client.send("c"));
    assert_eq!(rig.targets(), ["POST /open"]);
    rig.finish();
}

#[test]
fn the_connection_s_last_request_waits_too() {
    let mut rig = Rig::new();
    let mut client = Client::new(1);
    rig.take(client.enter(UNCONFIRMED).send(&post("Connection: close\r\n", "")));
    assert_eq!(rig.targets(), [""; 0]);
    rig.take(confirmed(&mut client));
    assert_eq!(rig.targets(), ["POST /post"]);
    rig.finish();
}

#[test]
fn what_is_refuted_is_dropped() {
    for whole in [true, false] {
        let from_client: Make =
            |client| Segment { run: Run { mark: marks::REFUTED, ..client.run }, ..client.control(ACK) };
        let from_service: Make = |client| client.news(marks::SAMPLED | marks::REFUTED);
        for record in [from_client, from_service] {
            let mut rig = Rig::new();
            let mut client = met(&mut rig, whole);
            rig.take(record(&mut client));
            assert_eq!(rig.drops(), [(DropReason::Unconfirmed, 1)]);
            rig.take(confirmed(&mut client));
            rig.take(client.send("c"));
            // The next start may be a good one.
            rig.take(client.enter(FRAMED).send(&get("/next")));
            assert_eq!((rig.targets(), rig.snapshot().sampled), (vec!["GET /next".to_owned()], 2));
            rig.finish();
        }
    }
    // Also the last of its connection, and one of which nothing arrived.
    for request in ["POST / HTTP/1.0\r\nHost: a\r\n\r\n", "G"] {
        let mut rig = Rig::new();
        let mut client = Client::new(1);
        rig.take(client.enter(UNCONFIRMED).send(request));
        rig.take(client.news(marks::REFUTED));
        assert_eq!(rig.drops(), [(DropReason::Unconfirmed, 1)]);
        rig.finish();
    }
}

#[test]
fn what_nothing_confirms_is_dropped() {
    let fin: Act = |rig, client| rig.take(client.with(FIN));
    let forgotten: Act = |rig, client| rig.take(client.control(FIN));
    let reset: Act = |rig, client| rig.take(client.answer(RST));
    let reused: Act = |rig, client| rig.take(client.control(SYN));
    let idle: Act = |rig, _| rig.wait(600 * SECOND);
    let next: Act = |rig, client| rig.take(client.enter(UNCONFIRMED).send("G"));
    let skipped: Act = |rig, client| {
        client.skip(9);
        rig.take(client.enter(FRAMED | marks::LOST).send("G"));
    };
    let more: Act = |rig, client| rig.take(client.send("GET / HTTP/1.1\r\n\r\n"));
    for end in [fin, forgotten, reset, reused, idle, next, skipped] {
        let mut rig = Rig::new();
        let mut client = met(&mut rig, true);
        end(&mut rig, &mut client);
        assert_eq!((rig.targets(), rig.drops()), (vec![], vec![(DropReason::Unconfirmed, 1)]));
        rig.pipeline.finish(DropReason::Shutdown);
        rig.finish();
    }
    let mut rig = Rig::new();
    let mut client = met(&mut rig, true);
    more(&mut rig, &mut client);
    rig.take(confirmed(&mut client));
    assert_eq!(rig.targets(), [""; 0]);
    assert_eq!(rig.drops(), [(DropReason::Unconfirmed, 1), (DropReason::Ambiguous, 1)]);
    rig.finish();
    // At the stop its confirmation may be on the way.
    let mut rig = Rig::new();
    met(&mut rig, true);
    rig.finish();
    assert_eq!(rig.drops(), [(DropReason::Shutdown, 1)]);
}
