//! What Envoy's mirror policies do to a copy, rule by rule.

use http::HeaderValue;

use super::*;
use crate::shadow::copy::policy::HeaderMutation::{Add, Remove, Set};

fn host(rule: HostRule) -> CopyPolicy {
    CopyPolicy { host: rule, ..CopyPolicy::default() }
}

fn suffix(suffix: &str) -> CopyPolicy {
    host(HostRule::Suffix(suffix.to_owned()))
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn value(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

/// 1: the suffix goes before the port.
#[test]
fn suffix_on_addresses_with_and_without_port() {
    for (host, copy) in [
        ("a", "a-shadow"),
        ("a:80", "a-shadow:80"),
        ("[::1]:80", "[::1]-shadow:80"),
        ("[::1]", "[::1]-shadow"),
        ("192.0.2.1", "192.0.2.1-shadow"),
        ("192.0.2.1:8080", "192.0.2.1-shadow:8080"),
    ] {
        let policy = CopyPolicy::default();
        assert_eq!(get("/x", &format!("Host: {host}\r\n"), &policy), format!("GET /x\nhost: {copy}\n"));
        // The absolute form's authority counts, whatever Host says.
        let absolute = get(&format!("http://{host}/x"), "Host: b:1\r\n", &policy);
        assert_eq!(absolute, format!("GET /x\nhost: {copy}\n"));
    }
    assert_eq!(get("/", "Host: a:80\r\n", &suffix("-canary")), "GET /\nhost: a-canary:80\n");
}

/// 2: `disable_shadow_host_suffix_append`.
#[test]
fn suffix_disabled() {
    for host in ["a", "a:80", "[::1]:80"] {
        assert_eq!(get("/", &format!("Host: {host}\r\n"), &suffix("")), format!("GET /\nhost: {host}\n"));
    }
    assert_eq!(get("http://me:pw@b:80/x", "Host: a\r\n", &suffix("")), "GET /x\nhost: b:80\n");
}

/// 2: `host_rewrite_literal` implies no suffix.
#[test]
fn host_rewrite() {
    let policy = host(HostRule::Rewrite(value("v2.internal:81")));
    for (target, host) in [("/", "Host: a:80\r\n"), ("http://b:80/", "Host: a\r\n"), ("/", "Host:\r\n")] {
        assert_eq!(get(target, host, &policy), "GET /\nhost: v2.internal:81\n", "{target} {host}");
    }
    let old = sent("GET / HTTP/1.0\r\nA: b\r\n\r\n", "", &[], &policy).unwrap();
    assert_eq!(old, "GET /\nhost: v2.internal:81\na: b\nconnection: close\nx-shadow-copy: 1\n\n");
}

/// 3: `request_headers_mutations`, in order.
#[test]
fn header_mutations_are_made_in_order() {
    let with = |headers: &[_]| CopyPolicy { headers: headers.to_vec(), ..CopyPolicy::default() };
    let headers = "Host: a\r\nX: 1\r\nY: 2\r\nx: 3\r\n";
    for (mutations, copy) in [
        (vec![], "x: 1\nx: 3\ny: 2\n"),
        (vec![Set(name("x"), value("4"))], "x: 4\ny: 2\n"),
        (vec![Add(name("x"), value("4"))], "x: 1\nx: 3\nx: 4\ny: 2\n"),
        (vec![Remove(name("x"))], "y: 2\n"),
        (vec![Set(name("z"), value("4")), Add(name("z"), value("5"))], "x: 1\nx: 3\ny: 2\nz: 4\nz: 5\n"),
        (vec![Add(name("z"), value("5")), Set(name("z"), value("4"))], "x: 1\nx: 3\ny: 2\nz: 4\n"),
        (vec![Set(name("y"), value("4")), Remove(name("y"))], "x: 1\nx: 3\n"),
        (vec![Remove(name("x")), Remove(name("y")), Add(name("y"), value("4"))], "y: 4\n"),
        (vec![Remove(name("z"))], "x: 1\nx: 3\ny: 2\n"),
    ] {
        let sent = get("/", headers, &with(&mutations));
        // The first name's place is as good as any other.
        let mut lines: Vec<_> = sent.lines().skip(2).collect();
        lines.sort_by_key(|line| line.split(':').next().map(str::to_owned));
        assert_eq!(lines.join("\n") + "\n", copy, "{mutations:?}");
    }
}

/// 3: on the copy only, and only on those of this policy.
#[test]
fn header_mutations_change_no_other_copy() {
    let raw = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
    let head = head(raw);
    let changed = CopyPolicy { headers: vec![Set(name("x"), value("2"))], ..suffix("-b") };
    let copy = |policy| whole(&head, Bytes::new(), &[], Ipv4Addr::LOCALHOST.into(), policy).unwrap().0;
    let (first, second) = (copy(&changed), copy(&CopyPolicy::default()));
    assert_eq!(lines(&first.headers), "host: a-b\nx: 2\nx-shadow-copy: 1\n");
    assert_eq!(lines(&second.headers), "host: a-shadow\nx: 1\nx-shadow-copy: 1\n");
    assert_eq!(head.raw(), raw.as_bytes());
}

/// 5: there is no copy that could open a tunnel.
#[test]
fn nothing_asks_for_a_tunnel() {
    let upgrade = "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n";
    assert_eq!(get("/", upgrade, &CopyPolicy::default()), "GET /\nhost: a-shadow\n");
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let error = sent(connect, "", &[], &CopyPolicy::default()).unwrap_err();
    assert_eq!(error, CopyError::Target(TargetError));
    assert_eq!(error.outcome(), Outcome::Failed(FailReason::Unsendable));
}

/// 6: the client's address is appended, if asked for. What marks internal requests is the operator's to add.
#[test]
fn forwarded_for_is_appended() {
    let policy = CopyPolicy { forwarded_for: true, ..CopyPolicy::default() };
    for (headers, copy) in [
        ("", "x-forwarded-for: 192.0.2.7\n"),
        ("X-Forwarded-For: 198.51.100.1\r\n", "x-forwarded-for: 198.51.100.1, 192.0.2.7\n"),
        (
            "X-Forwarded-For: a, b\r\nx-forwarded-for: c\r\n",
            "x-forwarded-for: a, b\nx-forwarded-for: c, 192.0.2.7\n",
        ),
    ] {
        let headers = format!("Host: a\r\n{headers}");
        assert_eq!(get("/", &headers, &policy), format!("GET /\nhost: a-shadow\n{copy}"));
        assert!(!get("/", &headers, &CopyPolicy::default()).contains("192.0.2.7"));
    }
    for (client, shown) in [("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1")] {
        let head = head("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let parts = head_of_copy(&head, client.parse().unwrap(), &policy).unwrap();
        assert_eq!(parts.headers["x-forwarded-for"], shown);
    }
    let internal = CopyPolicy { headers: vec![Set(name("x-envoy-internal"), value("true"))], ..policy };
    assert!(get("/", "Host: a\r\n", &internal).contains("x-envoy-internal: true\n"));
}
