//! Clients that send what no honest one would: nothing of it may move the place where a request is seen.

use crate::{frame::Frame, talk::Talk};

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
