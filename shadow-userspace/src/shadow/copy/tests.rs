//! What a copy holds before hyper writes it; `client` tests what arrives on the wire.

use super::*;
use crate::shadow::{host::SUFFIX, testing::copy};

fn head(raw: &str) -> RequestHead {
    RequestHead::parse(Bytes::copy_from_slice(raw.as_bytes())).unwrap()
}

fn try_copy(raw: &str, body: &'static str) -> Result<Request<CopyBody>, CopyError> {
    let upstream = "http://v2:80".parse().unwrap();
    copy(&head(raw), Bytes::from_static(body.as_bytes()), &[], &upstream, SUFFIX)
}

/// The copy's headers, one a line.
fn headers(raw: &str) -> String {
    let copy = try_copy(raw, "").unwrap();
    copy.headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.as_bytes().escape_ascii()))
        .collect()
}

#[test]
fn only_the_clients_connection_stays_behind() {
    let raw = "GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nConnection: keep-alive, X-Hop , te\r\nX-Hop: 1\r\n\
        Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nTrailer: X-Sum\r\n\
        Expect: 100-continue\r\naccept:  y  \r\nCookie: a=1\r\nEmpty:\r\nACCEPT: z\r\nCookie: b=2\r\n\
        Proxy-Authorization: Basic eA==\r\nAuthorization: Bearer x\r\n\r\n";
    // hyper groups the values of a name at the place of the first.
    assert_eq!(
        headers(raw),
        "host: a-shadow\naccept: x\naccept: y\naccept: z\ncookie: a=1\ncookie: b=2\nempty: \n\
         proxy-authorization: Basic eA==\nauthorization: Bearer x\nx-shadow-copy: 1\n"
    );
}

#[test]
fn connection_cannot_take_host_or_length_away() {
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: host, content-length\r\n\r\n";
    assert_eq!(headers(raw), "host: a-shadow\ncontent-length: 0\nx-shadow-copy: 1\n");
}

#[test]
fn an_absolute_target_names_the_host() {
    assert_eq!(
        headers("GET http://b:8080/ HTTP/1.1\r\nX: 1\r\nHost: a\r\n\r\n"),
        "x: 1\nhost: b-shadow:8080\nx-shadow-copy: 1\n"
    );
    assert_eq!(
        headers("GET http://b/ HTTP/1.0\r\nX: 1\r\n\r\n"),
        "host: b-shadow\nx: 1\nconnection: close\nx-shadow-copy: 1\n"
    );
}

#[test]
fn values_keep_every_byte() {
    let raw = b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\x80\ta\r\n\r\n";
    let head = RequestHead::parse(Bytes::from_static(raw)).unwrap();
    let copy = copy(&head, Bytes::new(), &[], &"http://v2".parse().unwrap(), SUFFIX).unwrap();
    assert_eq!(copy.headers()["x"].as_bytes(), b"\xff\x80\ta");
}

#[test]
fn what_cannot_be_said_exactly_is_refused() {
    for (raw, body, error) in [
        ("GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n", "", CopyError::Target(TargetError)),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "ab", CopyError::Length),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "ab", CopyError::Length),
    ] {
        assert_eq!(try_copy(raw, body).unwrap_err(), error, "{raw}");
    }
}

#[test]
fn copies_are_not_admitted_again() {
    for (raw, admitted) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", true),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Shadow-Copy: 1\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Shadow-Copy:\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a-shadow:8080\r\n\r\n", false),
        ("GET http://a-shadow/ HTTP/1.1\r\nHost: a\r\n\r\n", false),
    ] {
        assert_eq!(admit(&head(raw), &LoopGuard::default()).is_ok(), admitted, "{raw}");
    }
}
