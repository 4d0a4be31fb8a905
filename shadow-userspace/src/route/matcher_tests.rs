//! Each condition alone, and all together.

use super::*;
use crate::http::RequestHead;

fn head(line: &str, lines: &str) -> RequestHead {
    RequestHead::parse(format!("{line} HTTP/1.1\r\n{lines}\r\n")).unwrap()
}

fn fits(wanted: &RouteMatch, line: &str, lines: &str) -> bool {
    wanted.fits(&Parts::of(&head(line, lines)))
}

fn exact(value: &str) -> ValueMatch {
    ValueMatch::Exact(value.to_owned())
}

fn regex(pattern: &str) -> ValueMatch {
    ValueMatch::Regex(full_match(pattern).unwrap())
}

#[test]
fn hosts_are_compared_without_case_and_port() {
    let exact = |name: &str| HostMatch::Exact(name.to_owned());
    let below = HostMatch::Suffix(".example.com".to_owned());
    for (host, wanted, expected) in [
        ("example.com", exact("example.com"), true),
        ("EXAMPLE.com:8080", exact("example.com"), true),
        ("example.com.", exact("example.com"), true),
        ("example.com.:80", exact("example.com"), true),
        ("www.example.com", exact("example.com"), false),
        ("example.co", exact("example.com"), false),
        ("[::1]:80", exact("[::1]"), true),
        ("a.example.com", below.clone(), true),
        ("A.B.Example.Com:443", below.clone(), true),
        ("example.com", below.clone(), false),
        (".example.com", below.clone(), false),
        ("badexample.com", below.clone(), false),
        ("a.example.com.evil", below.clone(), false),
        ("", below, false),
        ("", HostMatch::Any, true),
    ] {
        let wanted = RouteMatch { hosts: vec![wanted], ..RouteMatch::default() };
        assert_eq!(fits(&wanted, "GET /", &format!("Host: {host}\r\n")), expected, "{host} {wanted:?}");
    }
    let either = RouteMatch { hosts: vec![exact("a"), exact("b")], ..RouteMatch::default() };
    assert!(fits(&either, "GET /", "Host: b\r\n") && !fits(&either, "GET /", "Host: c\r\n"));
    assert!(fits(&either, "GET http://b:81/", "Host: c\r\n"), "the target's authority counts");
}

#[test]
fn paths_are_compared_as_sent_without_the_query() {
    let prefix = |path: &str| PathMatch::Prefix(path.to_owned());
    let exact = |path: &str| PathMatch::Exact(path.to_owned());
    let regex = |pattern: &str| PathMatch::Regex(full_match(pattern).unwrap());
    for (target, wanted, expected) in [
        ("/pets", prefix("/pets"), true),
        ("/pets/1?x", prefix("/pets"), true),
        ("/petstore", prefix("/pets"), true),
        ("/Pets", prefix("/pets"), false),
        ("/x/pets", prefix("/pets"), false),
        ("/Pets", exact("/pets"), false),
        ("/%70ets", prefix("/pets"), false),
        ("/x?/pets", prefix("/pets"), false),
        ("*", prefix("/"), false),
        ("http://b", prefix("/"), true),
        ("http://b/pets?x", exact("/pets"), true),
        ("/pets?", exact("/pets"), true),
        ("/pets/", exact("/pets"), false),
        ("*", exact("*"), true),
        ("/pets/17?x", regex("/pets/[0-9]+"), true),
        ("/pets/17a", regex("/pets/[0-9]+"), false),
        ("/v2/pets/17", regex("/pets/[0-9]+"), false),
        ("/b", regex("/a|/b"), true),
        ("/ab", regex("/a|/b"), false),
    ] {
        let wanted = RouteMatch { path: Some(wanted), ..RouteMatch::default() };
        assert_eq!(
            fits(&wanted, &format!("OPTIONS {target}"), "Host: a\r\n"),
            expected,
            "{target} {wanted:?}"
        );
    }
}

#[test]
fn patterns_match_all_of_a_text() {
    for (pattern, text, expected) in [
        ("a|b", "a", true),
        ("a|b", "ab", false),
        ("a|ab", "ab", true),
        ("(?i)A", "a", true),
        ("(?m)^a$", "b\na", false),
        ("", "", true),
        ("", "a", false),
        ("^a$", "a", true),
    ] {
        assert_eq!(full_match(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
    }
    for pattern in ["a)(b", "(", "a{2,1}", "(?=a)"] {
        full_match(pattern).unwrap_err();
    }
}

/// Envoy's header matcher: a value condition never holds for an absent header, inverted or not.
#[test]
fn header_conditions_hold_as_in_envoy() {
    for (value, invert, lines, expected) in [
        (ValueMatch::Present, false, "X: 1\r\n", true),
        (ValueMatch::Present, false, "X:\r\n", true),
        (ValueMatch::Present, false, "", false),
        (ValueMatch::Present, true, "X: 1\r\n", false),
        (ValueMatch::Present, true, "", true),
        (exact("1"), false, "x: 1\r\n", true),
        (exact("1"), false, "x: 12\r\n", false),
        (exact("1"), false, "", false),
        (exact("1"), true, "x: 1\r\n", false),
        (exact("1"), true, "x: 2\r\n", true),
        (exact("1"), true, "", false),
        (exact("1,2"), false, "x: 1\r\nY: 3\r\nX: 2\r\n", true),
        (exact("1"), false, "x: 1\r\nx: 2\r\n", false),
        (ValueMatch::Prefix("ab".to_owned()), false, "x: abc\r\n", true),
        (ValueMatch::Prefix("ab".to_owned()), false, "x: a\r\n", false),
        (ValueMatch::Prefix("ab".to_owned()), true, "x: a\r\n", true),
        (regex("v[12]"), false, "x: v2\r\n", true),
        (regex("v[12]"), false, "x: v23\r\n", false),
        (regex("v[12]"), true, "x: v3\r\n", true),
        (regex("v[12]"), true, "", false),
    ] {
        let header = HeaderMatch { name: HeaderName::from_static("x"), value, invert };
        let wanted = RouteMatch { headers: vec![header], ..RouteMatch::default() };
        let lines = format!("Host: a\r\n{lines}");
        assert_eq!(fits(&wanted, "GET /", &lines), expected, "{lines} {wanted:?}");
    }
}

#[test]
fn a_value_that_is_no_text_matches_no_pattern() {
    let head = RequestHead::parse(&b"GET / HTTP/1.1\r\nHost: a\r\nx: a\xff\r\n\r\n"[..]).unwrap();
    let with = |value, invert| {
        let header = HeaderMatch { name: HeaderName::from_static("x"), value, invert };
        RouteMatch { headers: vec![header], ..RouteMatch::default() }.fits(&Parts::of(&head))
    };
    assert!(!with(regex(".*"), false) && with(regex(".*"), true));
    assert!(with(ValueMatch::Prefix("a".to_owned()), false));
}

#[test]
fn query_conditions_look_at_the_first_decoded_value() {
    for (value, invert, query, expected) in [
        (ValueMatch::Present, false, "?debug", true),
        (ValueMatch::Present, false, "?x=debug", false),
        (ValueMatch::Present, true, "", true),
        (exact("a b"), false, "?debug=a+b", true),
        (exact("a b"), false, "?de%62ug=a%20b&debug=c", true),
        (exact("c"), false, "?debug=a&debug=c", false),
        (exact("1"), true, "?debug=2", true),
        (exact("1"), true, "", false),
        (regex("[0-9]+"), false, "?x&debug=17", true),
        (regex("[0-9]+"), false, "?debug=17a", false),
    ] {
        let parameter = QueryMatch { name: "debug".to_owned(), value, invert };
        let wanted = RouteMatch { query: vec![parameter], ..RouteMatch::default() };
        assert_eq!(fits(&wanted, &format!("GET /{query}"), "Host: a\r\n"), expected, "{query} {wanted:?}");
    }
}

#[test]
fn every_condition_must_hold() {
    let header =
        |name| HeaderMatch { name: HeaderName::from_static(name), value: ValueMatch::Present, invert: false };
    let parameter =
        |name: &str| QueryMatch { name: name.to_owned(), value: ValueMatch::Present, invert: false };
    let wanted = RouteMatch {
        hosts: vec![HostMatch::Exact("a".to_owned())],
        path: Some(PathMatch::Prefix("/p".to_owned())),
        methods: vec![Method::GET, Method::POST],
        headers: vec![header("x"), header("y")],
        query: vec![parameter("q"), parameter("r")],
    };
    for (line, lines, expected) in [
        ("GET /p?q&r", "Host: a\r\nX: 1\r\nY: 1\r\n", true),
        ("POST /p?q&r", "Host: a\r\nX: 1\r\nY: 1\r\n", true),
        ("PUT /p?q&r", "Host: a\r\nX: 1\r\nY: 1\r\n", false),
        ("get /p?q&r", "Host: a\r\nX: 1\r\nY: 1\r\n", false),
        ("GET /p?q&r", "Host: b\r\nX: 1\r\nY: 1\r\n", false),
        ("GET /o?q&r", "Host: a\r\nX: 1\r\nY: 1\r\n", false),
        ("GET /p?q&r", "Host: a\r\nY: 1\r\n", false),
        ("GET /p?q&r", "Host: a\r\nX: 1\r\n", false),
        ("GET /p?r", "Host: a\r\nX: 1\r\nY: 1\r\n", false),
        ("GET /p?q", "Host: a\r\nX: 1\r\nY: 1\r\n", false),
    ] {
        assert_eq!(fits(&wanted, line, lines), expected, "{line} {lines}");
    }
    assert!(fits(&RouteMatch::default(), "GET /", "Host: a\r\n"), "no condition holds for all");
}
