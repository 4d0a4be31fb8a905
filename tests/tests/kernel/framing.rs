//! Where requests begin and end, as the kernel reads it: never wrong, and `open` wherever there is a doubt.

use proptest::{
    prelude::Rng as _,
    test_runner::{RngAlgorithm, TestRng},
};
use shadow_common::Counter;
use shadow_userspace::http::{BodyFraming, DecoderLimits, RequestDecoder, RequestEvent, RequestHead};

use crate::{
    harness::Kernel,
    talk::{OPEN, SAMPLED, Talk, brief},
};

/// How the kernel understands a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framed {
    /// Its end is known, so many bytes behind its head.
    Body(usize),
    /// The same, and it is the connection's last.
    Last(usize),
    /// The agent has to frame it.
    Open,
}

use Framed::{Body, Last, Open};

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// On a new connection sends a head, its body and a further request, each in a segment, and says how the kernel took it.
fn framed(talk: &mut Talk, head: &[u8], body: usize) -> Framed {
    talk.base.ports.0 += 1;
    talk.syn();
    let ended = talk.kernel.count(Counter::AfterLast);
    let head_len = head.len() as i32;
    let first = brief(&talk.client(head));
    if first == [(0, SAMPLED | OPEN, head.len())] {
        return Open;
    }
    assert_eq!(first, [(0, SAMPLED, head.len())], "{}", head.escape_ascii());
    if body > 0 {
        assert_eq!(brief(&talk.client(&vec![b'G'; body])), [(0, SAMPLED, body)], "{}", head.escape_ascii());
    }
    let next = brief(&talk.client(NEXT));
    if next.is_empty() {
        assert_eq!(talk.kernel.count(Counter::AfterLast), ended + 1, "{}", head.escape_ascii());
        return Last(body);
    }
    let start = head_len + body as i32;
    assert_eq!(next, [(start, SAMPLED, NEXT.len())], "{}", head.escape_ascii());
    Body(body)
}

fn check(cases: &[(&[u8], Framed)]) {
    let Some(mut talk) = Talk::opened("100%") else { return };
    for (head, expected) in cases {
        let body = match expected {
            Body(body) | Last(body) => *body,
            Open => 0,
        };
        assert_eq!(framed(&mut talk, head, body), *expected, "{}", head.escape_ascii());
    }
}

#[test]
fn lengths_are_read() {
    check(&[
        (b"GET / HTTP/1.1\r\n\r\n", Body(0)),
        (b"G / HTTP/1.1\r\n\r\n", Body(0)),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Body(0)),
        (b"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", Body(0)),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Body(0)),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", Body(5)),
        (b"POST / HTTP/1.1\r\nContent-Length:5\r\n\r\n", Body(5)),
        (b"POST / HTTP/1.1\r\ncontent-length: 1234\r\nHost: a\r\n\r\n", Body(1234)),
        (b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 0017\r\nX: y\r\n\r\n", Body(17)),
        (b"GET /body HTTP/1.1\r\nContent-Length: 3\r\n\r\n", Body(3)),
        (b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n", Body(7)),
        (b"POST / HTTP/1.1\r\nX-Content-Length: 7\r\nContent-Lengthx: 8\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nX-Content-Length: 7\r\n\r\n", Body(0)),
        (b"GET / HTTP/1.1\r\nX-Transfer-Encoding: chunked\r\n\r\n", Body(0)),
        (b"GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", Body(0)),
        (b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", Body(4)),
        // What one ends with is nothing to the next.
        (b"GET / HTTP/1.1\r\nHost: a\r", Open),
        (b"GET / HTTP/1.1\r\nCookie: caf\xc3\xa9=\xff\r\n\r\n", Body(0)),
    ]);
}

#[test]
fn the_last_request_is_known() {
    check(&[
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", Last(0)),
        (b"POST / HTTP/1.1\r\nconnection: CLOSE\r\nContent-Length: 3\r\n\r\n", Last(3)),
        (b"GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", Last(0)),
        (b"GET / HTTP/1.0\r\n\r\n", Last(0)),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Body(0)),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n", Body(2)),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", Body(0)),
    ]);
}

#[test]
fn doubts_are_the_agents() {
    check(&[
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\ntransfer-encoding:\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length 5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length:  5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 5 \r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 4294967301\r\n\r\n", Open),
        (b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551621\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nupgrade:h2c\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nConnection: closed\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nConnection: keep-alivex\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nX: a\r\n\tContent-Length: 5\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nX: a\nContent-Length: 5\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nX: a\rContent-Length: 5\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", Open),
        (b"GET / HTTP/1.1\nHost: a\n\n", Open),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Open),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Open),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", Open),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", Open),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Open),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Open),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Open),
        (b"GET /aHTTP/1.1\r\nHost: a\r\n\r\n", Open),
        (b"GET /\r\n\r\n", Open),
        (b"G HTTP/1.1\r\nHost: a\r\n\r\n", Open),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Open),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Open),
        (b"hello, this is no request\r\n\r\n", Open),
    ]);
}

/// The reader goes by words from a line's beginning. What ends it otherwise than CR LF is found wherever it lies.
#[test]
fn control_characters_are_doubtful_at_every_place() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let others = [
        "\r",
        "\n",
        "\r\r\n",
        "\n\r\n",
        "\0\n",
        "\0\r\n",
        "\t",
        "\0",
        "\x1f",
        "\r\t",
        "\rabcdef\r\n",
        "\rabcdefg\r\n",
        "\rabcdefgh\n",
    ];
    for padding in 0..8 {
        for other in others {
            let pad = "p".repeat(padding);
            let head = format!("POST / HTTP/1.1\r\nX: {pad}{other}Content-Length: 5\r\n\r\n");
            assert_eq!(framed(&mut talk, head.as_bytes(), 0), Open, "{head:?}");
        }
    }
}

/// The longest head that is read, and the first that isn't; at every alignment.
#[test]
fn heads_up_to_the_copy_are_read() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    // A test packet of the classifier holds no more.
    for padding in (0..24).chain(3200..3224) {
        let head = format!("GET / HTTP/1.1\r\nX: {}\r\nContent-Length: 9\r\n\r\n", "p".repeat(padding));
        assert_eq!(framed(&mut talk, head.as_bytes(), 9), Body(9), "{} bytes", head.len());
    }
    let Some(mut kernel) = Kernel::new("100%") else { return };
    // XDP's test packets are larger.
    for (length, framed) in [(4096, 1), (4097, 1)] {
        let line = b"GET / HTTP/1.1\r\nX: ".to_vec();
        let payload = [line, vec![b'p'; length - 23], b"\r\n\r\n".to_vec()].concat();
        assert_eq!(payload.len(), length);
        let frame = crate::frame::Frame { ports: (length as u16, 8080), payload, ..Default::default() };
        frame.handshake().iter().for_each(|frame| kernel.tag(&frame.bytes()).unwrap());
        kernel.tag(&frame.bytes()).unwrap();
        assert_eq!(kernel.count(Counter::RequestsFramed), framed, "{length} bytes");
    }
    assert_eq!(kernel.count(Counter::RunsOpened), 1);
}

/// What a request is to the agent's decoder.
fn by_decoder(head: &[u8]) -> Option<Framed> {
    let parsed = RequestHead::parse(head.to_vec()).ok()?;
    let mut decoder = RequestDecoder::new(DecoderLimits::default());
    let mut is_refused = false;
    decoder.push(head, |event| {
        is_refused |= matches!(event, RequestEvent::Failed(_) | RequestEvent::NotHttp1(_))
    });
    let body = match parsed.framing() {
        _ if is_refused => return None,
        BodyFraming::None => 0,
        BodyFraming::Length(length) => usize::try_from(length).ok()?,
        BodyFraming::Chunked => return None,
    };
    Some(if parsed.keeps_alive() { Body(body) } else { Last(body) })
}

/// Random heads of good and doubtful lines: what the kernel frames, the agent's decoder frames alike.
#[test]
fn kernel_and_agent_agree_wherever_the_kernel_is_sure() {
    const LINES: &[&str] = &[
        "Content-Length: 3",
        "Content-Length: 12",
        "content-length:0",
        "Content-Type: text/plain; charset=utf-8",
        "Connection: close",
        "Connection: keep-alive",
        "Connection: Upgrade",
        "Transfer-Encoding: chunked",
        "Upgrade-Insecure-Requests: 1",
        "Accept: */*",
        "X:",
        "A: b",
        "X-Long: 0123456789012345678901234567890123456789",
        " folded",
        "Space : before",
        "No colon",
        "Bare\rcr: 1",
        "Bare\nlf: 1",
        "Nul\0: 1",
    ];
    let Some(mut kernel) = Kernel::new("100%") else { return };
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut next = || random.next_u32() as usize;
    let (mut sure, mut ports) = (0, 1..60_000_u16);
    for _ in 0..3000 {
        let version = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.1 "][next() % 5];
        let mut head = format!(
            "{} /{} {version}\r\nHost: a\r\n",
            ["GET", "POST", "X"][next() % 3],
            "p".repeat(next() % 9)
        );
        for _ in 0..next() % 5 {
            head += LINES[if next() % 3 == 0 { next() % LINES.len() } else { next() % 12 }];
            head += "\r\n";
        }
        head += "\r\n";
        let port = ports.next().unwrap();
        let base = crate::frame::Frame { ports: (port, 9090), seq: 100, ..Default::default() };
        base.handshake().iter().for_each(|frame| kernel.send(frame));
        kernel.send(&crate::frame::Frame { payload: head.clone().into_bytes(), ..base.clone() });
        let mark = kernel.record(|segment| segment.run.mark).unwrap();
        if mark == SAMPLED | OPEN {
            continue;
        }
        sure += 1;
        // What the decoder refuses for other reasons than its framing may be framed.
        let Some(expected) = by_decoder(head.as_bytes()) else {
            let refused = ["Space :", "No colon"].iter().any(|line| head.contains(line));
            assert!(refused, "the kernel frames what the decoder refuses: {head:?}");
            continue;
        };
        let (body, is_last) = match expected {
            Body(body) => (body, false),
            Last(body) => (body, true),
            Open => unreachable!("the decoder never says so"),
        };
        let start = 100 + (head.len() + body) as u32;
        kernel.send(&crate::frame::Frame { seq: start, payload: NEXT.to_vec(), ..base });
        let found = kernel.record(|segment| (segment.run.start, segment.run.mark));
        assert_eq!(found, (!is_last).then_some((start, SAMPLED)), "{head:?}");
    }
    assert!(sure > 1000, "{sure} of 3000 heads framed by the kernel");
}
