//! Heads that are taken, and what is told of them; heads that are not.

use super::*;
use crate::ledger::DropReason;

fn parse(head: &[u8]) -> Result<ResponseHead, HeadError> {
    ResponseHead::parse(head.to_vec())
}

/// A response of this status with these header lines.
fn with(status: u16, lines: &str) -> Result<ResponseHead, HeadError> {
    parse(format!("HTTP/1.1 {status} X\r\n{lines}\r\n").as_bytes())
}

#[test]
fn parts_are_as_sent() {
    let text = b"HTTP/1.0 404 Not  \xe9 found\r\nX-A:  one \r\nEmpty:\r\nx-a:\ttwo\t2\t\r\nBin: \xe9\r\n\r\n";
    let head = parse(text).unwrap();
    assert_eq!(head.raw(), &text[..]);
    assert_eq!((head.version(), head.status()), (Version::Http10, 404));
    assert_eq!(head.reason(), b"Not  \xe9 found");
    let headers: Vec<_> = head.headers().collect();
    let expected: [(&[u8], &[u8]); 4] =
        [(b"X-A", b"one"), (b"Empty", b""), (b"x-a", b"two\t2"), (b"Bin", b"\xe9")];
    assert_eq!(headers, expected);
    assert_eq!(head.header("X-a"), Some(&b"one"[..]));
    assert_eq!(head.header_values("x-A").collect::<Vec<_>>(), [&b"one"[..], b"two\t2"]);
    assert_eq!(head.header("x-b"), None);
    // Of each header it is kept where name and value lie.
    assert!(head.memory() >= text.len() + 4 * size_of::<[Part; 2]>());
}

#[test]
fn the_reason_may_be_empty_or_missing() {
    for (line, reason) in [
        ("HTTP/1.1 200 OK", "OK"),
        ("HTTP/1.1 200 ", ""),
        ("HTTP/1.1 200", ""),
        ("HTTP/1.1 200  ", " "),
        ("HTTP/1.1 200 a\tb", "a\tb"),
    ] {
        for lines in ["", "A: b\r\n"] {
            let head = parse(format!("{line}\r\n{lines}\r\n").as_bytes()).unwrap();
            assert_eq!((head.status(), head.reason()), (200, reason.as_bytes()), "{line}");
        }
    }
}

#[test]
fn framing_follows_request_status_and_fields() {
    use ResponseFraming::{Chunked, Close, Length, None, Tunnel};
    use ResponseTo::{Connect, Head, Other, Upgrade};
    for (to, status, lines, framing) in [
        (Other, 200, "", Close),
        (Other, 200, "Content-Length: 0\r\n", Length(0)),
        (Other, 200, "content-length: 007\r\n", Length(7)),
        (Other, 200, "Transfer-Encoding: Chunked\r\n", Chunked),
        (Other, 200, "Transfer-Encoding: gzip\r\n", Close),
        (Other, 200, "Transfer-Encoding: gzip , x-a\r\nTransfer-Encoding: deflate\r\n", Close),
        (Other, 200, "Host: a\r\nHost: b c\r\n", Close),
        (Other, 205, "", Close),
        (Other, 999, "Content-Length: 1\r\n", Length(1)),
        (Head, 200, "Content-Length: 7\r\n", None),
        (Head, 200, "Transfer-Encoding: chunked\r\n", None),
        (Head, 404, "", None),
        (Other, 204, "", None),
        (Other, 204, "Content-Length: 0\r\n", None),
        (Other, 304, "Content-Length: 7\r\n", None),
        (Other, 304, "Transfer-Encoding: chunked\r\n", None),
        (Other, 100, "", None),
        (Head, 103, "", None),
        (Upgrade, 100, "", None),
        (Upgrade, 101, "", Tunnel),
        (Upgrade, 200, "Content-Length: 7\r\n", Length(7)),
        (Connect, 200, "", Tunnel),
        (Connect, 204, "", Tunnel),
        (Connect, 299, "Content-Length: 7\r\n", Tunnel),
        (Connect, 200, "Transfer-Encoding: chunked\r\n", Tunnel),
        (Connect, 199, "", None),
        (Connect, 300, "Content-Length: 7\r\n", Length(7)),
        (Connect, 302, "Content-Length: 7\r\n", Length(7)),
        (Connect, 407, "", Close),
    ] {
        let head = with(status, lines).unwrap();
        assert_eq!(head.framing(to), Ok(framing), "{to:?} {status} {lines}");
    }
    for to in [Other, Head, Connect] {
        assert_eq!(with(101, "").unwrap().framing(to), Err(HeadError::Unasked));
    }
    assert_eq!(HeadError::Unasked.drop_reason(), DropReason::Ambiguous);
}

#[test]
fn doubtful_framing_is_an_error() {
    use HeadError::{ContentLength, TransferEncoding};
    for (status, lines, error) in [
        (200, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        (200, "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", TransferEncoding),
        (200, "Transfer-Encoding: identity\r\nContent-Length: 5\r\n", TransferEncoding),
        (200, "Content-Length: 5\r\nContent-Length: 6\r\n", ContentLength),
        (200, "Content-Length: 5\r\nContent-Length: 5\r\n", ContentLength),
        (200, "Content-Length: 5, 5\r\n", ContentLength),
        (200, "Content-Length:\r\n", ContentLength),
        (200, "Content-Length: +5\r\n", ContentLength),
        (200, "Content-Length: 1f\r\n", ContentLength),
        (200, "Content-Length: 18446744073709551616\r\n", ContentLength),
        (200, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        (200, "Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
        (200, "Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
        (200, "Transfer-Encoding: chunked, gzip\r\n", TransferEncoding),
        (200, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        (200, "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", TransferEncoding),
        (200, "Transfer-Encoding: xCHUNKED\r\n", TransferEncoding),
        (200, "Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        (200, "Transfer-Encoding: chunked;a=b\r\n", TransferEncoding),
        (200, "Transfer-Encoding: gzip;a=b\r\n", TransferEncoding),
        (200, "Transfer-Encoding: gzip deflate\r\n", TransferEncoding),
        (200, "Transfer-Encoding: gzip,\r\n", TransferEncoding),
        (200, "Transfer-Encoding:\r\n", TransferEncoding),
        (204, "Content-Length: 5\r\n", ContentLength),
        (204, "Transfer-Encoding: chunked\r\n", TransferEncoding),
        (100, "Content-Length: 5\r\n", ContentLength),
        (103, "Transfer-Encoding: gzip\r\n", TransferEncoding),
    ] {
        assert_eq!(with(status, lines).unwrap_err(), error, "{status} {lines}");
    }
    for coding in ["chunked", "gzip"] {
        let old = parse(format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n").as_bytes());
        assert_eq!(old.unwrap_err(), TransferEncoding);
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
        "A: b\n",
        "A:\n",
        "A: b\rc: d\r\n",
        "A: b\0\r\n",
        "A: b\u{7f}\r\n",
        "A\u{e9}: b\r\n",
        "A\r\n",
        ": b\r\n",
    ] {
        assert_eq!(with(200, lines).unwrap_err(), HeadError::Syntax, "{lines:?}");
    }
    for line in [
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK",
        "\nHTTP/1.1 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200 OK\r",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 OK",
        "HTTP/1.1",
        "",
    ] {
        for lines in ["", "A: b\r\n"] {
            let head = format!("{line}\r\n{lines}\r\n");
            assert_eq!(parse(head.as_bytes()).unwrap_err(), HeadError::Syntax, "{head:?}");
        }
    }
}

#[test]
fn only_a_whole_head_is_one() {
    let whole = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    assert!(parse(whole.as_bytes()).is_ok());
    for length in 0..whole.len() {
        assert_eq!(parse(&whole.as_bytes()[..length]).unwrap_err(), HeadError::Syntax, "{length}");
    }
    for wrong in [
        format!("{whole}x"),
        whole.replace("\r\n", "\n"),
        whole.replacen("\r\n", "\n", 1),
        whole.replace("b\r\n", "b\n"),
        whole.replace("\r\n\r\n", "\r\n\n"),
        whole.replace("\r\n\r\n", "\n\r\n"),
        "HTTP/1.1 200 OK\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\n\n".to_owned(),
    ] {
        assert_eq!(parse(wrong.as_bytes()).unwrap_err(), HeadError::Syntax, "{wrong:?}");
    }
}

#[test]
fn the_connection_may_go_on() {
    for (head, keeps_alive) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: y, CLOSE\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        assert_eq!(parse(head.as_bytes()).unwrap().keeps_alive(), keeps_alive, "{head:?}");
    }
}

#[test]
fn headers_are_counted() {
    let lines = "A: b\r\n".repeat(MAX_HEADERS);
    assert_eq!(with(200, &lines).unwrap().headers().count(), MAX_HEADERS);
    let error = with(200, &format!("{lines}A: b\r\n")).unwrap_err();
    assert_eq!((error, error.drop_reason()), (HeadError::TooManyHeaders, DropReason::HeadTooLarge));
}
