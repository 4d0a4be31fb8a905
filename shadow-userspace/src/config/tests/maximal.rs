//! A file that sets every key to another value than its default.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use http::{HeaderName, Method};

use super::load;
use crate::{
    agent::SummaryFormat,
    capture::AttachMode,
    config::{AdminConfig, AdminSocket, CaptureConfig, file::Node},
    route::{
        SampleKey,
        matcher::{HostMatch, PathMatch, ValueMatch},
    },
    shadow::{
        copy::{
            policy::{HeaderMutation, HostRule, PathRewrite, Trace},
            redact::Redaction,
        },
        options::{BreakerOptions, Order, TlsOptions, UpstreamOptions},
    },
};

pub(super) const FILE: &str = include_str!("maximal.yaml");

const MANUAL: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn what_is_about_the_agent() {
    let loaded = load(FILE).unwrap();
    let config = loaded.config;
    let capture = CaptureConfig {
        interfaces: vec!["eth1".to_owned(), "eth0".to_owned()],
        netns: Some("/run/netns/x".into()),
        ports: vec![8080, 9090],
        attach: AttachMode::Clsact,
        ring_bytes: 1 << 20,
        only_new: true,
        max_flows: 100,
        max_memory: 8 << 20,
    };
    assert_eq!(config.capture, capture);
    let admin = AdminConfig {
        listen: Some("127.0.0.1:9900".parse().unwrap()),
        socket: AdminSocket::At("/run/s.sock".into()),
        token_file: Some("/etc/token".into()),
    };
    assert_eq!(config.admin, admin);
    assert_eq!(config.grace, Duration::from_secs(3));
    assert_eq!(config.loop_guard.header.as_str(), "x-copy");
    assert_eq!(config.loop_guard.suffixes, ["-dark"]);
    assert_eq!((loaded.summary, loaded.log.as_deref()), (SummaryFormat::Json, Some("debug")));
    assert!(loaded.notes.is_empty());
}

#[test]
fn upstreams() {
    let config = load(FILE).unwrap().config;
    let [v2, v3, v4] = config.upstreams.as_slice() else { panic!("{:?}", config.upstreams) };
    let own = UpstreamOptions {
        name: "v2".to_owned(),
        url: "https://petstore-v2:8443".parse().unwrap(),
        tls: TlsOptions {
            ca_file: Some(PathBuf::from("/etc/ca.pem")),
            server_name: Some("petstore".to_owned()),
            insecure: false,
        },
        timeout: Duration::from_secs(9),
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(3),
        dns_refresh: Duration::from_secs(60),
        max_response: 1 << 20,
        max_in_flight: 5,
        max_queue: 0,
        max_queue_bytes: 2 << 20,
        max_rps: 1000.try_into().ok(),
        breaker: Some(BreakerOptions { failures: 3.try_into().unwrap(), open_for: Duration::from_secs(7) }),
        order: Order::PerConnection,
        stream_above: 64 << 10,
        stream_buffer: 1 << 20,
        own_mark: 0,
    };
    assert_eq!(*v2, own);
    let default = UpstreamOptions {
        name: "v3".to_owned(),
        url: "http://v3".parse().unwrap(),
        tls: TlsOptions::default(),
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(2),
        dns_refresh: Duration::from_secs(120),
        max_response: 2 << 20,
        max_in_flight: 6,
        max_queue: 7,
        max_queue_bytes: 3 << 20,
        max_rps: 8.try_into().ok(),
        breaker: None,
        order: Order::PerConnection,
        stream_above: 1 << 10,
        stream_buffer: 2 << 10,
        own_mark: 0,
    };
    assert_eq!(*v3, default);
    let url = "http://v4:81";
    assert_eq!(*v4, UpstreamOptions { name: url.to_owned(), url: url.parse().unwrap(), ..default });
}

#[test]
fn matches() {
    let config = load(FILE).unwrap().config;
    let [pets, second, quiet] = config.routes.as_slice() else { panic!("{:?}", config.routes) };
    assert_eq!([&pets.name, &second.name, &quiet.name], ["pets", "route-2", "quiet"]);
    assert_eq!(pets.sample_by, SampleKey::Cookie("session".to_owned()));
    assert_eq!(second.sample_by, SampleKey::Header(HeaderName::from_static("x-user")));
    assert_eq!(quiet.sample_by, SampleKey::Request);
    let [first, other] = pets.matches.as_slice() else { panic!("{:?}", pets.matches) };
    let hosts = [
        HostMatch::Suffix(".example.com".to_owned()),
        HostMatch::Any,
        HostMatch::Exact("[2001:db8::1]".to_owned()),
        HostMatch::Exact("a.b".to_owned()),
    ];
    assert_eq!(first.hosts, hosts);
    assert!(matches!(&first.path, Some(PathMatch::Prefix(path)) if path == "/pets"));
    assert!(matches!(&other.path, Some(PathMatch::Exact(path)) if path == "/pets"));
    assert_eq!(first.methods, [Method::GET, Method::POST]);
    let [a, b, c] = first.headers.as_slice() else { panic!("{:?}", first.headers) };
    assert_eq!([a.name.as_str(), b.name.as_str(), c.name.as_str()], ["x-a", "x-b", "x-c"]);
    assert!(matches!(&a.value, ValueMatch::Exact(text) if text == "1.10") && !a.invert);
    assert!(matches!(b.value, ValueMatch::Present) && b.invert, "present: false is the opposite of true");
    assert!(matches!(&c.value, ValueMatch::Regex(regex) if regex.is_match("v1") && !regex.is_match("v12")));
    assert!(c.invert);
    let [debug, on] = first.query.as_slice() else { panic!("{:?}", first.query) };
    assert!(debug.name == "debug" && matches!(&debug.value, ValueMatch::Prefix(text) if text == "t"));
    assert!(on.name == "On" && matches!(&on.value, ValueMatch::Exact(text) if text == "1.10"), "as written");
    assert!(matches!(&second.matches[0].path, Some(PathMatch::Regex(regex)) if regex.is_match("/ab")));
    assert!(quiet.matches.is_empty() && quiet.shadows.is_empty());
}

#[test]
fn copies() {
    let config = load(FILE).unwrap().config;
    let [first, second] = config.routes[0].shadows.as_slice() else { panic!() };
    assert_eq!((first.upstream.as_str(), first.percentage.to_string()), ("v2", "0.01%".to_owned()));
    assert_eq!(first.policy.host, HostRule::Rewrite("v2.internal:8080".parse().unwrap()));
    let name = HeaderName::from_static;
    let changes = [
        HeaderMutation::Add(name("x-tag"), "yes".parse().unwrap()),
        HeaderMutation::Set(name("x-env"), "shadow".parse().unwrap()),
        HeaderMutation::Remove(name("x-internal")),
    ];
    assert_eq!(first.policy.headers, changes, "in the order of the file");
    let PathRewrite::Prefix { from, to } = first.policy.path.as_ref().unwrap() else { panic!() };
    assert_eq!((from.as_str(), to.as_str()), ("/pets", "/v2"));
    assert_eq!(first.methods.as_deref(), Some(&[Method::GET][..]));
    assert_eq!((first.timeout, first.max_body), (Some(Duration::from_secs(5)), 1 << 20));
    assert_eq!((first.max_in_flight, first.policy.forwarded_for), (Some(100), false));
    assert_eq!((first.policy.trace, first.policy.loop_header.as_str()), (Trace::Keep, "x-copy"));
    let redaction = Redaction {
        headers: vec![name("authorization")],
        cookies: vec!["session".to_owned()],
        query: vec!["token".to_owned()],
        json: vec!["/a~1b".parse().unwrap(), "/c".parse().unwrap()],
    };
    assert_eq!(*first.policy.redaction, redaction);

    assert_eq!(
        (second.percentage.to_string(), &second.policy.host),
        ("12.5%".to_owned(), &HostRule::Suffix(String::new()))
    );
    let default = &config.routes[1].shadows[0];
    assert_eq!((default.percentage.to_string(), default.max_body), ("7.25%".to_owned(), 3 << 20));
    assert_eq!(default.policy.host, HostRule::Suffix("-dark".to_owned()));
    assert_eq!(default.policy.headers, [HeaderMutation::Remove(name("x-default"))]);
    assert!(
        matches!(&default.policy.path, Some(PathRewrite::Regex { substitution, .. }) if substitution == "/w$1/")
    );
    assert_eq!(default.methods.as_deref(), Some(&[Method::GET][..]), "POST isn't safe");
    assert!(default.policy.forwarded_for && default.policy.trace == Trace::Child);
}

#[test]
fn what_was_read_is_written_and_read_again() {
    let document = Node::parse(FILE).unwrap()[0].read().unwrap();
    let text = serde_saphyr::to_string(&document).unwrap();
    let again = Node::parse(&text).unwrap()[0].read().unwrap();
    assert_eq!(again, document, "{text}");
}

/// The keys of each section, as a key that is none learns them.
fn known_keys() -> BTreeSet<String> {
    let sections = [
        "{}",
        "capture: {}",
        "upstreams: {v2: {}}",
        "upstreams: {v2: {tls: {}}}",
        "upstreams: {v2: {breaker: {}}}",
        "defaults: {}",
        "routes: [{}]",
        "routes: [{match: {}}]",
        "routes: [{match: {path: {}}}]",
        "routes: [{match: {headers: [{}]}}]",
        "routes: [{sample_by: {}}]",
        "routes: [{shadow: {}}]",
        "routes: [{shadow: {percentage: {}}}]",
        "routes: [{shadow: {headers: {}}}]",
        "routes: [{shadow: {path_rewrite: {}}}]",
        "redact: {}",
        "admin: {}",
    ];
    let mut keys = BTreeSet::new();
    for section in sections {
        let text = section.replace("{}", "{qqqqqqqqqqqqqqqqqqqqqqqq: 1}");
        let error = load(&text).unwrap_err().to_string();
        let (_, known) =
            error.split_once("the keys here are ").unwrap_or_else(|| panic!("{section}: {error}"));
        keys.extend(known.split(", ").map(ToOwned::to_owned));
    }
    keys
}

#[test]
fn every_key_is_set_here_and_stands_in_the_manual() {
    let keys = known_keys();
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        let is_set = FILE.split(['\n', '{', ',', ' ']).any(|part| part.trim() == format!("{key}:"));
        assert!(is_set || key == "host_rewrite", "{key} is not set");
        assert!(MANUAL.contains(&format!("`{key}`")), "{key} is not in the manual");
    }
}
