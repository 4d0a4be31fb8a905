//! What a copy holds before hyper writes it; `client` tests what arrives on the wire.

mod envoy;
mod policy;
mod random;

use std::net::Ipv4Addr;

use http::{HeaderMap, HeaderName};
use http_body_util::BodyExt as _;

use super::*;
use crate::shadow::{
    copy::{host::SUFFIX, policy::HostRule},
    testing::copy,
};

/// What is sent: request line, headers, body and trailers, each header a line.
fn sent(
    raw: &str,
    body: &str,
    trailers: &[(&'static str, &'static str)],
    policy: &CopyPolicy,
) -> Result<String, CopyError> {
    let trailers: Vec<_> = trailers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (parts, body) = whole(&head(raw), body, &trailers, "192.0.2.7".parse().unwrap(), policy)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(body.collect()).unwrap();
    let trailers = body.trailers().map(lines).unwrap_or_default();
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    Ok(format!("{} {}\n{}\n{body}{trailers}", parts.method, parts.uri, lines(&parts.headers)))
}

/// The same of a GET, without the loop header.
fn get(target: &str, headers: &str, policy: &CopyPolicy) -> String {
    let sent = sent(&format!("GET {target} HTTP/1.1\r\n{headers}\r\n"), "", &[], policy).unwrap();
    sent.replace("x-shadow-copy: 1\n\n", "")
}

fn lines(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.as_bytes().escape_ascii())).collect()
}

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
    lines(copy.headers())
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

#[test]
fn a_loop_is_told_by_the_configured_header_and_suffixes() {
    let suffixes = vec!["-canary".to_owned(), "-v2".to_owned()];
    let guard = LoopGuard { header: HeaderName::from_static("x-mirrored"), suffixes };
    for (target, headers, admitted) in [
        ("/", "Host: a-shadow\r\nX-Shadow-Copy: 1\r\n", true),
        ("/", "Host: a-canary:80\r\n", false),
        ("/", "Host: a-V2\r\n", false),
        ("http://a-v2:80/", "Host: a\r\n", false),
        ("/", "Host: a\r\nX-MIRRORED: 0\r\n", false),
    ] {
        let head = head(&format!("GET {target} HTTP/1.1\r\n{headers}\r\n"));
        assert_eq!(admit(&head, &guard).is_ok(), admitted, "{target} {headers}");
    }
    let none = LoopGuard { suffixes: Vec::new(), ..LoopGuard::default() };
    assert!(admit(&head("GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n"), &none).is_ok());
}

#[test]
fn a_head_that_goes_before_its_body_keeps_the_announcement_of_trailers() {
    for (framing, trailer) in [("Transfer-Encoding: chunked", Some("X-Sum")), ("Content-Length: 3", None)] {
        let head = head(&format!("POST /a?b HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\n{framing}\r\n\r\n"));
        let client = Ipv4Addr::LOCALHOST.into();
        let parts = head_of_copy(&head, client, &CopyPolicy::default()).unwrap();
        assert_eq!(parts.headers.get("trailer").map(|value| value.to_str().unwrap()), trailer);
        assert_eq!((parts.uri.to_string().as_str(), parts.version), ("/a?b", http::Version::HTTP_11));
    }
}

#[test]
fn the_version_is_the_clients() {
    let head = head("GET / HTTP/1.0\r\n\r\n");
    let parts = head_of_copy(&head, Ipv4Addr::LOCALHOST.into(), &CopyPolicy::default()).unwrap();
    assert_eq!(parts.version, http::Version::HTTP_10);
}

#[test]
fn trailers_that_come_are_announced_once() {
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum, X-Other\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        sent(raw, "ab", &[("x-sum", "1"), ("x-new", "2")], &CopyPolicy::default()).unwrap(),
        "POST /\nhost: a-shadow\ntrailer: X-Sum, X-Other\ntrailer: x-new\ntransfer-encoding: chunked\n\
         x-shadow-copy: 1\n\nabx-sum: 1\nx-new: 2\n"
    );
}
