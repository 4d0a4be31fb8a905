//! Secrets are found, and nothing else is changed.

use bytes::Bytes;

use super::*;
use crate::{http::RequestHead, ledger::DropReason};

fn json(pointers: &[&str]) -> Redaction {
    let json = pointers.iter().map(|pointer| pointer.parse().unwrap()).collect();
    Redaction { json, ..Redaction::default() }
}

fn head(headers: &str) -> RequestHead {
    let raw = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
    RequestHead::parse(Bytes::from(raw)).unwrap()
}

/// `body` redacted; as it was if it has no secrets.
fn body(headers: &str, body: &[u8], redaction: &Redaction) -> Result<Vec<u8>, DropReason> {
    let redacted = body::redacted(&head(headers), body, redaction)?;
    Ok(redacted.map_or_else(|| body.to_vec(), |redacted| redacted.to_vec()))
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn cookies_are_replaced_by_name() {
    let redaction = Redaction { cookies: vec!["session".to_owned(), "b".to_owned()], ..Redaction::default() };
    for (cookies, redacted) in [
        ("session=x", "session=REDACTED"),
        ("a=1; session=x; c=3", "a=1; session=REDACTED; c=3"),
        ("session=x;b=2", "session=REDACTED;b=REDACTED"),
        ("session=x=y==; a", "session=REDACTED; a"),
        ("session=; a=1", "session=REDACTED; a=1"),
        (" session = x ;a", " session =REDACTED;a"),
        ("session=x; session=y", "session=REDACTED; session=REDACTED"),
        // Readers that split at commas, or that let quotes protect separators.
        ("a=1, session=x; c", "a=1, session=REDACTED; c"),
        ("session=\"x;y\"; a=1", "session=REDACTED; a=1"),
        ("session= \"x;y\"; a=1", "session=REDACTED; a=1"),
        ("session=\"x\\\\\"; a=1", "session=REDACTED; a=1"),
        ("session=\"x\\\";y\"; a=1", "session=REDACTED; a=1"),
        ("session=\"x;y;z\"; a=1", "session=REDACTED; a=1"),
        ("session=\"x;y", "session=REDACTED"),
        ("session=\"x\"; a=1", "session=REDACTED; a=1"),
        ("a=\"1; session=x\"; c", "a=\"1; session=REDACTED; c"),
        ("session=x\"; a=1", "session=REDACTED; a=1"),
    ] {
        let value = redaction.value(&header::COOKIE, cookies.as_bytes()).unwrap();
        assert_eq!(String::from_utf8_lossy(&value), redacted, "{cookies}");
    }
    for cookies in
        ["", "session", "Session=x", "a=session", "xsession=1; sessions=2", "a=1;;c=3; ", "se;ssion=1"]
    {
        assert_eq!(redaction.value(&header::COOKIE, cookies.as_bytes()), None, "{cookies}");
    }
}

#[test]
fn parameters_are_replaced_by_their_decoded_name() {
    let query = vec!["token".to_owned(), "a b".to_owned(), "ü[]".to_owned(), "e;f".to_owned()];
    let redaction = Redaction { query, ..Redaction::default() };
    for (target, redacted) in [
        ("/?token=x", "/?token=REDACTED"),
        ("/?c=1&token=x&d", "/?c=1&token=REDACTED&d"),
        ("/?token=x&token=y", "/?token=REDACTED&token=REDACTED"),
        ("/?token=", "/?token=REDACTED"),
        ("/?token=x=y?z", "/?token=REDACTED"),
        ("/?token=\"x&d\"", "/?token=REDACTED&d\""),
        ("/?%74oken=x&a+b=1&a%20b=2", "/?%74oken=REDACTED&a+b=REDACTED&a%20b=REDACTED"),
        ("/?%C3%BC%5b%5D=x", "/?%C3%BC%5b%5D=REDACTED"),
        // Readers that split at semicolons, and those that don't.
        ("/?c;token=x;y&d", "/?c;token=REDACTED&d"),
        ("/?c=1;token=x", "/?c=1;token=REDACTED"),
        ("/?e;f=x&e=1;f=2&e%3Bf=x", "/?e;f=REDACTED&e=1;f=2&e%3Bf=REDACTED"),
        ("http://h/a?token=x#f", "http://h/a?token=REDACTED"),
        ("/#?token=x?", "/#?token=REDACTED"),
        ("/?c#&token=x", "/?c#&token=REDACTED"),
    ] {
        assert_eq!(redaction.target(target), redacted, "{target}");
    }
    for target in
        ["/", "/token=x", "/?", "/?token", "/?Token=x", "/?c=token", "/?tokens=1&%zz=1&%7=1&%", "*", "/?&&="]
    {
        assert_eq!(redaction.target(target), target);
    }
}

#[test]
fn values_are_replaced_by_their_pointer() {
    for (pointers, text, redacted) in [
        (&["/a"][..], r#"{"a":1,"b":1}"#, r#"{"a":"REDACTED","b":1}"#),
        (&["/a"], r#"{"A":1,"a":2}"#, r#"{"A":1,"a":"REDACTED"}"#),
        (
            &["/a"],
            "{ \"a\" : [1, {\"a\":2}] ,\r\n\t\"b\":{\"a\":1}}",
            "{ \"a\" : \"REDACTED\" ,\r\n\t\"b\":{\"a\":1}}",
        ),
        (&["/a"], r#"{"a":"x\"}","\u0061":null}"#, r#"{"a":"REDACTED","\u0061":"REDACTED"}"#),
        (
            &["/a/b"],
            r#"{"a":{"b":true},"a":{"b":-1.5e999}}"#,
            r#"{"a":{"b":"REDACTED"},"a":{"b":"REDACTED"}}"#,
        ),
        (&["/a/b"], r#"{"a":[{"b":1}],"b":1}"#, r#"{"a":[{"b":1}],"b":1}"#),
        (&["/1"], r#"[1,[2,3],{"1":4}]"#, r#"[1,"REDACTED",{"1":4}]"#),
        (&["/1"], r#"{"1":1}"#, r#"{"1":"REDACTED"}"#),
        (&["/01", "/-", "/1e0"], "[1,2]", "[1,2]"),
        (
            &["/*/k"],
            r#"[{"k":1},{"j":2},[{"k":3}],{"k":4}]"#,
            r#"[{"k":"REDACTED"},{"j":2},[{"k":3}],{"k":"REDACTED"}]"#,
        ),
        (&["/*"], r#"{"a":1,"*":{"b":2}}"#, r#"{"a":"REDACTED","*":"REDACTED"}"#),
        (
            &["/a~1b", "/m~0n", "/~01"],
            r#"{"a/b":1,"m~n":2,"~1":3,"/":4}"#,
            r#"{"a/b":"REDACTED","m~n":"REDACTED","~1":"REDACTED","/":4}"#,
        ),
        (&["/", "/ "], r#"{"":1," ":2}"#, r#"{"":"REDACTED"," ":"REDACTED"}"#),
        (&["/ü"], r#"{"ü":"ü","x":"ü"}"#, r#"{"ü":"REDACTED","x":"ü"}"#),
        // One within another: the outer one.
        (&["/a/b", "/a"], r#"{"a":{"b":1}}"#, r#"{"a":"REDACTED"}"#),
        (
            &["/a/b", "/a/c", "/*/d"],
            r#"{"a":{"b":1,"c":2,"d":3,"e":4}}"#,
            r#"{"a":{"b":"REDACTED","c":"REDACTED","d":"REDACTED","e":4}}"#,
        ),
        (&[""], r#" {"a":1} "#, r#" "REDACTED" "#),
        // What is no secret keeps its digits.
        (
            &["/a"],
            r#"{"b":123456789012345678901234567890.10,"c":1e999}"#,
            r#"{"b":123456789012345678901234567890.10,"c":1e999}"#,
        ),
        // One text behind the other.
        (
            &["/a"],
            "{\"a\":1}\n{\"b\":1}\n{\"a\":2}\n",
            "{\"a\":\"REDACTED\"}\n{\"b\":1}\n{\"a\":\"REDACTED\"}\n",
        ),
        (&["/a"], "\u{feff}{\"a\":1}", "\u{feff}{\"a\":\"REDACTED\"}"),
        (&["/a"], "", ""),
        (&["/a"], "null", "null"),
    ] {
        let got = body(JSON, text.as_bytes(), &json(pointers)).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), redacted, "{pointers:?} {text}");
    }
}

#[test]
fn what_is_no_json_and_should_be_is_unredactable() {
    let redaction = json(&["/a/b"]);
    let bodies: [&[u8]; 12] = [
        b"{",
        b"{\"a\":1}}",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{\"a\":{\"b\":1}} // x",
        b"[\"\xff\"]",
        b"[\"\n\"]",
        b"[\"\\x\"]",
        b"[01]",
        b"[NaN]",
        b"{\"a\":{\"\\ud800\":1}}",
        b"{\0\"\0a\0\"\0",
    ];
    for bytes in bodies {
        for headers in [JSON, "", "Content-Type: application/x-www-form-urlencoded\r\n"] {
            let got = body(headers, bytes, &redaction);
            assert_eq!(got, Err(DropReason::Unredactable), "{headers} {}", bytes.escape_ascii());
        }
    }
    for bytes in [&b"a=1"[..], b"\xff\xfe", b"\x1f\x8b\x08"] {
        assert_eq!(body(JSON, bytes, &redaction), Err(DropReason::Unredactable));
        assert_eq!(body("", bytes, &redaction).unwrap(), bytes);
    }
}

#[test]
fn the_type_is_not_believed_unless_it_is_certain() {
    let (text, secret) = (br#" {"a":1}"#, r#" {"a":"REDACTED"}"#.as_bytes());
    for (types, is_read) in [
        ("", true),
        ("Content-Type: application/json; charset=utf-8\r\n", true),
        ("content-type: APPLICATION/Problem+JSON\r\n", true),
        ("Content-Type: text/plain\r\n", true),
        ("Content-Type: json\r\n", true),
        ("Content-Type: application/x-www-form-urlencoded\r\n", true),
        ("Content-Type: image/png\r\nContent-Type: application/json\r\n", true),
        ("Content-Type: image/png\r\nContent-Type: text/plain\r\n", true),
        ("Content-Type: image/png\r\n", false),
        ("Content-Type: multipart/form-data; boundary=x\r\n", false),
        ("Content-Type: video/mp4\r\nContent-Type: audio/mp4\r\n", false),
    ] {
        let redaction = json(&["/a"]);
        assert_eq!(body::is_read(&head(types), &redaction), is_read, "{types}");
        assert_eq!(body(types, text, &redaction).unwrap(), if is_read { secret } else { text }, "{types}");
        assert!(!body::is_read(&head(types), &Redaction::default()));
    }
    let empty = RequestHead::parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(!body::is_read(&empty, &json(&["/a"])));
}

#[test]
fn what_is_encoded_is_unredactable() {
    for (coding, is_encoded) in [
        ("gzip", true),
        ("identity, br", true),
        ("x", true),
        ("", false),
        ("identity", false),
        ("Identity , identity", false),
    ] {
        for kind in [JSON, ""] {
            let headers = format!("{kind}Content-Encoding: {coding}\r\n");
            let got = body(&headers, b"{\"a\":1}", &json(&["/a"]));
            assert_eq!(got.is_err(), is_encoded, "{headers}");
        }
        let media = format!("Content-Type: image/svg+xml\r\nContent-Encoding: {coding}\r\n");
        assert!(body(&media, b"x", &json(&["/a"])).is_ok());
    }
}

#[test]
fn depth_costs_no_stack() {
    const DEPTH: usize = 1_000_000;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let redaction = json(&["/a", "/b/0/0"]);
    assert_eq!(body(JSON, deep.as_bytes(), &redaction).unwrap(), br#"{"a":"REDACTED"}"#);
    assert_eq!(body(JSON, deep.as_bytes(), &json(&["/a/0/0/*/b", "/c"])).unwrap(), deep.as_bytes());
    assert_eq!(body(JSON, "[".repeat(DEPTH).as_bytes(), &redaction), Err(DropReason::Unredactable));
    let pointer = "/*".repeat(64);
    let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    let redacted = format!("{}\"REDACTED\"{}", "[".repeat(64), "]".repeat(64));
    assert_eq!(body(JSON, deep.as_bytes(), &json(&[&pointer])).unwrap(), redacted.as_bytes());
}

#[test]
fn lists_are_read_in_linear_time() {
    let redaction = Redaction { query: vec!["a".to_owned()], ..Redaction::default() };
    // Quadratic, this would take minutes.
    let target = format!("/?{}a=1", ";".repeat(1_000_000));
    assert!(redaction.target(&target).ends_with(";a=REDACTED"));
}

#[test]
fn what_is_no_pointer_is_refused() {
    for (text, error) in [
        ("a", PointerError::Start),
        ("a/b", PointerError::Start),
        ("#/a", PointerError::Start),
        ("/~", PointerError::Escape),
        ("/a~2", PointerError::Escape),
        ("/~~0", PointerError::Escape),
        (&"/a".repeat(65), PointerError::Deep),
    ] {
        assert_eq!(text.parse::<JsonPointer>(), Err(error), "{text}");
    }
    for text in ["", "/", "/a~01/*/0"] {
        assert_eq!(text.parse::<JsonPointer>().unwrap().to_string(), text);
    }
}
