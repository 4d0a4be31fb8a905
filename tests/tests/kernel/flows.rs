//! What else there is to know of a flow: its protocol, how it ends, whose it is.

use shadow_common::{
    Counter, Direction,
    tcp_flags::{ACK, FIN, RST, SYN},
};

use crate::{
    frame::Frame,
    harness::Kernel,
    talk::{OPEN, SAMPLED, Talk, brief, len},
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &[u8] = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
const POST: &[u8] = b"POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n";

#[test]
fn other_protocols_are_counted_and_left_alone() {
    let cases: [(&[u8], Counter, Counter); 4] = [
        (b"\x16\x03\x01\x02\x00\x01\x00", Counter::FlowsTls, Counter::Tls),
        (b"\x16\x03\x03\x00\x10", Counter::FlowsTls, Counter::Tls),
        (b"\x00\x01\x02\x03", Counter::FlowsOther, Counter::OtherProtocol),
        (b"\xff\xff", Counter::FlowsOther, Counter::OtherProtocol),
    ];
    for (first, flows, segments) in cases {
        let Some(mut talk) = Talk::opened("100%") else { return };
        assert_eq!(talk.client(first), []);
        assert_eq!(talk.client(GET), []);
        assert_eq!(talk.service(b"HTTP/1.1 200 OK\r\n\r\n"), []);
        assert_eq!(talk.client(GET), []);
        assert_eq!(talk.counts([flows, segments]), [1, 4], "{}", first.escape_ascii());
    }
}

/// Behind a request they are no protocol's first bytes, whatever they look like.
#[test]
fn only_the_first_bytes_tell_the_protocol() {
    let others: [&[u8]; 3] = [b"\x16\x03\x01\x02\x00", b"\x00\x01\x02", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let Some(mut talk) = Talk::opened("100%") else { return };
    for other in others {
        talk.base.ports.0 += 1;
        talk.syn();
        talk.client(GET);
        let start = talk.at;
        let found = brief(&talk.client(other));
        assert_eq!(found, [(start, SAMPLED | OPEN, other.len())], "{}", other.escape_ascii());
    }
    assert_eq!(talk.counts([Counter::FlowsTls, Counter::FlowsOther, Counter::FlowsHttp2]), [0; 3]);
    // A single byte tells nothing, and Ethernet's padding is none of it.
    talk.base.ports.0 += 1;
    talk.syn();
    let alone = Frame { padding: 6, ..talk.request(0, b"\x16") };
    assert_eq!(brief(&talk.frame(alone)), [(0, SAMPLED | OPEN, 1)]);
}

#[test]
fn http2_is_exported_whole() {
    for rate in ["100%", "0.000001%"] {
        let Some(mut talk) = Talk::opened(rate) else { return };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert_eq!(brief(&talk.client(preface)), [(0, SAMPLED | OPEN, preface.len())]);
        assert_eq!(brief(&talk.client(b"\0\0\0\x04\0\0\0\0\0")), [(0, SAMPLED | OPEN, 9)]);
        assert_eq!(talk.counts([Counter::FlowsHttp2]), [1]);
    }
}

#[test]
fn responses_are_exported_only_when_asked_for_and_only_of_sampled_requests() {
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    for asked in [false, true] {
        let Some(kernel) = Kernel::with("100%", |options| options.export_responses = asked) else { return };
        let mut talk = Talk::new(kernel);
        talk.syn();
        talk.client(GET);
        let seen: Vec<_> =
            talk.service(answer).iter().map(|record| (record.direction, record.start)).collect();
        assert_eq!(seen, if asked { vec![(Direction::FromService, 0)] } else { vec![] });
        // The end of the direction may be the end of the response.
        let fin = talk.frame(Frame { flags: FIN | ACK, ..talk.answer(b"") });
        let seen: Vec<_> = fin.iter().map(|record| (record.direction, record.flags, record.start)).collect();
        assert_eq!(seen, if asked { vec![(Direction::FromService, FIN | ACK, 0)] } else { vec![] });
        talk.rate("0%");
        talk.client(GET);
        assert_eq!(talk.service(answer), []);
        assert_eq!(talk.frame(Frame { flags: FIN | ACK, ..talk.answer(b"") }), []);
        assert_eq!(talk.counts([Counter::Response]), [if asked { 1 } else { 2 }]);
    }
}

/// The agent hears how a flow ends that it knows, and of no other.
#[test]
fn ends_are_told_of_known_flows_only() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let control = |talk: &Talk, flags| Frame { flags, ..talk.request(talk.at, b"") };
    assert_eq!(talk.frame(control(&talk, FIN | ACK)), []);

    talk.syn();
    talk.client(GET);
    let fin = talk.frame(control(&talk, FIN | ACK));
    assert_eq!((fin[0].flags & FIN, fin[0].mark, fin[0].at), (FIN, SAMPLED, len(GET)));

    // It is a part of the run, so that more may follow.
    let reset = talk.frame(Frame { flags: RST, ..talk.answer(b"") });
    assert_eq!((reset.len(), reset[0].flags), (1, RST));

    // Of an open run too.
    talk.base.ports.0 += 1;
    talk.syn();
    talk.client(CHUNKED);
    let fin = talk.frame(control(&talk, FIN | ACK));
    assert_eq!((fin[0].flags & FIN, fin[0].mark, fin[0].start), (FIN, SAMPLED | OPEN, 0));

    // Behind an unsampled request it tells of the flow alone; once.
    for end in [FIN | ACK, RST] {
        talk.rate("100%");
        talk.base.ports.0 += 1;
        talk.syn();
        talk.client(GET);
        talk.rate("0%");
        talk.client(POST);
        let told = talk.frame(control(&talk, end));
        assert_eq!((told.len(), told[0].mark, told[0].payload_len), (1, 0, 0));
        assert_eq!(talk.frame(control(&talk, end)), []);
    }

    // Of a flow without a sampled request the agent hasn't heard.
    talk.base.ports.0 += 1;
    talk.syn();
    talk.client(GET);
    assert_eq!(talk.frame(control(&talk, FIN | ACK)), []);
    assert!(talk.kernel.counters().is_balanced());
}

/// One end may be closed and the other go on; then nothing is remembered.
#[test]
fn a_flow_is_forgotten_when_both_ends_are_closed() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(GET);
    let from_client = Frame { flags: FIN | ACK, ..talk.request(talk.at, b"") };
    let from_service = Frame { flags: FIN | ACK, ..talk.answer(b"") };
    let again = |talk: &mut Talk| talk.client_at(0, GET).len();
    for _ in 0..2 {
        talk.frame(from_client.clone());
        assert_eq!(again(&mut talk), 1);
    }
    talk.frame(from_service.clone());
    assert_eq!(again(&mut talk), 0);
    talk.syn();
    talk.client(GET);
    for _ in 0..2 {
        talk.frame(from_service.clone());
        assert_eq!(again(&mut talk), 1, "a new connection, of which one end is closed");
    }
    assert_eq!(talk.counts([Counter::UnknownFlow]), [1]);
}

#[test]
fn a_reset_by_the_service_is_told_and_its_fin_is_not() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(GET);
    assert_eq!(talk.frame(Frame { flags: FIN | ACK, ..talk.answer(b"") }), []);
    let reset = talk.frame(Frame { flags: RST, ..talk.answer(b"") });
    assert_eq!((reset[0].direction, reset[0].flags, reset[0].mark), (Direction::FromService, RST, 0));
}

#[test]
fn ports_that_are_used_again_begin_a_new_flow() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(POST);
    // The same SYN once more: nothing begins.
    assert_eq!(talk.syn(), []);
    assert_eq!(brief(&talk.client_at(len(POST), b"01234")), [(0, SAMPLED, 5)]);
    // Nor with a client's SYN that acknowledges something.
    let [syn, consent] = talk.request(700_000, b"").handshake();
    assert_eq!(talk.frame(Frame { flags: SYN | ACK, ..syn.clone() }), []);
    assert_eq!(talk.counts([Counter::FlowsSeen]), [1]);
    let told = talk.frame(syn);
    assert_eq!(talk.frame(consent), []);
    assert_eq!((told.len(), told[0].flags, told[0].mark), (1, SYN, 0));
    assert_eq!(brief(&talk.client_at(700_000, GET)), [(700_000, SAMPLED, GET.len())]);
    assert_eq!(talk.counts([Counter::FlowsSeen]), [2]);
    // With that news the agent forgets the flow, and hears no more of it until something is exported again.
    talk.frame(Frame { flags: SYN, ..talk.request(900_000 - 1, b"") });
    assert_eq!(talk.frame(Frame { flags: RST, ..talk.request(900_000, b"") }), []);
}

/// Between two service ports the SYN says which end is the client.
#[test]
fn either_end_of_a_flow_may_use_a_service_port() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.base.ports = (9090, 8080);
    assert_eq!(talk.syn(), []);
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED, GET.len())]);
    assert_eq!(talk.service(b"HTTP/1.1 200 OK\r\n\r\n"), []);
    let counted = [Counter::FlowsSeen, Counter::Control, Counter::Response, Counter::UnknownFlow];
    assert_eq!(talk.counts(counted), [2, 4, 1, 0]);
}

#[test]
fn behind_the_last_request_nothing_is_one() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n");
    let both = [b"abc", GET].concat();
    assert_eq!(brief(&talk.client(&both)), [(0, SAMPLED, both.len())], "the agent sees that it is too long");
    assert_eq!(talk.client(GET), []);
    assert_eq!(talk.client_at(talk.at + 100, GET), []);
    assert_eq!(talk.counts([Counter::AfterLast, Counter::RequestsFramed]), [2, 1]);
}

/// The mark is on the way out only: what comes back is known by its flow.
#[test]
fn flows_of_the_agents_own_are_left_alone_both_ways() {
    const MARK: u32 = 0x5ad0;
    let Some(kernel) = Kernel::with("100%", |options| options.own_mark = MARK) else { return };
    let mut talk = Talk::new(kernel);
    let syn = Frame { flags: SYN, ..talk.request(-1, b"") };
    talk.kernel.export_marked(&syn.bytes(), MARK).unwrap();
    // The same packets on another hook, where the mark is lost.
    assert_eq!(talk.frame(syn), []);
    assert_eq!(talk.client(GET), []);
    assert_eq!(talk.service(b"HTTP/1.1 200 OK\r\n\r\n"), []);
    assert_eq!(talk.counts([Counter::Own, Counter::FlowsSeen]), [3, 0]);
    // A client that gets the port later is a client.
    for frame in talk.request(5001, b"").handshake() {
        talk.frame(frame);
    }
    assert_eq!(brief(&talk.client_at(5001, GET)), [(5001, SAMPLED, GET.len())]);
    let other = Frame { ports: (41_000, 8080), ..talk.request(0, b"") };
    talk.kernel.export_marked(&Frame { flags: SYN, ..other }.bytes(), MARK + 1).unwrap();
    assert_eq!(talk.counts([Counter::Own, Counter::FlowsSeen]), [3, 2]);
    // And a client's port that the agent gets is the agent's.
    talk.kernel.export_marked(&Frame { flags: SYN, ..talk.request(9000, b"") }.bytes(), MARK).unwrap();
    assert_eq!(talk.client_at(9001, GET), []);
    assert_eq!(talk.counts([Counter::Own]), [5]);
}

#[test]
fn a_service_that_speaks_first_is_no_matter() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    assert_eq!(talk.service(b"220 hello\r\n"), []);
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED, GET.len())]);
}
