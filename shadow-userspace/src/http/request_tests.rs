//! Tables of bytes in and events out. Every row runs whole, split at every byte, and byte by byte; and random requests
//! run in random cuts.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// Events as text, neighbouring body pieces joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    lines: Vec<String>,
    in_body: bool,
}

impl Log {
    fn add(&mut self, event: RequestEvent<'_>) {
        let (line, is_body) = match event {
            RequestEvent::Body(bytes) => {
                assert!(!bytes.is_empty());
                (bytes.escape_ascii().to_string(), true)
            }
            RequestEvent::Start => ("start".to_owned(), false),
            RequestEvent::Head(head) => (format!("{} {}", head.method(), head.target()), false),
            RequestEvent::Trailers(fields) => (format!("trailers {fields:?}"), false),
            RequestEvent::End => ("end".to_owned(), false),
            RequestEvent::Failed(reason) => (format!("failed {}", reason.label()), false),
            RequestEvent::NotHttp1(protocol) => (format!("not {protocol:?}"), false),
        };
        match self.lines.last_mut() {
            Some(last) if is_body && self.in_body => last.push_str(&line),
            _ => self.lines.push(line),
        }
        self.in_body = is_body;
    }
}

fn run<'a>(
    limits: DecoderLimits,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<String>, RequestDecoder) {
    let mut decoder = RequestDecoder::new(limits);
    let mut log = Log::default();
    for part in parts {
        decoder.push(part, |event| log.add(event));
        if matches!(
            decoder.state,
            State::EmptyLines { .. } | State::Body(Body::Length(_) | Body::Chunked(_)) | State::Dead
        ) {
            assert_eq!(decoder.memory(), 0);
        }
    }
    (log.lines, decoder)
}

fn check_within(limits: DecoderLimits, input: &[u8], expected: &[&str]) {
    let (whole, decoder) = run(limits, [input]);
    assert_eq!(whole, expected, "{}", input.escape_ascii());
    let mut others: Vec<Vec<&[u8]>> = vec![input.chunks(1).collect()];
    others.extend((1..input.len()).map(|cut| vec![&input[..cut], &input[cut..]]));
    for parts in others {
        let cut = parts[0].len();
        let (lines, other) = run(limits, parts);
        assert_eq!(lines, expected, "{} cut after {cut}", input.escape_ascii());
        assert_eq!(other.is_dead(), decoder.is_dead());
        assert_eq!(other.bytes_after_last(), decoder.bytes_after_last());
    }
}

fn check(input: &str, expected: &[&str]) {
    check_within(DecoderLimits::default(), input.as_bytes(), expected);
}

/// A POST to `/` with these header lines and a Host.
fn post(lines: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

const GET: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
const AMBIGUOUS: [&str; 2] = ["start", "failed ambiguous"];

#[test]
fn requests_follow_each_other() {
    check(GET, &["start", "GET /next", "end"]);
    check(&GET.repeat(2), &["start", "GET /next", "end", "start", "GET /next", "end"]);
    check(
        &[&post("Content-Length: 5\r\n", "hello"), GET].concat(),
        &["start", "POST /", "hello", "end", "start", "GET /next", "end"],
    );
    check(
        &[&chunked("5\r\nhello\r\n0\r\n\r\n"), GET].concat(),
        &["start", "POST /", "hello", "end", "start", "GET /next", "end"],
    );
    check(&post("Content-Length: 0\r\n", GET), &["start", "POST /", "end", "start", "GET /next", "end"]);
    check("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", &["start", "GET /", "ab", "end"]);
    check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["start", "OPTIONS *", "end"]);
    check(&post("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab"), &["start", "POST /", "ab", "end"]);
}

#[test]
fn unfinished_requests_have_no_end() {
    check("GET", &[]);
    check("GET ", &["start"]);
    check("GET / HTTP/1.1\r\nHost: a\r\n\r", &["start"]);
    check(&post("Content-Length: 6\r\n", "hello"), &["start", "POST /", "hello"]);
    check(&chunked("5\r\nhello\r\n0\r\n"), &["start", "POST /", "hello"]);
    check(&chunked("5\r\nhel"), &["start", "POST /", "hel"]);
}

#[test]
fn a_body_is_never_taken_for_a_request() {
    let smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = post(&format!("Content-Length: {}\r\n", smuggled.len()), smuggled);
    let body = smuggled.as_bytes().escape_ascii().to_string();
    check(&request, &["start", "POST /", &body, "end"]);
    let request = chunked(&format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()));
    check(&request, &["start", "POST /", &body, "end"]);
}

#[test]
fn chunks_are_joined_and_their_framing_removed() {
    check(&chunked("2\r\nhe\r\n003\r\nllo\r\n0\r\n\r\n"), &["start", "POST /", "hello", "end"]);
    check(&chunked("A;x=\"y\t;\"\r\n0123456789\r\n00\r\n\r\n"), &["start", "POST /", "0123456789", "end"]);
    check(&chunked("0000000000000001\r\nx\r\n0;last\r\n\r\n"), &["start", "POST /", "x", "end"]);
    check(&chunked("0\r\n\r\n"), &["start", "POST /", "end"]);
    check(&chunked("ffffffffffffffff\r\nx"), &["start", "POST /", "x"]);
}

#[test]
fn doubtful_chunks_are_ambiguous() {
    for body in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1 ;a\r\n",
        "1\n",
        "1\rx",
        "1\r\r\n",
        ";a\r\n",
        "00000000000000001\r\n",
        "1;a\n",
        "1;a\rb\r\n",
        "1;a\0\r\n",
        "1;\u{7f}\r\n",
        "1,\r\n",
    ] {
        check(&chunked(body), &["start", "POST /", "failed ambiguous"]);
    }
    for after in ["y\r\n0\r\n\r\n", "\n0\r\n\r\n", "\rx", "0\r\n\r\n"] {
        check(&chunked(&format!("1\r\nx{after}")), &["start", "POST /", "x", "failed ambiguous"]);
    }
}

#[test]
fn trailers_are_fields() {
    check(
        &chunked("1\r\nx\r\n0\r\nA: b \r\nC:\r\n\r\n"),
        &["start", "POST /", "x", r#"trailers [(b"A", b"b"), (b"C", b"")]"#, "end"],
    );
    for trailers in [
        "A : b\r\n\r\n",
        " A: b\r\n\r\n",
        "A: b\n\r\n",
        "A: b\r\n\n",
        "\n",
        "A\r\n\r\n",
        "A: b\r\n c\r\n\r\n",
        "Content-Length: 5\r\n\r\n",
        "host: b\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Connection: a\r\n\r\n",
        "Upgrade: a\r\n\r\n",
        "A: b\r\nTrailer: C\r\n\r\n",
    ] {
        check(&chunked(&format!("0\r\n{trailers}")), &["start", "POST /", "failed ambiguous"]);
    }
    let many = chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(33)));
    check(&many, &["start", "POST /", "failed head_too_large"]);
}

#[test]
fn doubtful_heads_are_ambiguous() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Host: b\r\n",
        "A: b\r\n c\r\n",
        "A: b\n",
        "A: b\rc\r\n",
        "A: b\0\r\n",
    ] {
        check(&[&post(lines, ""), GET].concat(), &AMBIGUOUS);
    }
    check("GET / HTTP/1.1\r\n\r\n", &AMBIGUOUS);
    check("GET / HTTP/1.1\nHost: a\n\n", &AMBIGUOUS);
    check("GET / HTTP/1.3\r\nHost: a\r\n\r\n", &AMBIGUOUS);
    check("GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", &AMBIGUOUS);
    check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", &AMBIGUOUS);
    check("PRI / HTTP/1.1\r\n\r\n", &AMBIGUOUS);
}

#[test]
fn tunnels_are_not_followed() {
    check("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / ", &["start", "CONNECT a:443", "end"]);
    let tunnel = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    check(&post(tunnel, GET), &["start", "POST /", "end"]);
    let with_body = format!("{tunnel}Content-Length: 2\r\n");
    check(&post(&with_body, &format!("ab{GET}")), &["start", "POST /", "ab", "end"]);
    check(
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\nabc",
        &["start", "failed ambiguous"],
    );
    check(&post("Upgrade: h2c\r\n", GET), &["start", "POST /", "end", "start", "GET /next", "end"]);
}

#[test]
fn requests_go_on_behind_a_tunnel_that_was_declined() {
    let (mut decoder, mut log) = (RequestDecoder::new(DecoderLimits::default()), Log::default());
    decoder.push(post("Connection: Upgrade\r\nUpgrade: h2c\r\n", "").as_bytes(), |event| log.add(event));
    assert!(decoder.is_switching() && !decoder.is_idle() && !decoder.is_dead());
    decoder.go_on();
    assert!(decoder.is_idle());
    decoder.push(GET.as_bytes(), |event| log.add(event));
    assert_eq!(log.lines, ["start", "POST /", "end", "start", "GET /next", "end"]);
}

#[test]
fn missing_bytes_are_skipped_within_a_body_of_known_length_only() {
    let request = post("Content-Length: 4\r\n", "abcd");
    let body = request.len() - 4;
    for (at, missing, goes_on) in [
        (body, 4, true),
        (body, 1, true),
        (body + 1, 2, true),
        (body + 1, 3, true),
        (body, 5, false),
        (body + 3, 2, false),
        (body - 1, 1, false),
        (0, 1, false),
        (0, request.len(), false),
        (request.len(), 1, false),
    ] {
        let (mut decoder, mut log) = (RequestDecoder::new(DecoderLimits::default()), Log::default());
        decoder.push(&request.as_bytes()[..at], |event| log.add(event));
        assert_eq!(decoder.can_skip(missing as u64), goes_on, "{missing} at {at}");
        if goes_on {
            decoder.skip(missing as u64, |event| log.add(event));
            decoder.push(&request.as_bytes()[at + missing..], |event| log.add(event));
            assert_eq!(log.lines.last().unwrap(), "end");
            assert!(decoder.is_idle());
        }
    }
}

#[test]
fn nothing_follows_the_last_request() {
    check(&post("Connection: close\r\n", GET), &["start", "POST /", "end"]);
    check(&format!("GET / HTTP/1.0\r\n\r\n{GET}"), &["start", "GET /", "end"]);
    check(
        &format!("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n{GET}"),
        &["start", "GET /", "end", "start", "GET /next", "end"],
    );
    check(
        &post("Connection: close\r\nContent-Length: 2\r\n", &format!("ab{GET}")),
        &["start", "POST /", "ab", "end"],
    );
    let (_, decoder) = run(DecoderLimits::default(), [post("Connection: close\r\n", GET).as_bytes()]);
    assert_eq!(decoder.bytes_after_last(), GET.len() as u64);
}

#[test]
fn other_protocols_are_told_apart_before_any_request() {
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["not Http2"]);
    check_within(DecoderLimits::default(), &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], &["not Tls"]);
    check_within(DecoderLimits::default(), &[0x00, 0xff], &["not Other"]);
    check("*1\r\n$4\r\nPING\r\n", &["not Other"]);
    check("\r\nPRI * HTTP/2.0\r\n", &["not Http2"]);
    // Where requests were spoken it is a broken request.
    for garbage in ["\0", "\n", "x\r\n", "PRI * HTTP/2.0\r\n", "\r\rGET"] {
        check(&[GET, garbage].concat(), &["start", "GET /next", "end", "start", "failed ambiguous"]);
    }
}

#[test]
fn a_few_empty_lines_may_precede_a_request() {
    check(&format!("\r\n{GET}\r\n\r\n{GET}"), &["start", "GET /next", "end", "start", "GET /next", "end"]);
    let most = "\r\n".repeat(8);
    check(&[&most, GET, &most, GET].concat(), &["start", "GET /next", "end", "start", "GET /next", "end"]);
    check(&[&most, "\r\n", GET].concat(), &["not Other"]);
    check(&["\n", GET].concat(), &["not Other"]);
    check(&["\rx", GET].concat(), &["not Other"]);
}

#[test]
fn limits_are_exact() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "1;xx\r\ny\r\n0\r\nA: b\r\n\r\n";
    let exact = DecoderLimits {
        max_head_bytes: head.len(),
        max_trailer_bytes: "A: b\r\n\r\n".len(),
        max_chunk_extension: ";xx".len(),
        max_empty_lines: 1,
    };
    let input = format!("\r\n{head}{body}\r\n{head}{body}");
    let request = ["start", "POST /", "y", r#"trailers [(b"A", b"b")]"#, "end"];
    check_within(exact, input.as_bytes(), &request.repeat(2));
    let less = DecoderLimits { max_head_bytes: exact.max_head_bytes - 1, ..exact };
    check_within(less, input.as_bytes(), &["start", "failed head_too_large"]);
    let less = DecoderLimits { max_trailer_bytes: exact.max_trailer_bytes - 1, ..exact };
    check_within(less, input.as_bytes(), &["start", "POST /", "y", "failed head_too_large"]);
    let less = DecoderLimits { max_chunk_extension: exact.max_chunk_extension - 1, ..exact };
    check_within(less, input.as_bytes(), &["start", "POST /", "failed ambiguous"]);
    let less = DecoderLimits { max_empty_lines: 0, ..exact };
    check_within(less, input.as_bytes(), &["not Other"]);
}

#[test]
fn too_many_headers_are_too_large_a_head() {
    let lines = "A: b\r\n".repeat(crate::http::MAX_HEADERS);
    let (lines, _) = run(DecoderLimits::default(), [post(&lines, "").as_bytes()]);
    assert_eq!(lines, ["start", "failed head_too_large"]);
}

#[test]
fn a_reset_begins_anew() {
    let mut decoder = RequestDecoder::new(DecoderLimits::default());
    let mut log = Log::default();
    decoder.push(b"GET / HTTP/1.0\r\nA : b\r\n\r\n", |event| log.add(event));
    assert!(decoder.is_dead());
    decoder.reset();
    decoder.push(b"GET /a HT", |event| log.add(event));
    decoder.reset();
    assert_eq!(decoder.memory(), 0);
    decoder.push(GET.as_bytes(), |event| log.add(event));
    assert_eq!(log.lines, ["start", "failed ambiguous", "start", "start", "GET /next", "end"]);
}

#[test]
fn a_slow_head_is_held_and_given_back() {
    let (first, second) = GET.split_at(20);
    let (_, decoder) = run(DecoderLimits::default(), [first.as_bytes()]);
    assert!(decoder.memory() >= 20);
    let (_, decoder) = run(DecoderLimits::default(), [first.as_bytes(), second.as_bytes()]);
    assert_eq!(decoder.memory(), 0);
}

/// A request, or something close to one.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = || vec(any::<u8>(), 0..40);
    let with_length = (body(), -1..=1_isize, 0..8).prop_map(|(body, wrong, odds)| {
        // Now and then a length that is wrong.
        let length = if odds == 0 { body.len().saturating_add_signed(wrong) } else { body.len() };
        [post(&format!("Content-Length: {length}\r\n"), "").into_bytes(), body].concat()
    });
    let in_chunks = vec(body(), 0..4).prop_map(|chunks| {
        let mut bytes = chunked("").into_bytes();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            bytes.extend(format!("{:X};e\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\nT: t\r\n\r\n");
        bytes
    });
    prop_oneof![
        4 => Just(GET.as_bytes().to_vec()),
        4 => with_length,
        4 => in_chunks,
        1 => Just(b"\r\n".to_vec()),
        1 => Just(post("Connection: close\r\n", "").into_bytes()),
        1 => vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' ')], 0..30),
    ]
}

proptest! {
    #[test]
    fn events_do_not_depend_on_the_cut(
        requests in vec(request(), 1..5),
        flips in vec((any::<Index>(), any::<u8>()), 0..2),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let mut input = requests.concat();
        if !input.is_empty() {
            for (place, byte) in &flips {
                let place = place.index(input.len());
                input[place] = *byte;
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]);
        let limits = DecoderLimits::default();
        prop_assert_eq!(run(limits, parts).0, run(limits, [&input[..]]).0);
    }

    /// Well-formed requests come out as they went in, all of them.
    #[test]
    fn well_formed_requests_are_all_found(
        bodies in vec((vec(any::<u8>(), 0..60), any::<bool>(), 1..30_usize), 1..6),
    ) {
        let mut input = Vec::new();
        for (body, is_chunked, size) in &bodies {
            if *is_chunked {
                input.extend(chunked("").bytes());
                for chunk in body.chunks(*size) {
                    input.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    input.extend_from_slice(chunk);
                    input.extend(b"\r\n");
                }
                input.extend(b"0\r\n\r\n");
            } else {
                input.extend(post(&format!("Content-Length: {}\r\n", body.len()), "").bytes());
                input.extend(body);
            }
        }
        let mut found = Vec::new();
        let mut current = Vec::new();
        RequestDecoder::new(DecoderLimits::default()).push(&input, |event| match event {
            RequestEvent::Start | RequestEvent::Head(_) => {}
            RequestEvent::Body(bytes) => current.extend_from_slice(bytes),
            RequestEvent::End => found.push(std::mem::take(&mut current)),
            other => panic!("{other:?}"),
        });
        let sent: Vec<Vec<u8>> = bodies.into_iter().map(|(body, ..)| body).collect();
        prop_assert_eq!(found, sent);
    }
}
