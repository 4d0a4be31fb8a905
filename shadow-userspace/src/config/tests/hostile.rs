//! Files by people who mean harm, or mean something else.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::load;
use crate::config::AdminSocket;

/// Without a limit to the mistakes that are told, this took minutes.
#[test]
fn a_file_full_of_mistakes_is_told_in_short() {
    let mut ports = "capture: { ports: [".to_owned();
    for number in 0..100_000 {
        write!(ports, "x{number},").unwrap();
    }
    ports.push_str("] }");
    let start = Instant::now();
    assert_eq!(load(&ports).unwrap_err().lines().len(), 100);
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}

fn route(shadow: &str) -> String {
    format!("routes: [{{ name: r, shadow: {{ upstream: http://v2, {shadow} }} }}]")
}

#[test]
fn numbers_are_what_they_look_like() {
    for (given, percent) in [
        ("1e400", None),
        (".nan", None),
        (".inf", None),
        ("-.inf", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("0o17", None),
        ("1_0", None),
        ("-1", None),
        ("100.0000001", None),
        ("true", None),
        ("~", None),
        ("''", None),
        ("'5'", Some(5.0)),
        ("\"5%\"", Some(5.0)),
        ("5 %", Some(5.0)),
        ("1e1", Some(10.0)),
        ("010", Some(10.0)),
        ("0.00001", Some(0.00001)),
        ("1e-5", Some(0.00001)),
        ("{ numerator: 1, denominator: 0 }", None),
        ("{ numerator: 2, denominator: 1 }", None),
        ("{ numerator: 0x1 }", None),
        ("{ denominator: 1 }", None),
        ("{}", None),
        ("[5]", None),
    ] {
        let loaded = load(&route(&format!("percentage: {given}")));
        let got = loaded.ok().map(|loaded| loaded.config.routes[0].shadows[0].percentage.percent());
        assert_eq!(got, percent, "{given}");
    }
}

#[test]
fn what_fails_later_is_told_at_once() {
    for (text, path) in [
        ("log: lots", "log"),
        ("log: 'a=b=c'", "log"),
        ("admin: { socket: false }", "admin.socket"),
        ("admin: { socket: no }", "admin.socket"),
        ("upstreams: { v: { url: http://v, breaker: no } }", "upstreams.v.breaker"),
    ] {
        let error = load(&format!("{text}\n{}", route("timeout: 1s"))).unwrap_err().to_string();
        assert!(error.contains(&format!(": {path}: ")) && !error.contains('\n'), "{error}");
    }
    let off =
        load(&format!("admin: {{ socket: off }}\ndefaults: {{ breaker: off }}\n{}", route("timeout: 1s")))
            .unwrap();
    assert_eq!((off.config.admin.socket, off.config.upstreams[0].breaker), (AdminSocket::Off, None));
}

#[test]
fn a_name_with_dots_is_found_in_the_file() {
    let text = "upstreams:\n  a: { url: http://a }\n  a.b: { url: http://b, timeout: 1 }\nroutes: [{ shadow: [] }]\n";
    let error = load(text).unwrap_err().to_string();
    assert!(error.starts_with("shadow.yaml:3:"), "{error}");
}

#[test]
fn values_that_may_be_secrets_are_not_repeated() {
    for shadow in [
        "headers: { set: hunter2 }",
        "headers: hunter2",
        "headers: { set: { authorization: [hunter2] } }",
        "headers: { set: { authorization: hunter2, 'a b': hunter2 } }",
    ] {
        let error = load(&route(shadow)).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
