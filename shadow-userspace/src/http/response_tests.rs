//! Tables of bytes in and events out. Every row runs whole, split at every byte, and byte by byte; and random responses
//! run in random cuts.

use super::*;

#[path = "response_random_tests.rs"]
mod random;

/// Events as text, neighbouring body pieces joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    lines: Vec<String>,
    in_body: bool,
    /// Final responses that have ended.
    ended: usize,
}

impl Log {
    fn add(&mut self, event: ResponseEvent<'_>) {
        let (line, is_body) = match event {
            ResponseEvent::Body(bytes) => {
                assert!(!bytes.is_empty());
                (bytes.escape_ascii().to_string(), true)
            }
            ResponseEvent::Interim(head) => (format!("interim {}", head.status()), false),
            ResponseEvent::Head(head) => (format!("{}", head.status()), false),
            ResponseEvent::Trailers(fields) => (format!("trailers {fields:?}"), false),
            ResponseEvent::Tunnel => ("tunnel".to_owned(), false),
            ResponseEvent::Failed(reason) => (format!("failed {}", reason.label()), false),
            ResponseEvent::End => {
                self.ended += 1;
                ("end".to_owned(), false)
            }
        };
        match self.lines.last_mut() {
            Some(last) if is_body && self.in_body => last.push_str(&line),
            _ => self.lines.push(line),
        }
        self.in_body = is_body;
    }
}

/// Decodes the parts as answers to `requests`, and as answers to other ones after them.
struct Run<'a> {
    decoder: ResponseDecoder,
    requests: &'a [ResponseTo],
    log: Log,
    /// Bytes that were left when nothing more was decoded.
    left: usize,
}

impl<'a> Run<'a> {
    fn new(limits: DecoderLimits, requests: &'a [ResponseTo]) -> Self {
        Self { decoder: ResponseDecoder::new(limits), requests, log: Log::default(), left: 0 }
    }

    fn push(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            let before = (input.len(), self.log.ended);
            let to = self.requests.get(self.log.ended).copied().unwrap_or(ResponseTo::Other);
            self.decoder.push(&mut input, to, |event| self.log.add(event));
            if self.decoder.is_dead() {
                self.left += input.len();
                break;
            }
            // It stops before the end of its input only behind a response.
            assert!(input.is_empty() || self.log.ended == before.1 + 1, "{before:?} {:?}", self.log);
        }
        if matches!(self.decoder.state, State::Start { .. } | State::UntilClose | State::Dead | State::Closed)
        {
            assert_eq!(self.decoder.memory(), 0);
        }
    }

    fn of<'b>(
        limits: DecoderLimits,
        requests: &'a [ResponseTo],
        parts: impl IntoIterator<Item = &'b [u8]>,
    ) -> Self {
        let mut run = Self::new(limits, requests);
        parts.into_iter().for_each(|part| run.push(part));
        run
    }

    fn finish(mut self) -> Vec<String> {
        self.decoder.finish(|event| self.log.add(event));
        assert!(self.decoder.is_dead());
        self.log.lines
    }
}

fn check_within(limits: DecoderLimits, requests: &[ResponseTo], input: &[u8], expected: &[&str]) {
    let whole = Run::of(limits, requests, [input]);
    let (dead, idle, after) =
        (whole.decoder.is_dead(), whole.decoder.is_idle(), whole.decoder.bytes_after_last());
    assert_eq!(whole.finish(), expected, "{}", input.escape_ascii());
    let mut others: Vec<Vec<&[u8]>> = vec![input.chunks(1).collect()];
    others.extend((1..input.len()).map(|cut| vec![&input[..cut], &input[cut..]]));
    for parts in others {
        let cut = parts[0].len();
        let other = Run::of(limits, requests, parts);
        assert_eq!((other.decoder.is_dead(), other.decoder.is_idle()), (dead, idle), "cut after {cut}");
        assert_eq!(other.decoder.bytes_after_last(), after);
        assert_eq!(other.finish(), expected, "{} cut after {cut}", input.escape_ascii());
    }
}

/// Runs answers to these requests, with the end of the connection behind them.
fn check_to(requests: &[ResponseTo], input: &str, expected: &[&str]) {
    check_within(DecoderLimits::default(), requests, input.as_bytes(), expected);
}

/// Runs answers to GET.
fn check(input: &str, expected: &[&str]) {
    check_to(&[], input, expected);
}

/// A 200 with these header lines.
fn ok(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}")
}

fn chunked(body: &str) -> String {
    ok("Transfer-Encoding: chunked\r\n", body)
}

const EMPTY: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

#[test]
fn responses_follow_each_other() {
    check(EMPTY, &["201", "end"]);
    check(&EMPTY.repeat(2), &["201", "end", "201", "end"]);
    check(&(ok("Content-Length: 5\r\n", "hello") + EMPTY), &["200", "hello", "end", "201", "end"]);
    check(&(chunked("5\r\nhello\r\n0\r\n\r\n") + EMPTY), &["200", "hello", "end", "201", "end"]);
    check(&("HTTP/1.1 204 No Content\r\n\r\n".to_owned() + EMPTY), &["204", "end", "201", "end"]);
    let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
    check(&(not_modified.to_owned() + EMPTY), &["304", "end", "201", "end"]);
}

#[test]
fn answers_to_head_have_no_body() {
    use ResponseTo::{Head, Other};
    for lines in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        check_to(&[Head, Other], &(ok(lines, "") + EMPTY), &["200", "end", "201", "end"]);
    }
    let answers = ok("Content-Length: 5\r\n", "hello") + &ok("Content-Length: 5\r\n", "") + EMPTY;
    check_to(&[Other, Head], &answers, &["200", "hello", "end", "200", "end", "201", "end"]);
}

#[test]
fn without_the_method_only_answers_that_have_no_body_either_way_have_an_end() {
    let unknown = [ResponseTo::Unknown];
    for lines in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        check_to(&unknown, &(ok(lines, "") + EMPTY), &["200", "failed ambiguous"]);
    }
    for status in ["200 OK\r\nContent-Length: 0", "204 No", "304 Not\r\nContent-Length: 5"] {
        let answer = format!("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 {status}\r\n\r\n");
        check_to(&unknown, &answer, &["interim 100", &status[..3], "end"]);
    }
    check_to(&unknown, "HTTP/1.1 101 S\r\n\r\n", &["failed ambiguous"]);
}

#[test]
fn interim_responses_precede_the_final_one() {
    use ResponseTo::{Connect, Head, Upgrade};
    let early =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 0\r\n\r\n";
    check(&(early.to_owned() + EMPTY), &["interim 100", "interim 103", "201", "end"]);
    check_to(
        &[Head],
        &(early.to_owned() + &ok("Content-Length: 1\r\n", "")),
        &["interim 100", "interim 103", "200", "end"],
    );
    check_to(
        &[Connect],
        &(early.to_owned() + &ok("", "x")),
        &["interim 100", "interim 103", "200", "tunnel"],
    );
    let switch = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n\0\r\n";
    check_to(&[Upgrade], switch, &["interim 100", "101", "tunnel"]);
    // `Connection: close` of an interim response says nothing of the final one.
    let close = "HTTP/1.1 100 C\r\nConnection: close\r\n\r\n";
    check(&(close.to_owned() + EMPTY + EMPTY), &["interim 100", "201", "end", "201", "end"]);
    check("HTTP/1.1 199 X\r\nContent-Length: 1\r\n\r\nx", &["failed ambiguous"]);
    let others = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 X\r\n\r\n";
    check(&(others.to_owned() + EMPTY), &["interim 102", "interim 199", "201", "end"]);
}

#[test]
fn tunnels_are_not_followed() {
    use ResponseTo::{Connect, Other, Upgrade};
    check_to(&[Connect], &ok("Content-Length: 5\r\n", "hello"), &["200", "tunnel"]);
    check_to(&[Connect], &("HTTP/1.1 204 X\r\n\r\n".to_owned() + EMPTY), &["204", "tunnel"]);
    check_to(&[Upgrade], "HTTP/1.1 101 S\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &["101", "tunnel"]);
    // What a service declined is a response like others.
    let declined = "HTTP/1.1 407 A\r\nContent-Length: 2\r\n\r\nno";
    check_to(&[Connect, Other], &(declined.to_owned() + EMPTY), &["407", "no", "end", "201", "end"]);
    check_to(&[Upgrade, Other], &(EMPTY.to_owned() + EMPTY), &["201", "end", "201", "end"]);
    for to in [Connect, Other, ResponseTo::Head] {
        check_to(&[to], "HTTP/1.1 101 S\r\n\r\n", &["failed ambiguous"]);
    }
    let run = Run::of(DecoderLimits::default(), &[Connect], [ok("", "ab").as_bytes(), b"cde"]);
    assert_eq!(run.left, 5);
}

#[test]
fn bodies_end_with_the_connection() {
    check(&ok("", "hello"), &["200", "hello", "end"]);
    check(&ok("Transfer-Encoding: gzip\r\n", "hello"), &["200", "hello", "end"]);
    check("HTTP/1.0 200 OK\r\n\r\nhello\r\nHTTP/1.0 ", &["200", "hello\\r\\nHTTP/1.0 ", "end"]);
    check(&ok("", ""), &["200", "end"]);
    let mut run = Run::of(DecoderLimits::default(), &[], [ok("", "hello").as_bytes()]);
    assert_eq!(run.log.lines, ["200", "hello"]);
    run.decoder.finish(|event| run.log.add(event));
    run.decoder.finish(|event| run.log.add(event));
    assert_eq!(run.log.lines, ["200", "hello", "end"]);
}

#[test]
fn unfinished_responses_have_no_end() {
    for input in ["H", "HTTP/1.", "HTTP/1.1 200 OK\r\nA: b\r\n\r"] {
        check(input, &[]);
    }
    check("HTTP/1.1 100 C\r\n\r\n", &["interim 100"]);
    check(&ok("Content-Length: 6\r\n", "hello"), &["200", "hello"]);
    check(&ok("Content-Length: 6\r\n", ""), &["200"]);
    check(&chunked("5\r\nhello\r\n0\r\n"), &["200", "hello"]);
    check(&chunked("5\r\nhello\r\n0\r\nA: b\r\n"), &["200", "hello"]);
    check(&chunked("5\r\nhel"), &["200", "hel"]);
}

#[test]
fn nothing_follows_the_last_response() {
    for last in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 X\r\nConnection: a, close\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let status = if last.contains("304") { "304" } else { "200" };
        check(&(last.to_owned() + EMPTY), &[status, "end"]);
        let run = Run::of(DecoderLimits::default(), &[], [last, EMPTY, "xy"].map(str::as_bytes));
        assert_eq!((run.decoder.bytes_after_last(), run.left), (EMPTY.len() as u64 + 2, 0));
    }
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab";
    check(&(old.to_owned() + EMPTY), &["200", "ab", "end", "201", "end"]);
}

#[test]
fn one_empty_line_may_follow_a_response() {
    let body = ok("Content-Length: 2\r\n", "ab");
    check(&format!("{body}\r\n{EMPTY}\r\n"), &["200", "ab", "end", "201", "end"]);
    for wrong in ["\r\n\r\n", "\n", "\r\r\n", "\rH", " \r\n", "\r\nX", "ab", "\r", "HT", "\r\nHT"] {
        check(&[&body, wrong, EMPTY].concat(), &["200", "ab", "end", "failed ambiguous"]);
    }
    check(&[&body, "HT\r\n", &EMPTY[2..]].concat(), &["200", "ab", "end", "failed ambiguous"]);
    check(&["\r\n", EMPTY].concat(), &["failed ambiguous"]);
    check(&["HTTP/1.1 100 C\r\n\r\n\r\n", EMPTY].concat(), &["interim 100", "failed ambiguous"]);
}

#[test]
fn other_bytes_fail_at_once() {
    for input in ["\0", "HTTP/2.0 200 OK\r\n\r\n", "HTTQ", "http/1.1", "220 mail", "<html>", "\n", "I"] {
        check(input, &["failed ambiguous"]);
    }
}

#[test]
fn doubtful_heads_are_ambiguous() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "A: b\r\n c\r\n",
        "A: b\n",
        "A: b\rc\r\n",
        "A: b\0\r\n",
    ] {
        check(&(ok(lines, "") + EMPTY), &["failed ambiguous"]);
        check_to(&[ResponseTo::Head], &(ok(lines, "") + EMPTY), &["failed ambiguous"]);
    }
    check("HTTP/1.1 200 OK\nA: b\n\n", &["failed ambiguous"]);
    check("HTTP/1.3 200 OK\r\n\r\n", &["failed ambiguous"]);
    check("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &["failed ambiguous"]);
    check("HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &["failed ambiguous"]);
}

#[test]
fn doubtful_chunks_are_ambiguous() {
    for body in ["\r\n", "g\r\n", "-1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\n", "00000000000000001\r\n"] {
        check(&chunked(body), &["200", "failed ambiguous"]);
    }
    check(&chunked("1\r\nxy"), &["200", "x", "failed ambiguous"]);
    for trailers in ["A : b\r\n\r\n", "A: b\n\r\n", "Content-Length: 5\r\n\r\n"] {
        check(&chunked(&format!("0\r\n{trailers}")), &["200", "failed ambiguous"]);
    }
    check(&chunked("1;a\r\nx\r\n0\r\nA: b \r\n\r\n"), &["200", "x", r#"trailers [(b"A", b"b")]"#, "end"]);
}

#[test]
fn limits_are_exact() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "1;xx\r\ny\r\n0\r\nA: b\r\n\r\n";
    let exact = DecoderLimits {
        max_head_bytes: head.len(),
        max_trailer_bytes: "A: b\r\n\r\n".len(),
        max_chunk_extension: ";xx".len(),
        max_empty_lines: 0,
    };
    let input = format!("{head}{body}\r\n{head}{body}");
    let response = ["200", "y", r#"trailers [(b"A", b"b")]"#, "end"];
    check_within(exact, &[], input.as_bytes(), &response.repeat(2));
    let less = DecoderLimits { max_head_bytes: exact.max_head_bytes - 1, ..exact };
    check_within(less, &[], input.as_bytes(), &["failed head_too_large"]);
    let less = DecoderLimits { max_trailer_bytes: exact.max_trailer_bytes - 1, ..exact };
    check_within(less, &[], input.as_bytes(), &["200", "y", "failed head_too_large"]);
    let less = DecoderLimits { max_chunk_extension: exact.max_chunk_extension - 1, ..exact };
    check_within(less, &[], input.as_bytes(), &["200", "failed ambiguous"]);
    let many = ok(&"A: b\r\n".repeat(crate::http::MAX_HEADERS + 1), "");
    let run = Run::of(DecoderLimits::default(), &[], [many.as_bytes()]);
    assert_eq!(run.log.lines, ["failed head_too_large"]);
}

/// Missing bytes at every place of a message: only within a body of known length, or one that the connection's end
/// ends, do the ones behind them have a place.
#[test]
fn missing_bytes_are_skipped_within_a_body_only() {
    let head = ok("Content-Length: 6\r\n", "").len();
    let message = ok("Content-Length: 6\r\n", "abcdef") + EMPTY;
    for at in 0..=message.len() {
        for missing in 1..=message.len() - at {
            let mut run = Run::of(DecoderLimits::default(), &[], [&message.as_bytes()[..at]]);
            let goes_on = run.decoder.skip(missing as u64, |event| run.log.add(event));
            assert_eq!(goes_on, at >= head && at + missing <= head + 6, "{missing} at {at}");
            assert_eq!(run.decoder.is_dead(), !goes_on);
            let is_complete = run.decoder.is_idle() && run.log.ended == 1;
            run.push(&message.as_bytes()[at + missing..]);
            if goes_on {
                // Where the last bytes are missing, nothing more has to come for the end.
                assert_eq!(is_complete, at + missing == head + 6);
                let seen = format!("{}{}", &message[head..at], &message[at + missing..head + 6]);
                let lines: Vec<&str> = run.log.lines.iter().map(String::as_str).collect();
                assert_eq!((lines[0], lines[1..lines.len() - 3].concat()), ("200", seen));
                assert_eq!(lines[lines.len() - 3..], ["end", "201", "end"]);
            }
        }
    }
}

#[test]
fn missing_bytes_of_other_bodies() {
    let limits = DecoderLimits::default();
    let mut run = Run::of(limits, &[], [ok("", "ab").as_bytes()]);
    assert!(run.decoder.skip(1 << 40, |event| run.log.add(event)));
    run.push(b"cd");
    assert_eq!(run.finish(), ["200", "abcd", "end"]);
    for body in ["", "5", "5\r\n", "5\r\nhe", "5\r\nhello", "0\r\n", "0\r\nA"] {
        let mut run = Run::of(limits, &[], [chunked(body).as_bytes()]);
        assert!(!run.decoder.skip(1, |event| run.log.add(event)), "{body}");
        run.push(b"llo\r\n0\r\n\r\n");
        assert!(
            run.decoder.is_dead() && run.decoder.memory() == 0 && !run.log.lines.contains(&"end".to_owned())
        );
    }
}

#[test]
fn a_reset_begins_anew() {
    let mut run = Run::of(DecoderLimits::default(), &[], [&b"nonsense"[..]]);
    run.decoder.reset();
    run.push(b"HTTP/1.1 200 O");
    run.decoder.reset();
    assert!(run.decoder.is_idle() && run.decoder.memory() == 0);
    run.push(b"HTTP/1.0 201 Created\r\n\r\n");
    run.decoder.finish(|event| run.log.add(event));
    run.decoder.reset();
    run.push(EMPTY.as_bytes());
    assert_eq!(run.log.lines, ["failed ambiguous", "201", "end", "201", "end"]);
    assert!(run.decoder.is_idle());
    // What precedes is forgotten, so no empty line is one too many behind it.
    run.decoder.reset();
    run.push(b"\r\n");
    assert!(run.decoder.is_dead());
}

#[test]
fn the_next_response_is_begun_by_its_first_byte() {
    for (begun, is_idle) in [("", true), ("\r", false), ("\r\n", true), ("\r\nH", false), ("H", false)] {
        let run = Run::of(DecoderLimits::default(), &[], [EMPTY.as_bytes(), begun.as_bytes()]);
        assert_eq!(run.decoder.is_idle(), is_idle, "{begun:?}");
    }
}

#[test]
fn a_slow_head_or_trailer_section_is_held_and_given_back() {
    let (first, second) = EMPTY.as_bytes().split_at(20);
    let mut run = Run::of(DecoderLimits::default(), &[], [first]);
    assert!(run.decoder.memory() >= 20 && !run.decoder.is_idle());
    run.push(second);
    assert_eq!(run.decoder.memory(), 0);
    let mut run = Run::of(DecoderLimits::default(), &[], [chunked("0\r\nA: bcdefg").as_bytes()]);
    assert!(run.decoder.memory() >= "A: bcdefg".len());
    run.push(b"\r\n\r\n");
    assert_eq!(run.decoder.memory(), 0);
}
