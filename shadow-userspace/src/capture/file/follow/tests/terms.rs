//! Each condition for itself: who is the client, what shows that the first request is lost, what a candidate rests on.

use super::*;

#[test]
fn a_connection_is_met_by_what_fits_its_port() {
    for (ports, first, after) in [
        (&[80][..], client(u32::MAX, 0, SYN, b""), "0 SO"),
        (&[80], service(u32::MAX, 0, SYN | ACK, b""), "begins"),
        (&[80], client(0, 0, ACK, GET), "0 SOU"),
        (&[80], service(0, 0, ACK, OK), "-"),
        // Both ports are asked for: the flags tell.
        (&[80, 40_000], service(u32::MAX, 0, SYN | ACK, b""), "begins"),
        (&[80, 40_000], client(u32::MAX, 0, SYN, b""), "0 SO"),
        (&[80, 40_000], turned(client(u32::MAX, 0, SYN, b"")), "0 SO"),
        // Neither is.
        (&[81], client(u32::MAX, 0, SYN, b""), "-"),
        (&[81], service(u32::MAX, 0, SYN | ACK, b""), "-"),
        (&[81], client(0, 0, ACK, GET), "-"),
        // None of these says that the other end is a service's.
        (&[80], turned(client(u32::MAX, 0, SYN, b"")), "-"),
        (&[80], turned(service(u32::MAX, 0, SYN | ACK, b"")), "-"),
        (&[80], turned(client(0, 0, ACK, GET)), "-"),
        (&[80], client(0, 0, ACK, OK), "-"),
        // A reset begins nothing, whatever else it says.
        (&[80], client(u32::MAX, 0, SYN | RST, b""), "-"),
        (&[80], service(u32::MAX, 0, SYN | RST_ACK, b""), "-"),
        // What comes with a SYN is of a connection that begins.
        (&[80], service(0, 0, SYN, OK), "-"),
        (&[80], client(0, 0, SYN | RST, GET), "-"),
        // Where nothing else tells, a whole line has to be one of HTTP's.
        (&[], client(0, 0, ACK, b"MAIL FROM:<a@b>\r\n"), "-"),
        (&[80], client(0, 0, ACK, b"MAIL FROM:<a@b>\r\n"), "0 SOU"),
    ] {
        let mut rig = Rig::new(ports);
        assert_eq!(rig.packet(&first), after, "{ports:?} {first:?}");
        let is_met = after != "-" || first == service(0, 0, ACK, OK);
        assert_eq!(rig.stats.flows, u64::from(is_met), "{ports:?} {first:?}");
        assert_eq!(rig.stats.other_ports, u64::from(ports == [81]), "{ports:?} {first:?}");
    }
}

#[test]
fn only_the_first_bytes_say_what_is_spoken() {
    let mut rig = Rig::new(&[]);
    rig.connect().exchange();
    assert_eq!(rig.client(GET_LEN, OK_LEN, b"EHLO a\r\n"), "0 SO");
    // A known port says it already.
    let mut rig = Rig::new(&[80]);
    rig.connect();
    assert_eq!(rig.client(0, 0, b"EHLO a\r\n"), "0 SO");
}

#[test]
fn what_the_service_has_shows_that_the_first_request_is_lost() {
    let mut lost = Rig::new(&[80]);
    lost.connect();
    assert_eq!(lost.service(0, 1, b""), "0 S", "it may be a FIN");
    assert_eq!(lost.service(0, 1, OK), "-");
    assert_eq!(lost.service(0, GET_LEN, OK), "-");
    assert_eq!(lost.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"));
    assert_eq!(lost.service(OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} SC"));

    type Before = fn(&mut Rig);
    let others: [(&str, Before, Packet<'static>); 4] = [
        ("a service that speaks first", |_| {}, service(0, 0, ACK, OK)),
        ("nothing acknowledged", |_| {}, service(0, GET_LEN, PSH, OK)),
        ("no payload", |_| {}, service(0, GET_LEN, ACK, b"")),
        ("the request was seen", |rig| drop(rig.client(0, 0, GET)), service(0, GET_LEN, ACK, OK)),
    ];
    for (what, happens, packet) in others {
        let mut rig = Rig::new(&[80]);
        rig.connect();
        happens(&mut rig);
        assert_eq!(rig.packet(&packet), "0 S", "{what}");
        assert_eq!(rig.client(0, OK_LEN, GET), "0 SO", "{what}");
    }
    // What is left stays so.
    let mut left = Rig::new(&[80]);
    left.connect().tell(0, Resync::LEAVE);
    assert_eq!(left.service(0, GET_LEN, OK), "-");
    assert_eq!(left.client(GET_LEN, OK_LEN, GET), "-");
    assert_eq!((left.stats.left_alone, left.stats.candidates), (2, 0));
    // Where a place was lost and found again there is nothing of the kind.
    assert_eq!(lost.client(2 * GET_LEN, 2 * OK_LEN, GET), format!("{GET_LEN} SO"));
    assert_eq!(lost.service(2 * OK_LEN, 3 * GET_LEN, OK), format!("{GET_LEN} S"));
}

#[test]
fn a_candidate_rests_on_the_answer_before_it_alone() {
    // Where it begins behind the end that the last answer acknowledges, and how much of that answer the client has.
    for (behind, received, mark) in
        [(0, OK_LEN, "SC"), (0, 1, "R"), (0, 0, "R"), (1, OK_LEN, "R"), (u32::MAX, OK_LEN, "R")]
    {
        let mut rig = Rig::new(&[80]);
        rig.connect().exchange();
        rig.lose();
        let start = GET_LEN.wrapping_add(behind);
        let taken = rig.client(start, received, GET);
        if taken == "-" {
            // It lies before what was seen already.
            assert_eq!(behind, u32::MAX);
            continue;
        }
        assert_eq!(taken, format!("{start} SOU"));
        let answer = rig.service(OK_LEN, start.wrapping_add(GET_LEN), OK);
        assert_eq!(answer, format!("{start} {mark}"), "{behind} {received}");
    }
    // Without the ACK flag a number is none.
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.lose();
    rig.packet(&client(GET_LEN, OK_LEN, PSH, GET));
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} R"));
}

#[test]
fn notes_are_of_a_run_that_is_there() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.tell(0, Resync::LEAVE);
    // What is left stays so, whatever else was said of its run.
    rig.lose();
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), "-");
    assert_eq!((rig.stats.left_alone, rig.stats.candidates), (1, 0));
}
