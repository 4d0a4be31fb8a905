//! How a flow is followed from request to request: runs, and what the agent notes of them.

use shadow_common::{Counter, Resync};

use crate::talk::{OPEN, SAMPLED, Talk, brief, len};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
const CHUNKED: &[u8] = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn each_request_is_a_run() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED, GET.len())]);
    assert_eq!(talk.service(b"HTTP/1.1 200 OK\r\n\r\n"), []);
    let post = len(GET);
    assert_eq!(brief(&talk.client(POST)), [(post, SAMPLED, POST.len())]);
    assert_eq!(brief(&talk.client(b"01234")), [(post, SAMPLED, 5)]);
    assert_eq!(brief(&talk.client(b"GET /")), [(post, SAMPLED, 5)], "a body is no request");
    let last = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(last, SAMPLED, GET.len())]);
    let counted = [Counter::RequestsFramed, Counter::RunsOpened, Counter::Response];
    assert_eq!(talk.counts(counted), [3, 0, 1]);
}

#[test]
fn nothing_of_an_unsampled_request_is_exported() {
    let Some(mut talk) = Talk::opened("0%") else { return };
    assert_eq!(talk.client(POST), []);
    assert_eq!(talk.client(b"0123456789"), []);
    talk.rate("100%");
    assert_eq!(brief(&talk.client(GET)), [(talk.at - len(GET), SAMPLED, GET.len())]);
    assert_eq!(talk.counts([Counter::Unsampled, Counter::RequestsFramed]), [2, 2]);
}

/// A change of the rate, a pause, or another list of ports takes effect with the next request, and cuts none.
#[test]
fn changes_take_effect_with_the_next_request() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let control = talk.kernel.programs.control.clone();
    let changes: [(&str, &dyn Fn(bool)); 3] = [
        ("rate", &|on| control.set_rate(if on { "100%" } else { "0%" }.parse().unwrap()).unwrap()),
        ("pause", &|on| control.set_paused(!on).unwrap()),
        ("ports", &|on| control.set_ports(if on { &[8080] } else { &[9090] }).unwrap()),
    ];
    for (name, change) in changes {
        let start = talk.at;
        assert_eq!(brief(&talk.client(POST)), [(start, SAMPLED, POST.len())], "{name}");
        change(false);
        assert_eq!(brief(&talk.client(b"0123456789")), [(start, SAMPLED, 10)], "{name}: in flight");
        assert_eq!(talk.client(POST), [], "{name}: the next");
        change(true);
        assert_eq!(talk.client(b"0123456789"), [], "{name}: in flight, and not in the sample");
        let start = talk.at;
        assert_eq!(brief(&talk.client(GET)), [(start, SAMPLED, GET.len())], "{name}: and on again");
    }
}

#[test]
fn segments_sent_again_change_nothing() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(GET);
    assert_eq!(brief(&talk.client_at(0, GET)), [(0, SAMPLED, GET.len())]);
    talk.client(POST);
    talk.client(b"0123456789");
    let start = len(GET);
    assert_eq!(brief(&talk.client_at(start + 3, &POST[3..])), [(start, SAMPLED, POST.len() - 3)]);
    // An earlier request's bytes: whether it was in the sample isn't known any more.
    assert_eq!(talk.client_at(0, GET), []);
    // From before the run into it.
    let both = [&GET[5..], POST].concat();
    assert_eq!(brief(&talk.client_at(5, &both)), [(start, SAMPLED, both.len())]);
    assert_eq!(talk.counts([Counter::Repeated, Counter::RequestsFramed]), [1, 2]);
    // Also before an open run.
    talk.client(CHUNKED);
    assert_eq!(talk.client_at(0, GET), []);
    assert_eq!(talk.counts([Counter::Repeated, Counter::RunsOpened]), [2, 1]);
}

#[test]
fn body_segments_may_come_in_any_order() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(POST);
    let body = talk.at;
    assert_eq!(brief(&talk.client_at(body + 6, b"6789")), [(0, SAMPLED, 4)]);
    assert_eq!(brief(&talk.client_at(body, b"012345")), [(0, SAMPLED, 6)]);
    assert_eq!(brief(&talk.client_at(body + 10, GET)), [(body + 10, SAMPLED, GET.len())]);
}

/// Several requests in a segment: the agent draws for those behind the first.
#[test]
fn pipelined_requests_open_the_run() {
    let two = [GET, GET].concat();
    for (rate, mark) in [("100%", SAMPLED | OPEN), ("0.000001%", OPEN)] {
        let Some(mut talk) = Talk::opened(rate) else { return };
        assert_eq!(brief(&talk.client(&two)), [(0, mark, two.len())], "{rate}");
        assert_eq!(brief(&talk.client(GET)), [(0, mark, GET.len())], "{rate}");
        assert_eq!(talk.counts([Counter::RunsOpened, Counter::RequestsFramed]), [1, 0]);
    }
}

/// A body's end and the next request share a segment.
#[test]
fn a_segment_that_reaches_into_the_next_request_opens_the_run() {
    let tail = [b"56789", GET].concat();
    // In the sample, the run goes on from its start; out of it, from where the next request begins.
    for (rate, start, mark) in [("100%", 0, SAMPLED | OPEN), ("0.000001%", len(POST) + 10, OPEN)] {
        let Some(mut talk) = Talk::opened(rate) else { return };
        talk.client(POST);
        talk.client(b"01234");
        let records = talk.client(&tail);
        assert_eq!(brief(&records), [(start, mark, tail.len())], "{rate}");
        assert_eq!(records[0].at, len(POST) + 5, "{rate}");
    }
}

/// The beginning of the next request is missing: it may still come.
#[test]
fn a_hole_before_a_request_opens_the_run() {
    for (rate, start, mark) in [("100%", 0, SAMPLED | OPEN), ("0.000001%", len(GET), OPEN)] {
        let Some(mut talk) = Talk::opened(rate) else { return };
        talk.client(GET);
        let next = talk.at;
        assert_eq!(brief(&talk.client_at(next + 3, b"more")), [(start, mark, 4)], "{rate}");
        assert_eq!(brief(&talk.client_at(next, b"abc")), [(start, mark, 3)], "{rate}");
    }
}

/// Where nothing can be in the sample, nothing is exported for its framing either.
#[test]
fn runs_are_not_opened_in_vain() {
    let Some(mut talk) = Talk::opened("0%") else { return };
    assert_eq!(talk.client(CHUNKED), []);
    assert_eq!(talk.client(b"0\r\n\r\n"), []);
    assert_eq!(talk.counts([Counter::RunsOpened, Counter::UnknownFlow, Counter::Unsampled]), [0, 1, 1]);
}

#[test]
fn the_agent_says_where_the_next_request_begins() {
    for (rate, mark) in [("100%", SAMPLED | OPEN), ("0.000001%", OPEN)] {
        let Some(mut talk) = Talk::opened(rate) else { return };
        talk.client(CHUNKED);
        let end = b"5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(brief(&talk.client(end)), [(0, mark, end.len())]);
        let next = talk.at;
        talk.note(0, Resync::RESUME, next);
        talk.rate("100%");
        assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED, GET.len())]);
        assert_eq!(talk.counts([Counter::RunsResumed, Counter::RunsOpened]), [1, 1]);
    }
    // A run of one segment.
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(&[CHUNKED, b"0\r\n\r\n"].concat());
    let next = talk.at;
    talk.note(0, Resync::RESUME, next);
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED, GET.len())]);
}

/// The agent would draw for what it has already.
#[test]
fn a_late_note_changes_nothing() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(CHUNKED);
    talk.client(b"0\r\n\r\n");
    let next = talk.at;
    talk.client(GET);
    talk.note(0, Resync::RESUME, next);
    assert_eq!(brief(&talk.client_at(next, GET)), [(0, SAMPLED | OPEN, GET.len())], "sent again");
    // What is sent again takes nothing back of what was exported behind it.
    assert_eq!(brief(&talk.client_at(next - 5, b"0\r\n\r\n")), [(0, SAMPLED | OPEN, 5)]);
    assert_eq!(brief(&talk.client_at(next, GET)), [(0, SAMPLED | OPEN, GET.len())], "sent again");
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED | OPEN, GET.len())]);
    // A note on another run.
    talk.note(next, Resync::RESUME, talk.at);
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED | OPEN, GET.len())]);
    assert_eq!(talk.counts([Counter::RunsResumed]), [0]);
}

#[test]
fn the_agent_wants_no_more_of_a_flow() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    talk.note(0, Resync::LEAVE, 0);
    assert_eq!(talk.client(b"\x81\x05hello"), []);
    assert_eq!(talk.client(GET), []);
    assert_eq!(talk.counts([Counter::LeftAlone]), [2]);
}

#[test]
fn what_the_agent_lost_is_picked_up_in_mid_life() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(CHUNKED);
    talk.note(0, Resync::LOST, 0);
    assert_eq!(talk.client(b"0\r\n\r\n"), []);
    talk.service(b"HTTP/1.1 200 OK\r\n\r\n");
    let start = talk.at;
    let first = talk.client(GET);
    assert_eq!((first[0].start, first[0].mark & SAMPLED), (start, SAMPLED));
}
