//! The kernel tells when the answer to a sampled request begins, and nothing else of it.

use shadow_common::{
    Counter, Direction, Resync,
    marks::{ANSWERED, CONFIRMED, UNCONFIRMED},
    tcp_flags::{ACK, FIN, PSH, RST},
};

use crate::{
    frame::Frame,
    harness::Kernel,
    talk::{OPEN, Record, SAMPLED, Talk},
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
const LONG: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

fn reporting(rate: &str) -> Option<Talk> {
    let mut talk = Talk::new(Kernel::with(rate, |options| options.report_answers = true)?);
    talk.syn();
    Some(talk)
}

/// Starts and marks of the records, none of which may have payload.
fn told(records: &[Record]) -> Vec<(i32, u8)> {
    for record in records {
        assert_eq!((record.payload_len, record.direction), (0, Direction::FromService), "{record:?}");
    }
    records.iter().map(|record| (record.start, record.mark)).collect()
}

impl Talk {
    /// The service sends bytes at an offset of its own.
    fn service_at(&mut self, at: u32, bytes: &[u8]) -> Vec<(i32, u8)> {
        let frame = Frame { seq: 5000 + at, ..self.answer(bytes) };
        told(&self.frame(frame))
    }
}

#[test]
fn each_answer_is_told_of_once_whether_tc_or_xdp_decides() {
    for with_tag in [false, true] {
        for request in [GET, CHUNKED, LONG] {
            let Some(mut talk) = reporting("100%") else { return };
            talk.kernel.with_tag = with_tag;
            // The client acknowledges each answer with its next request.
            for number in 0..3 {
                let (start, sent) = (talk.at, number * 1000);
                talk.base.ack = 5000 + sent;
                assert!(!talk.client(request).is_empty());
                if request == LONG {
                    talk.client(b"0123456789");
                }
                assert_eq!(talk.service_at(sent, OK), [(start, ANSWERED)], "{with_tag}");
                assert_eq!(talk.service_at(sent + OK.len() as u32, b"body"), [], "{with_tag}");
                assert_eq!(talk.service_at(sent + OK.len() as u32 + 4, OK), [], "{with_tag}");
                // Of what the agent frames it says where the next request begins.
                talk.note(start, Resync::RESUME, talk.at);
            }
            assert_eq!(talk.counts([Counter::Answered, Counter::Response]), [3, 6]);
        }
    }
}

#[test]
fn only_if_asked_for_and_sampled() {
    for (reports, rate, request) in [(false, "100%", GET), (true, "0%", GET), (true, "0.000001%", CHUNKED)] {
        let kernel = Kernel::with(rate, |options| options.report_answers = reports);
        let Some(mut talk) = kernel.map(Talk::new) else { return };
        talk.syn();
        talk.client(request);
        assert_eq!(talk.service(OK), []);
        assert_eq!(talk.counts([Counter::Answered, Counter::Response]), [0, 1]);
    }
}

/// The segment comes again: that is the same decision again.
#[test]
fn a_repeated_beginning_is_told_again_and_its_half_close_never() {
    let Some(mut talk) = reporting("100%") else { return };
    talk.client(GET);
    let first = Frame { flags: ACK | PSH | FIN, ..talk.answer(OK) };
    for _ in 0..2 {
        let records = talk.frame(first.clone());
        assert_eq!((told(&records), records[0].flags), (vec![(0, ANSWERED)], ACK | PSH));
    }
    // What the agent knows of the flow is still told to end.
    let reset = talk.frame(Frame { flags: RST, ..talk.answer(b"") });
    assert_eq!((reset.len(), reset[0].flags, reset[0].mark), (1, RST, 0));
}

#[test]
fn interim_answers_are_none_and_the_final_one_is_told() {
    let Some(mut talk) = reporting("100%") else { return };
    talk.client(LONG);
    assert_eq!(talk.service_at(0, b"HTTP/1.1 100 Continue\r\n\r\n"), []);
    talk.client(b"0123456789");
    assert_eq!(talk.service_at(25, OK), [(0, ANSWERED)]);
}

/// When an answer began that came before the request's end isn't told later, by its rest.
#[test]
fn an_early_answer_is_not_told() {
    let Some(mut talk) = reporting("100%") else { return };
    talk.client(LONG);
    assert_eq!(talk.service_at(0, OK), []);
    talk.client(b"0123456789");
    assert_eq!(talk.service_at(OK.len() as u32, b"body"), []);
    assert_eq!(talk.service_at(OK.len() as u32 + 4, OK), []);
}

/// The rest of an answer to the request before; what begins like an answer in it is none.
#[test]
fn the_rest_of_an_earlier_answer_is_not_told() {
    let Some(mut talk) = reporting("100%") else { return };
    talk.base.ack = 5000;
    talk.client(GET);
    assert_eq!(talk.service_at(0, OK), [(0, ANSWERED)]);
    talk.base.ack = 5000 + OK.len() as u32;
    talk.client(GET);
    assert_eq!(talk.service_at(OK.len() as u32, b"body"), []);
    assert_eq!(talk.service_at(OK.len() as u32 + 4, OK), []);
}

/// Whose answer it is that comes can't be told: not even whether the earlier request was sampled.
#[test]
fn a_client_that_pipelines_is_not_told_of() {
    for first in ["100%", "0%"] {
        let Some(mut talk) = reporting(first) else { return };
        talk.base.ack = 5000;
        talk.client(GET);
        talk.rate("100%");
        talk.client(GET);
        assert_eq!(talk.service_at(0, OK), []);
        talk.base.ack = 5000 + OK.len() as u32;
        talk.client(GET);
        assert_eq!(talk.service_at(OK.len() as u32, OK), []);
    }
}

#[test]
fn what_is_not_confirmed_is_not_told() {
    let kernel = Kernel::with("100%", |options| options.report_answers = true);
    let Some(mut talk) = kernel.map(Talk::new) else { return };
    talk.service(OK);
    assert_eq!(talk.client(GET)[0].mark, SAMPLED | UNCONFIRMED);
    assert_eq!(told(&talk.service(OK)), [(0, CONFIRMED)]);
    assert_eq!(talk.service(OK), []);
    // From then on it is.
    let start = talk.at;
    talk.base.ack = 6000;
    talk.client(GET);
    assert_eq!(talk.service_at(1000, OK), [(start, ANSWERED)]);
}

/// No request lacks anything without it.
#[test]
fn a_report_that_found_no_room_costs_no_request() {
    let Some(mut talk) = reporting("100%") else { return };
    let chunk = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(talk.client(chunk)[0].mark, SAMPLED | OPEN);
    let other = Frame { ports: (50_000, 8080), seq: 1000, ..talk.base.clone() };
    other.handshake().iter().for_each(|frame| talk.kernel.send(frame));
    talk.kernel.send(&Frame { payload: GET.to_vec(), ..other.clone() });
    talk.fill();
    // An answer that comes again is told again: down to the last bit of room.
    let ack = 1000 + GET.len() as u32;
    let answer = Frame { is_answer: true, seq: 5000, ack, payload: OK.to_vec(), ..other };
    let full = talk.kernel.count(Counter::RingFull);
    while talk.kernel.count(Counter::RingFull) == full {
        talk.kernel.send(&answer);
    }
    let before = talk.counts([Counter::RingFull, Counter::Answered]);
    talk.kernel.send(&talk.answer(OK));
    assert_eq!(talk.counts([Counter::RingFull, Counter::Answered]), [before[0] + 1, before[1]]);
    talk.records();
    let rest = talk.client(b"0\r\n\r\n");
    assert_eq!(
        (rest[0].start, rest[0].mark, rest[0].payload.len()),
        (0, SAMPLED | OPEN, 5),
        "nothing of it is missing"
    );
}
