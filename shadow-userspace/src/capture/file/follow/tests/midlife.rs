//! Where no request start is known.

use super::*;

#[test]
fn an_answer_confirms_the_request_that_it_acknowledges() {
    let chunked =
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".to_vec();
    let last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    for request in [GET.to_vec(), [POST, GET].concat(), chunked, last] {
        for cut in [request.len(), request.len() - 1, 12] {
            let mut rig = Rig::new(&[80]);
            rig.connect().exchange();
            rig.lose();
            assert_eq!(rig.client(GET_LEN, OK_LEN, b""), "-");
            let end = GET_LEN + request.len() as u32;
            assert_eq!(rig.client(GET_LEN, OK_LEN, &request[..cut]), format!("{GET_LEN} SOU"));
            if cut < request.len() {
                let rest = rig.client(GET_LEN + cut as u32, OK_LEN, &request[cut..]);
                assert_eq!(rest, format!("{GET_LEN} SOU"));
            }
            assert_eq!(rig.service(OK_LEN, end, b""), format!("{GET_LEN} S"));
            assert_eq!(rig.service(OK_LEN, end, OK), format!("{GET_LEN} SC"));
            assert_eq!(rig.client(end, 2 * OK_LEN, GET), format!("{GET_LEN} SO"), "from here on it is known");
            assert_eq!((rig.stats.candidates, rig.stats.confirmed, rig.stats.refuted), (1, 1, 0));
        }
    }
}

#[test]
fn an_interim_answer_may_come_first() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.lose();
    let (interim, end) = (CONTINUE.len() as u32, GET_LEN + POST.len() as u32);
    rig.client(GET_LEN, OK_LEN, POST);
    assert_eq!(rig.service(OK_LEN, end, CONTINUE), format!("{GET_LEN} S"));
    rig.client(end, OK_LEN + interim, GET);
    assert_eq!(rig.service(OK_LEN + interim, end + GET_LEN, OK), format!("{GET_LEN} SC"));
}

/// What happens between the loss of the place and the answer, and what the answer is.
type Doubt = (&'static str, fn(&mut Rig), (u32, u32, &'static [u8]));

#[test]
fn any_doubt_refutes() {
    let at = GET_LEN;
    let doubts: [Doubt; 9] = [
        ("more than the request", |rig| drop(rig.client(2 * GET_LEN, OK_LEN, b"x")), (OK_LEN, 3 * at, OK)),
        ("two requests", |rig| drop(rig.client(2 * GET_LEN, OK_LEN, GET)), (OK_LEN, 3 * at, OK)),
        (
            "not all of them acknowledged",
            |rig| drop(rig.client(2 * GET_LEN, OK_LEN, GET)),
            (OK_LEN, 2 * at, OK),
        ),
        ("a hole", |rig| drop(rig.client(2 * GET_LEN + 1, OK_LEN, b"x")), (OK_LEN, 2 * at, OK)),
        ("more acknowledged", |_| {}, (OK_LEN, 2 * at + 1, OK)),
        ("less acknowledged", |_| {}, (OK_LEN, 2 * at - 1, OK)),
        ("later than at once", |_| {}, (OK_LEN + 1, 2 * at, OK)),
        (
            "after an answer's rest",
            |rig| drop(rig.service(OK_LEN, GET_LEN, b"rest")),
            (OK_LEN + 4, 2 * at, OK),
        ),
        (
            "after an interim one elsewhere",
            |rig| drop(rig.service(OK_LEN + 9, GET_LEN, CONTINUE)),
            (OK_LEN + CONTINUE.len() as u32, 2 * at, OK),
        ),
    ];
    for (doubt, happens, (seq, ack, answer)) in doubts {
        let mut rig = Rig::new(&[80]);
        rig.connect().exchange();
        rig.lose();
        assert_eq!(rig.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"), "{doubt}");
        happens(&mut rig);
        assert_eq!(rig.service(seq, ack, answer), format!("{GET_LEN} R"), "{doubt}");
        assert_eq!(rig.service(seq + OK_LEN, ack, b"more"), "-", "{doubt}");
        // The answer that refutes is what the next request may rest on.
        let (next, received) = (ack, seq + OK_LEN + 4);
        assert_eq!(rig.client(next, received, GET), format!("{next} SOU"), "{doubt}");
        assert_eq!(rig.service(received, next + GET_LEN, OK), format!("{next} SC"), "{doubt}");
    }
}

#[test]
fn what_an_answer_did_not_precede_is_never_confirmed() {
    type Before = fn(&mut Rig);
    let before: [(&str, Before); 7] = [
        ("nothing", |_| {}),
        ("body bytes since", |rig| drop(rig.client(GET_LEN - 1, OK_LEN, b"x"))),
        ("an interim answer since", |rig| drop(rig.service(OK_LEN, GET_LEN, CONTINUE))),
        ("an answer of which the client has nothing", |rig| drop(rig.service(2 * OK_LEN, GET_LEN, OK))),
        ("other payload", |rig| drop(rig.service(OK_LEN, GET_LEN, b"HTTP"))),
        ("an answer to what was before", |rig| {
            rig.client(GET_LEN - 1, OK_LEN, b"x");
            drop(rig.service(0, GET_LEN, OK));
        }),
        ("an answer to what was before, that came late", |rig| {
            rig.client(GET_LEN - 1, 2 * OK_LEN, b"x");
            drop(rig.service(OK_LEN, GET_LEN, OK));
        }),
    ];
    for (what, happens) in before {
        let mut rig = Rig::new(&[80]);
        rig.connect();
        assert_eq!(rig.client(0, 0, &GET[..GET.len() - 1]), "0 SO");
        rig.service(0, GET_LEN, if what == "nothing" || what == "other payload" { b"none" } else { OK });
        rig.lose();
        happens(&mut rig);
        assert_eq!(rig.client(GET_LEN, 2 * OK_LEN, GET), format!("{GET_LEN} SOU"), "{what}");
        // An answer that was sent before the candidate, and is sent again, is none.
        let mark = if what == "an answer of which the client has nothing" { "S" } else { "R" };
        assert_eq!(rig.service(2 * OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} {mark}"), "{what}");
    }
}

#[test]
fn a_request_that_was_answered_before_is_no_news() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    // Its first copy wasn't captured.
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), "0 S");
    rig.lose();
    assert_eq!(rig.client(GET_LEN, 2 * OK_LEN, GET), format!("{GET_LEN} SOU"));
    assert_eq!(rig.service(2 * OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} R"));
}

#[test]
fn a_candidate_is_lost_with_the_pipelines_place() {
    for is_forgotten in [true, false] {
        let mut rig = Rig::new(&[80]);
        rig.connect().exchange();
        rig.lose();
        assert_eq!(rig.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"));
        rig.note(GET_LEN, Resync::RESUME, 2 * GET_LEN, is_forgotten);
        let after = if is_forgotten { "-".to_owned() } else { format!("{GET_LEN} SOU") };
        assert_eq!(rig.client(2 * GET_LEN, OK_LEN, b"x"), after);
    }
}

#[test]
fn bytes_that_were_not_captured_may_be_a_head() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.lose();
    let head = POST.len() as u32;
    assert_eq!(rig.client(GET_LEN + head, OK_LEN, GET), format!("{} SOU", GET_LEN + head));
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN + head, OK), format!("{} R", GET_LEN + head));
}

#[test]
fn old_bytes_change_nothing() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.lose();
    assert_eq!(rig.client(0, 0, GET), "-", "an old request isn't a new one");
    assert_eq!(rig.service(0, GET_LEN, OK), "-");
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"));
    // Sent again, both of them.
    assert_eq!(rig.service(0, GET_LEN, OK), format!("{GET_LEN} S"));
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"));
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} SC"));
}

#[test]
fn an_answer_that_comes_again_proves_nothing_behind_a_segment_far_ahead() {
    let mut rig = Rig::new(&[80]);
    rig.connect();
    // A segment that the service never got: far ahead.
    assert_eq!(rig.client(9000, 0, b"x"), "0 SO");
    assert_eq!(rig.service(0, GET_LEN, OK), "0 S");
    rig.lose();
    // The client hasn't got the answer, so it comes again, and acknowledges more than it did.
    assert_eq!(rig.client(GET_LEN, 0, GET), format!("{GET_LEN} SOU"));
    assert_eq!(rig.service(0, 2 * GET_LEN, OK), format!("{GET_LEN} S"));
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} R"));
    // Another request, which the client sent behind the answer.
    assert_eq!(rig.client(2 * GET_LEN, 2 * OK_LEN, GET), format!("{} SOU", 2 * GET_LEN));
    assert_eq!(rig.service(2 * OK_LEN, 3 * GET_LEN, OK), format!("{} SC", 2 * GET_LEN));
}

#[test]
fn a_segment_far_ahead_hides_no_request() {
    let mut rig = Rig::new(&[80]);
    rig.connect();
    assert_eq!(rig.client(9000, 0, b"x"), "0 SO");
    assert_eq!(rig.service(0, GET_LEN, OK), "0 S");
    rig.lose();
    assert_eq!(rig.client(GET_LEN, OK_LEN, GET), format!("{GET_LEN} SOU"));
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} SC"));
}

#[test]
fn a_cut_packet_is_no_proof() {
    let mut rig = Rig::new(&[80]);
    rig.connect().exchange();
    rig.lose();
    let whole = client(GET_LEN, OK_LEN, ACK, GET);
    assert_eq!(rig.packet(&Packet { payload: &GET[..9], ..whole }), format!("{GET_LEN} SOU"));
    assert_eq!(rig.service(OK_LEN, 2 * GET_LEN, OK), format!("{GET_LEN} R"));
}

#[test]
fn a_connection_is_met_in_mid_life() {
    let mut rig = Rig::new(&[80]);
    assert_eq!(rig.client(100, 100, b"{some body}"), "-");
    assert_eq!(rig.service(100, 111, b"{some body}"), "-");
    assert_eq!(rig.packet(&client(111, 111, FIN | ACK, b"")), "-");
    assert_eq!((rig.stats.unknown_flow, rig.stats.flows), (3, 0));
    assert_eq!(rig.service(100, 111, OK), "-");
    assert_eq!(rig.client(111, 100 + OK_LEN, GET), "111 SOU");
    assert_eq!(rig.service(100 + OK_LEN, 111 + GET_LEN, OK), "111 SC");
    assert_eq!((rig.stats.unplaced, rig.stats.flows), (1, 1));
}

#[test]
fn of_too_many_candidates_some_are_not_confirmed() {
    let mut rig = Rig { follower: Follower::new(&[80], 5000), stats: FileStats::default() };
    let with = |packet: Packet<'static>, port: u16| match packet.source.port {
        80 => Packet { dest: Endpoint { port, ..CLIENT }, ..packet },
        _ => Packet { source: Endpoint { port, ..CLIENT }, ..packet },
    };
    for port in 1000..4000 {
        rig.packet(&with(service(0, 0, ACK, OK), port));
        rig.packet(&with(client(0, OK_LEN, ACK, GET), port));
    }
    for port in 1000..4000 {
        rig.packet(&with(service(OK_LEN, GET_LEN, ACK, OK), port));
    }
    assert_eq!((rig.stats.candidates, rig.stats.confirmed, rig.stats.refuted), (3000, 1024, 1976));
    // What they held is free for others.
    rig.packet(&with(client(GET_LEN, 2 * OK_LEN, ACK, GET), 3999));
    assert_eq!(rig.packet(&with(service(2 * OK_LEN, 2 * GET_LEN, ACK, OK), 3999)), format!("{GET_LEN} SC"));
}
