//! What a policy changes about a copy, and what it can't.

use std::sync::Arc;

use http::HeaderValue;

use super::*;
use crate::shadow::copy::policy::{
    HeaderMutation::{self, Add, Remove, Set},
    Trace,
};

fn redacting(redaction: Redaction) -> CopyPolicy {
    CopyPolicy { redaction: Arc::new(redaction), ..CopyPolicy::default() }
}

/// Redacts a header, a cookie, a parameter and a member.
fn careful() -> CopyPolicy {
    redacting(Redaction {
        headers: vec![HeaderName::from_static("authorization")],
        cookies: vec!["session".to_owned()],
        query: vec!["token".to_owned()],
        json: vec!["/password".parse().unwrap()],
    })
}

const RESERVED: [&str; 10] = [
    "host",
    "content-length",
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[test]
fn reserved_headers_are_nobodys_to_change() {
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    let untouched = sent(raw, "ab", &[], &CopyPolicy::default()).unwrap();
    for name in RESERVED.map(HeaderName::from_static) {
        let value = || HeaderValue::from_static("1");
        for mutation in [Set(name.clone(), value()), Add(name.clone(), value()), Remove(name.clone())] {
            let policy = CopyPolicy { headers: vec![mutation], ..CopyPolicy::default() };
            assert_eq!(sent(raw, "ab", &[], &policy).unwrap(), untouched);
        }
        let policy = redacting(Redaction { headers: vec![name], ..Redaction::default() });
        assert_eq!(sent(raw, "ab", &[], &policy).unwrap(), untouched);
    }
}

#[test]
fn every_copy_has_the_loop_header() {
    let name = HeaderName::from_static("x-mirrored");
    for headers in [
        vec![],
        vec![Remove(name.clone())],
        vec![
            Set(name.clone(), HeaderValue::from_static("0")),
            Add(name.clone(), HeaderValue::from_static("0")),
        ],
    ] {
        let policy = CopyPolicy { headers, loop_header: name.clone(), ..CopyPolicy::default() };
        assert_eq!(get("/", "Host: a\r\n", &policy), "GET /\nhost: a-shadow\nx-mirrored: 1\n\n");
    }
}

#[test]
fn secrets_are_replaced_before_the_operators_changes() {
    let change = |mutation: HeaderMutation| CopyPolicy { headers: vec![mutation], ..careful() };
    let authorization = HeaderName::from_static("authorization");
    let own = HeaderValue::from_static("Bearer of-v2");
    for (policy, copy) in [
        (careful(), "authorization: REDACTED\nauthorization: REDACTED\n"),
        (change(Set(authorization.clone(), own)), "authorization: Bearer of-v2\n"),
        (change(Remove(authorization)), ""),
    ] {
        let sent = get("/", "Host: a\r\nAuthorization: Basic eDp5\r\nAUTHORIZATION:\r\n", &policy);
        assert_eq!(sent, format!("GET /\nhost: a-shadow\n{copy}"));
    }
}

#[test]
fn secrets_are_replaced_wherever_they_are_looked_for() {
    let sent = get(
        "http://a/t?token=s3cr3t&b=1",
        "Host: a\r\nCookie: a=1; session=s3cr3t\r\nReferer: http://a/?x=1&token=s3cr3t\r\n\
         X-Envoy-Original-Path: /?token=s3cr3t\r\nCookie: session=s3cr3t;b\r\nX: token=shown\r\n",
        &careful(),
    );
    assert_eq!(
        sent,
        "GET /t?token=REDACTED&b=1\nhost: a-shadow\ncookie: a=1; session=REDACTED\ncookie: session=REDACTED;b\n\
         referer: http://a/?x=1&token=REDACTED\nx-envoy-original-path: /?token=REDACTED\nx: token=shown\n"
    );
}

#[test]
fn a_redacted_body_has_its_own_length_and_no_digest() {
    let fields = "Content-MD5: x\r\nDigest: sha-256=x\r\nContent-Digest: x\r\nRepr-Digest: x\r\nX: 1\r\n";
    let secret = r#"{"password":"x"}"#;
    let raw = |framing: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n{fields}\r\n");
    assert_eq!(
        sent(&raw("Content-Length: 16"), secret, &[], &careful()).unwrap(),
        "POST /\nhost: a-shadow\ncontent-length: 23\nx: 1\nx-shadow-copy: 1\n\n{\"password\":\"REDACTED\"}"
    );
    let trailers = [("Content-Digest", "x"), ("Authorization", "x"), ("X-Sum", "1")];
    assert_eq!(
        sent(&raw("Transfer-Encoding: chunked"), secret, &trailers, &careful()).unwrap(),
        "POST /\nhost: a-shadow\nx: 1\ntransfer-encoding: chunked\ntrailer: authorization\ntrailer: x-sum\n\
         x-shadow-copy: 1\n\n{\"password\":\"REDACTED\"}authorization: REDACTED\nx-sum: 1\n"
    );
    let public = r#"{"password_":"x"}"#;
    assert_eq!(
        sent(&raw("Content-Length: 17"), public, &[], &careful()),
        sent(&raw("Content-Length: 17"), public, &[], &CopyPolicy::default())
    );
}

#[test]
fn a_body_that_cannot_be_read_makes_no_copy() {
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n";
    let error = sent(raw, "{", &[], &careful()).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Dropped(DropReason::Unredactable));
    assert!(sent(raw, "{", &[], &CopyPolicy::default()).is_ok());
}

#[test]
fn traceparent_becomes_a_child_if_asked_for() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = format!("Host: a\r\nTraceparent: {parent}\r\nTracestate: a=b\r\n");
    let kept = get("/", &headers, &CopyPolicy::default());
    assert_eq!(kept, format!("GET /\nhost: a-shadow\ntraceparent: {parent}\ntracestate: a=b\n"));
    let child = get("/", &headers, &CopyPolicy { trace: Trace::Child, ..CopyPolicy::default() });
    assert_ne!(child, kept);
    let at = kept.find("00f067aa0ba902b7").unwrap();
    assert_eq!((&child[..at], &child[at + 16..]), (&kept[..at], &kept[at + 16..]));
}
