//! Heads that are taken, and what is told of them; heads that are not.

use super::*;
use crate::ledger::DropReason;

fn parse(head: &str) -> Result<RequestHead, HeadError> {
    RequestHead::parse(head.to_owned())
}

/// A GET with these header lines and a Host.
fn with(lines: &str) -> Result<RequestHead, HeadError> {
    parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn parts_are_as_sent() {
    let text = "PUT /a?b=%20c HTTP/1.1\r\nhOST: a.example:80\r\nX-A:  one \r\nEmpty:\r\nx-a:\ttwo\t2\t\r\nBin: \u{e9}\r\n\r\n";
    let head = parse(text).unwrap();
    assert_eq!(head.raw(), text);
    assert_eq!((head.method(), head.target(), head.version()), ("PUT", "/a?b=%20c", Version::Http11));
    let headers: Vec<_> = head.headers().collect();
    let expected: [(&[u8], &[u8]); 5] = [
        (b"hOST", b"a.example:80"),
        (b"X-A", b"one"),
        (b"Empty", b""),
        (b"x-a", b"two\t2"),
        (b"Bin", "\u{e9}".as_bytes()),
    ];
    assert_eq!(headers, expected);
    assert_eq!(head.header("host"), Some(&b"a.example:80"[..]));
    assert_eq!(head.header("X-a"), Some(&b"one"[..]));
    assert_eq!(head.header_values("x-A").collect::<Vec<_>>(), [&b"one"[..], b"two\t2"]);
    assert_eq!(head.header("x-b"), None);
    assert!(head.memory() >= text.len());
}

#[test]
fn framing_follows_the_fields() {
    for (lines, framing) in [
        ("", BodyFraming::None),
        ("Content-Length: 0\r\n", BodyFraming::Length(0)),
        ("content-length: 007\r\n", BodyFraming::Length(7)),
        ("Content-Length:\t18446744073709551615 \r\n", BodyFraming::Length(u64::MAX)),
        ("Transfer-Encoding: Chunked\r\n", BodyFraming::Chunked),
        ("X-Content-Length: 5\r\nContent_Length: 5\r\n", BodyFraming::None),
        // As long as those that matter.
        ("From: b c\r\nAccept-Charset: 5\r\n", BodyFraming::None),
        ("If-Modified-Since: chunked\r\nContent-Length: 7\r\n", BodyFraming::Length(7)),
    ] {
        assert_eq!(with(lines).map(|head| head.framing()), Ok(framing), "{lines}");
    }
}

#[test]
fn doubtful_framing_is_an_error() {
    use HeadError::{ContentLength, Host, TransferEncoding};
    for (lines, error) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", TransferEncoding),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", ContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", ContentLength),
        ("Content-Length: 5, 5\r\n", ContentLength),
        ("Content-Length:\r\n", ContentLength),
        ("Content-Length: +5\r\n", ContentLength),
        ("Content-Length: -5\r\n", ContentLength),
        ("Content-Length: 0x5\r\n", ContentLength),
        ("Content-Length: a\r\n", ContentLength),
        ("Content-Length: 5 0\r\n", ContentLength),
        ("Content-Length: 5;\r\n", ContentLength),
        ("Content-Length: 18446744073709551616\r\n", ContentLength),
        ("Content-Length: 99999999999999999990\r\n", ContentLength),
        ("Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked, identity\r\n", TransferEncoding),
        ("Transfer-Encoding: identity\r\n", TransferEncoding),
        ("Transfer-Encoding:\r\n", TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        ("Host: b\r\n", Host),
    ] {
        assert_eq!(with(lines).unwrap_err(), error, "{lines}");
        assert_eq!(error.drop_reason(), DropReason::Ambiguous);
    }
}

#[test]
fn grammar_is_taken_literally() {
    for lines in [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        "A: b\nc: d\r\n",
        "A: b\rc: d\r\n",
        "A: b\r\rc: d\r\n",
        "A: b\0\r\n",
        "A: \u{1}\r\n",
        "A: b\u{7f}\r\n",
        "A\u{e9}: b\r\n",
        "A(b): c\r\n",
        "A\r\n",
        ": b\r\n",
    ] {
        assert_eq!(with(lines).unwrap_err(), HeadError::Syntax, "{lines:?}");
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "\r\nGET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / HTTP/1.1\r",
        "GET /",
        "GET HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "",
    ] {
        assert_eq!(parse(&format!("{line}\r\nHost: a\r\n\r\n")).unwrap_err(), HeadError::Syntax, "{line:?}");
    }
}

#[test]
fn only_a_whole_head_is_one() {
    let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(parse(whole).is_ok());
    for length in 0..whole.len() {
        assert_eq!(parse(&whole[..length]).unwrap_err(), HeadError::Syntax, "{length}");
    }
    assert_eq!(parse(&format!("{whole}x")).unwrap_err(), HeadError::Syntax);
    assert_eq!(parse(&whole.replace("\r\n", "\n")).unwrap_err(), HeadError::Syntax);
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a\n\r\n").unwrap_err(), HeadError::Syntax);
}

#[test]
fn host_is_one_and_a_host() {
    for (host, is_ok) in [
        ("a", true),
        ("a.example:8080", true),
        ("[::1]:80", true),
        ("", true),
        ("a, b", false),
        ("a b", false),
        ("a,b", false),
        ("a/b", false),
        ("user@a", false),
        ("\u{e9}", false),
    ] {
        let head = parse(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(head.is_ok(), is_ok, "{host}");
    }
    assert_eq!(parse("GET / HTTP/1.1\r\n\r\n").unwrap_err(), HeadError::Host);
    assert_eq!(parse("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n").unwrap_err(), HeadError::Host);
}

#[test]
fn the_old_version_has_no_chunks_and_needs_no_host() {
    let head = parse("POST / HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!((head.version(), head.framing()), (Version::Http10, BodyFraming::Length(1)));
    assert!(head.keeps_alive());
    assert!(!parse("GET / HTTP/1.0\r\n\r\n").unwrap().keeps_alive());
    assert!(!parse("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").unwrap().keeps_alive());
    let chunked = parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(chunked.unwrap_err(), HeadError::TransferEncoding);
}

#[test]
fn connection_options_are_a_list() {
    for (lines, keeps_alive, upgrade) in [
        ("", true, false),
        ("Connection: keep-alive\r\n", true, false),
        ("Connection: CLOSE\r\n", false, false),
        ("Connection: te ,close\r\n", false, false),
        ("Connection: te\r\nConnection: close\r\n", false, false),
        ("Connection: closed\r\n", true, false),
        ("Upgrade: websocket\r\n", true, false),
        ("Connection: upgrade\r\n", true, false),
        ("Connection: upgrade\r\nExpires: websocket\r\nKeep-Alive: close\r\n", true, false),
        ("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n", true, true),
    ] {
        let head = with(lines).unwrap();
        assert_eq!((head.keeps_alive(), head.asks_for_upgrade()), (keeps_alive, upgrade), "{lines}");
    }
}

#[test]
fn headers_are_counted() {
    let lines = "A: b\r\n".repeat(MAX_HEADERS - 1);
    assert_eq!(with(&lines).unwrap().headers().count(), MAX_HEADERS);
    let error = with(&format!("{lines}A: b\r\n")).unwrap_err();
    assert_eq!((error, error.drop_reason()), (HeadError::TooManyHeaders, DropReason::HeadTooLarge));
}
