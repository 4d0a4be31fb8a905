//! Flows that began before the programs did: a request start is taken where it can be, and confirmed or refuted.

use shadow_common::{
    Counter, Direction,
    marks::{CONFIRMED, LOST, REFUTED, UNCONFIRMED},
    tcp_flags::{ACK, FIN, RST, SYN},
};

use crate::{
    frame::Frame,
    harness::Kernel,
    talk::{SAMPLED, Talk, brief},
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const TAKEN: u8 = SAMPLED | UNCONFIRMED;

/// A flow whose beginning wasn't seen.
fn met(rate: &str) -> Option<Talk> {
    let mut talk = Talk::new(Kernel::new(rate)?);
    talk.at = 1000;
    Some(talk)
}

#[test]
fn the_first_request_behind_an_answer_is_taken_and_confirmed() {
    let Some(mut talk) = met("100%") else { return };
    assert_eq!(talk.client(GET), [], "no start is known");
    assert_eq!(talk.service(OK), []);
    let start = talk.at;
    assert_eq!(brief(&talk.client(POST)), [(start, TAKEN, POST.len())]);
    assert_eq!(brief(&talk.client(b"0123456789")), [(start, TAKEN, 10)]);
    let confirmed = talk.service(OK);
    assert_eq!((confirmed[0].direction, confirmed[0].payload_len), (Direction::FromService, 0));
    assert_eq!(brief(&confirmed), [(start, CONFIRMED, 0)]);
    // From here on it is a flow like others.
    assert_eq!(brief(&talk.client_at(start, POST)), [(start, SAMPLED, POST.len())], "sent again");
    let next = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED, GET.len())]);
    assert_eq!(talk.service(OK), []);
    let counters = talk.kernel.counters();
    assert_eq!(
        (
            counters.get(Counter::MidlifeTaken),
            counters.get(Counter::MidlifeConfirmed),
            counters.is_balanced()
        ),
        (1, 1, true)
    );
}

/// Where responses are asked for, the one that confirms is exported with its payload.
#[test]
fn the_answer_that_confirms_is_an_answer() {
    let Some(kernel) = Kernel::with("100%", |options| options.export_responses = true) else { return };
    let mut talk = Talk::new(kernel);
    talk.at = 1000;
    talk.service(OK);
    let start = talk.at;
    talk.client(GET);
    assert_eq!(talk.frame(Frame { flags: FIN | ACK, ..talk.answer(b"") }), [], "no answer yet");
    assert_eq!(brief(&talk.service(OK)), [(start, CONFIRMED | SAMPLED, OK.len())]);
}

#[test]
fn an_interim_answer_decides_nothing() {
    let Some(mut talk) = met("100%") else { return };
    talk.service(OK);
    let start = talk.at;
    talk.client(POST);
    assert_eq!(talk.service(b"HTTP/1.1 100 Continue\r\n\r\n"), []);
    talk.client(b"0123456789");
    assert_eq!(brief(&talk.service(OK)), [(start, CONFIRMED, 0)]);
}

/// Behind `100 Continue` a body follows, which may look like a request.
#[test]
fn no_start_is_taken_behind_an_interim_answer() {
    let Some(mut talk) = met("100%") else { return };
    talk.service(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(talk.client(GET), []);
    // It tells of a request that isn't answered yet, whatever was answered before.
    talk.service(OK);
    talk.service(b"HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(talk.client(GET), []);
    talk.service(OK);
    let start = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(start, TAKEN, GET.len())]);
}

/// Nor behind its second segment, which looks as any part of an answer does.
#[test]
fn no_start_is_taken_behind_an_interim_answer_in_parts() {
    let parts: [&[u8]; 2] = [b"HTTP/1.1 103 Early Hints\r\n", b"Link: </a>\r\n\r\n"];
    let answer = |talk: &mut Talk| parts.iter().map(|part| talk.service(part).len()).sum::<usize>();
    let Some(mut talk) = met("100%") else { return };
    assert_eq!(answer(&mut talk), 0);
    assert_eq!(talk.client(GET), [], "of an unknown flow");
    talk.service(OK);
    assert_eq!(talk.client(b"no request"), []);
    assert_eq!(answer(&mut talk), 0);
    assert_eq!(talk.client(GET), [], "of a known one");
    talk.service(OK);
    let start = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(start, TAKEN, GET.len())]);
    assert_eq!(answer(&mut talk), 1, "a start that isn't confirmed is given up");
    assert_eq!(talk.client(GET), []);
    assert_eq!(talk.kernel.count(Counter::MidlifeTaken), 1);
}

/// What the service sends is an answer only where one begins.
#[test]
fn no_start_is_taken_behind_what_is_no_answer() {
    let Some(mut talk) = met("100%") else { return };
    for flags in [SYN | ACK, FIN | ACK, RST] {
        talk.frame(Frame { flags, ..talk.answer(OK) });
        assert_eq!(talk.client(GET), [], "flags {flags:#x} of an unknown flow");
    }
    talk.service(OK);
    assert_eq!(talk.client(b"no request"), []);
    for flags in [ACK, FIN | ACK] {
        talk.frame(Frame { flags, ..talk.answer(b"") });
        assert_eq!(talk.client(GET), [], "flags {flags:#x} of a known one");
    }
    assert_eq!(talk.kernel.count(Counter::MidlifeTaken), 0);
}

#[test]
fn an_unsampled_first_request_is_followed_as_well() {
    let Some(mut talk) = met("0%") else { return };
    talk.service(OK);
    assert_eq!(talk.client(GET), []);
    assert_eq!(talk.service(OK), []);
    talk.kernel.programs.control.set_rate("100%".parse().unwrap()).unwrap();
    let next = talk.at;
    assert_eq!(
        brief(&talk.client(GET)),
        [(next, SAMPLED, GET.len())],
        "confirmed, though nothing was exported"
    );
}

/// Body bytes that look like a request, while the service answered early: they are no request (see DESIGN).
#[test]
fn a_smuggled_request_is_refuted() {
    // What follows the false request, and how the service then answers.
    let more: [(&str, &[u8], i32, &[u8]); 5] = [
        ("the body goes on before the answer", b"more of the body", 16, OK),
        ("the service had received more", b"", 5, OK),
        ("the service had received less", b"", -5, OK),
        ("perhaps an interim answer begins", b"", 0, b"HTTP/1.1 "),
        ("the answer goes on", b"", 0, b"the rest of the early answer"),
    ];
    for (name, body, received, answer) in more {
        let Some(mut talk) = met("100%") else { return };
        talk.service(b"HTTP/1.1 413 Too Large\r\n\r\n");
        let start = talk.at;
        assert_eq!(brief(&talk.client(GET)), [(start, TAKEN, GET.len())], "{name}");
        let end = talk.at;
        let mut records = Vec::new();
        if !body.is_empty() {
            records.extend(talk.client(body));
            assert_eq!(talk.client_at(start, GET), [], "{name}: sent again");
        }
        records.extend(talk.service_having(end + received, answer));
        assert_eq!(brief(&records), [(start, REFUTED, 0)], "{name}");
        let counters = talk.kernel.counters();
        assert_eq!((counters.get(Counter::MidlifeConfirmed), counters.is_balanced()), (0, true), "{name}");
    }
}

#[test]
fn only_what_follows_the_answer_at_once_is_taken() {
    let Some(mut talk) = met("100%") else { return };
    talk.service_having(talk.at - 10, OK);
    assert_eq!(talk.client(GET), [], "the service hadn't received all that was sent before");
    talk.service(OK);
    let first = talk.at;
    assert_eq!(
        talk.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        [],
        "its end isn't known"
    );
    assert_eq!(talk.client_at(first, GET), [], "and its place was another's");
    assert_eq!(talk.client(GET), [], "and this isn't behind an answer");
    talk.service(OK);
    assert_eq!(talk.client(&[GET, GET].concat()), [], "two");
    talk.service(OK);
    let start = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(start, TAKEN, GET.len())]);
}

#[test]
fn other_protocols_in_mid_life_are_nothing_to_take() {
    let Some(mut talk) = met("100%") else { return };
    talk.service(b"\x17\x03\x03\x00\x20");
    assert_eq!(talk.client(b"\x17\x03\x03\x00\x20"), []);
    // What they are is told by a connection's first bytes alone.
    let others: [&[u8]; 3] = [b"\x16\x03\x01\x02\x00", b"\x00\x01\x02", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for other in others {
        talk.service(OK);
        assert_eq!(talk.client(other), [], "{}", other.escape_ascii());
    }
    assert_eq!(talk.kernel.count(Counter::UnknownFlow), 8);
    talk.service(OK);
    let start = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(start, TAKEN, GET.len())]);
    // That it ends is told of the flow, since nothing is sure of the run.
    let fin = talk.frame(Frame { flags: FIN | ACK, ..talk.request(talk.at, b"") });
    assert_eq!((fin.len(), fin[0].flags & FIN, fin[0].mark), (1, FIN, 0));
}

/// A start that was none leaves nothing behind: the answer that says so is an answer, and the next start is as any.
#[test]
fn a_start_is_found_behind_a_refuted_one() {
    let Some(mut talk) = met("100%") else { return };
    talk.service(b"HTTP/1.1 413 Too Large\r\n\r\n");
    let start = talk.at;
    let last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(brief(&talk.client(last)), [(start, TAKEN, last.len())]);
    talk.at += 5;
    assert_eq!(brief(&talk.service(OK)), [(start, REFUTED, 0)]);
    let start = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(start, TAKEN, GET.len())]);
    assert_eq!(brief(&talk.service(OK)), [(start, CONFIRMED, 0)]);
    let next = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED, GET.len())]);
}

/// Any SYN begins a connection of a flow that isn't known from its beginning, whatever its number.
#[test]
fn a_syn_ends_mid_life() {
    let Some(mut talk) = met("100%") else { return };
    talk.service(OK);
    let number_0 = Frame { flags: SYN, seq: 0, ..talk.request(0, b"") };
    assert_eq!(talk.frame(number_0.clone()), []);
    assert_eq!(talk.frame(Frame { flags: SYN | ACK, ack: 1, ..talk.answer(b"") }), []);
    let first = talk.frame(Frame { flags: ACK, seq: 1, payload: GET.to_vec(), ..number_0 });
    assert_eq!((first.len(), first[0].mark, first[0].start), (1, SAMPLED, first[0].at));
    assert_eq!(talk.kernel.count(Counter::FlowsSeen), 1);
}

#[test]
fn an_unconfirmed_request_that_lost_a_part_is_over() {
    let Some(mut talk) = met("100%") else { return };
    talk.service(OK);
    let start = talk.at;
    assert_eq!(brief(&talk.client(POST)), [(start, TAKEN, POST.len())]);
    talk.fill();
    talk.kernel.send(&talk.request(talk.at, b"0123456789"));
    talk.at += 10;
    talk.records();
    assert_eq!(talk.service(OK), [], "nothing is confirmed");
    let next = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(next, TAKEN | LOST, GET.len())]);
    assert_eq!(talk.kernel.count(Counter::MidlifeConfirmed), 0);
}

#[test]
fn connections_that_were_open_before_can_be_left_alone() {
    let Some(kernel) = Kernel::with("100%", |options| options.only_new = true) else { return };
    let mut talk = Talk::new(kernel);
    talk.at = 1000;
    for _ in 0..3 {
        assert_eq!(talk.client(GET), []);
        assert_eq!(talk.service(OK), []);
    }
    assert_eq!(talk.kernel.count(Counter::MidlifeTaken), 0);
    talk.base.ports.0 += 1;
    talk.syn();
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED, GET.len())], "a new one is as ever");
}
