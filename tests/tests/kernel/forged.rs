//! Clients that send what no honest one would: nothing of it may move the place where a request is seen.

use shadow_common::{
    marks::{CONFIRMED, REFUTED, UNCONFIRMED},
    tcp_flags::{ACK, RST, SYN},
};

use crate::{
    frame::Frame,
    harness::Kernel,
    talk::{SAMPLED, Talk, brief, seq},
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

/// A client that uses a service port itself: which side is the client isn't known in mid-life, and an answer that holds a
/// request's bytes is none.
#[test]
fn answers_are_no_requests_where_both_ports_are_service_ports() {
    let Some(mut talk) = Talk::opened("100%").map(|talk| Talk { at: 1000, ..talk }) else { return };
    talk.base.ports = (9090, 8080);
    talk.client(GET);
    // In the answer's body, at the start of a segment, and then a client that speaks as a service does.
    let answer = |seq, payload: &[u8]| Frame { seq, payload: payload.to_vec(), ..talk.answer(b"") };
    let body = answer(77, GET);
    let confirms = Frame { ack: 77 + GET.len() as u32, ..talk.request(talk.at, b"HTTP/1.1 200 OK\r\n\r\n") };
    let records: Vec<_> = [body, confirms].into_iter().flat_map(|frame| talk.frame(frame)).collect();
    assert_eq!(records, []);
}

/// A SYN within a connection, which the service ignores: what follows is still a body, however much it looks like the
/// first request of a new connection.
#[test]
fn a_syn_that_the_service_does_not_accept_begins_no_connection() {
    for rate in ["100%", "50%"] {
        for attempt in 0..10 {
            let Some(mut talk) = Talk::opened(rate) else { return };
            talk.client(format!("POST /p HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 10 + GET.len()).as_bytes());
            talk.client(b"0123456789");
            let body = talk.at;
            talk.frame(Frame { flags: SYN, ..talk.request(body - 1, b"") });
            // It says again what it has received so far.
            talk.frame(Frame { flags: ACK, ..talk.answer(b"") });
            let records = talk.client(GET);
            assert!(records.iter().all(|record| record.start == 0), "{rate} {attempt}: {records:?}");
            talk.service(b"HTTP/1.1 200 OK\r\n\r\n");
        }
    }
}

/// A client that the host's packet filter shuts out, or whose address isn't its own: the service never answered it.
#[test]
fn without_the_service_s_consent_there_is_no_connection() {
    let Some(kernel) = Kernel::new("100%") else { return };
    let mut talk = Talk::new(kernel);
    let syn = Frame { flags: SYN, ..talk.request(-1, b"") };
    assert_eq!([talk.frame(syn.clone()), talk.client(GET)], [[], []]);
    // A reset, or the consent to another.
    talk.frame(Frame { flags: RST | ACK, ..talk.answer(b"") });
    assert_eq!([talk.frame(syn.clone()), talk.client_at(0, GET)], [[], []]);
    talk.frame(Frame { flags: SYN | ACK, ack: seq(1), ..talk.answer(b"") });
    assert_eq!(talk.client_at(0, GET), []);
    // And the real one.
    talk.frame(Frame { flags: SYN | ACK, ack: seq(0), ..talk.answer(b"") });
    assert_eq!(brief(&talk.client_at(0, GET)), [(0, SAMPLED, GET.len())]);
    // Whoever comes again with the same ports waits again.
    talk.frame(Frame { flags: SYN, ..talk.request(5000, b"") });
    assert_eq!(talk.client_at(5001, GET), []);
}

/// The known limit of what is taken in mid-life (`docs/ARCHITECTURE.md`): an answer to an earlier request acknowledges the
/// head of the next, and that one's body is taken for a request.
#[test]
fn a_pipelined_request_s_body_may_be_taken_in_mid_life() {
    let Some(kernel) = Kernel::new("100%") else { return };
    let mut talk = Talk { at: 1000, ..Talk::new(kernel) };
    let upload = format!("POST /p HTTP/1.1\r\nContent-Length: {}\r\n\r\n", GET.len());
    talk.client(&[GET, upload.as_bytes()].concat());
    talk.service(b"HTTP/1.1 200 OK\r\n\r\n");
    let body = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(body, SAMPLED | UNCONFIRMED, GET.len())]);
    assert_eq!(brief(&talk.service(b"HTTP/1.1 200 OK\r\n\r\n")), [(body, CONFIRMED, 0)]);
}

/// More of the body follows what was taken for the connection's last request.
#[test]
fn bytes_behind_a_last_request_refute_it_in_mid_life() {
    let Some(kernel) = Kernel::new("100%") else { return };
    let mut talk = Talk { at: 1000, ..Talk::new(kernel) };
    talk.service(b"HTTP/1.1 413 Too Large\r\n\r\n");
    let start = talk.at;
    let close = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(brief(&talk.client(close)), [(start, SAMPLED | UNCONFIRMED, close.len())]);
    let received = talk.at;
    assert_eq!(brief(&talk.client(b"more of the body")), [(start, REFUTED, 0)]);
    assert_eq!(talk.service_having(received, b"HTTP/1.1 200 OK\r\n\r\n"), []);
}
