//! Segments, and what is said about them.

use super::*;

const TIME: Duration = Duration::from_secs(2);

type Segment = (u16, u16, &'static [u8]);

const GET: Segment = (4000, 80, b"GET / HTTP/1.1\r\n");
const OK: Segment = (80, 4000, b"HTTP/1.1 200 OK\r\n");
const HELLO: Segment = (4000, 80, &[0x16, 3, 1, 2, 0, 1]);
const PREFACE: Segment = (4000, 80, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const ACK: Segment = (80, 4000, b"");
const ELSEWHERE: Segment = (4000, 81, b"GET / HTTP/1.1\r\n");
/// A client's own port may be a service port elsewhere: its requests are none to this one.
const FROM: Segment = (80, 81, b"GET / HTTP/1.1\r\n");

fn judged(segments: &[Segment]) -> Check {
    let mut tally = Tally::default();
    for &(source, destination, payload) in segments {
        tally.add(80, &Seen { source, destination, payload });
    }
    judge("eth0 port 80", &tally, TIME)
}

#[test]
fn plaintext_requests_are_what_is_wanted() {
    for (segments, found) in [
        (&[GET, ACK, OK][..], "plaintext HTTP/1 in 2s: 1 HTTP/1 requests, 1 HTTP/1 answers"),
        (&[GET, HELLO, GET], "plaintext HTTP/1 in 2s: 2 HTTP/1 requests, 1 TLS segments"),
    ] {
        assert_eq!(judged(segments), Check::ok("eth0 port 80", found));
    }
}

#[test]
fn everything_else_is_a_warning() {
    for (segments, found, advice) in [
        (&[OK][..], "only answers in 2s: 1 HTTP/1 answers", "come another way"),
        (&[PREFACE], "HTTP/2 in 2s: 1 HTTP/2 segments", "left alone"),
        (&[HELLO, ACK], "only TLS in 2s: 1 TLS segments", "behind the TLS termination"),
        (&[(4000, 80, b"hello")], "no HTTP in 2s: 1 other segments", "right port"),
        (&[ACK], "no HTTP in 2s: 1 segments without payload", "right port"),
        (&[FROM], "no HTTP in 2s: 1 other segments", "right port"),
        (&[ELSEWHERE], "nothing in 2s", "right interface"),
    ] {
        let check = judged(segments);
        assert_eq!((check.verdict.status(), check.found.as_str()), ("warning", found));
        assert!(check.verdict.advice().is_some_and(|words| words.contains(advice)), "{check:?}");
    }
}

#[test]
fn not_being_allowed_to_look_is_no_problem() {
    let denied = blind("eth0 port 80", &io::ErrorKind::PermissionDenied.into());
    assert_eq!(denied.verdict.status(), "warning");
    assert!(denied.verdict.advice().is_some_and(|advice| advice.contains("CAP_NET_RAW")));
    assert_eq!(blind("a", &io::ErrorKind::NotConnected.into()).verdict.status(), "warning");
}
