//! Lines of JSON: keys and values that scripts rely on.

use serde_json::{Value, json};

use super::*;

/// SHA-256 of what the tests send.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
pub(super) const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
pub(super) const ABCD: &str = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";

fn objects(exchanges: Vec<Parts<'_>>) -> Vec<Value> {
    let (printed, _) = print(&options(TapFormat::Json), exchanges);
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_keys_are_an_interface() {
    let (printed, _) = print(&options(TapFormat::Json), vec![whole()]);
    let expected = concat!(
        r#"{"flow":"10.0.0.1:40000>10.0.0.2:8080","stream":null,"protocol":"HTTP/1.1","method":"GET","#,
        r#""authority":"a.example","target":"/a?b=c","headers":[["Host","a.example"]],"body_bytes":0,"#,
        r#""body_sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","outcome":"complete","#,
        r#""response":{"status":200,"headers":[["Content-Type","text/plain"]],"body_bytes":5,"#,
        r#""body_sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","outcome":"complete"},"#,
        r#""time":"2026-11-25T03:00:37.123456Z","latency_ms":3.0}"#,
        "\n"
    );
    assert_eq!(printed, expected);
    assert!(expected.contains(EMPTY) && expected.contains(HELLO));
}

#[test]
fn what_was_not_seen_is_null() {
    let [headless, cut, unanswered, hole, endless, early] = objects(broken()).try_into().unwrap();
    for key in ["method", "authority", "target", "headers", "body_sha256", "response", "latency_ms"] {
        assert_eq!(headless[key], Value::Null, "{key}");
    }
    assert_eq!((&headless["outcome"], &headless["body_bytes"]), (&json!("gap"), &json!(0)));
    assert_eq!(headless["protocol"], "HTTP/1.1");
    assert_eq!((&cut["outcome"], &cut["body_sha256"]), (&json!("incomplete"), &Value::Null));
    assert_eq!((&cut["body_bytes"], &cut["method"]), (&json!(2), &json!("POST")));
    assert_eq!((&unanswered["outcome"], &unanswered["response"]), (&json!("complete"), &Value::Null));
    assert_eq!(unanswered["body_sha256"], ABCD);
    for (exchange, outcome) in [(hole, "gap"), (endless, "incomplete")] {
        let response = &exchange["response"];
        assert_eq!((&response["outcome"], &response["body_sha256"]), (&json!(outcome), &Value::Null));
        assert_eq!((&response["body_bytes"], &exchange["body_sha256"]), (&json!(4), &json!(ABCD)));
    }
    assert_eq!((&early["outcome"], &early["response"]["body_sha256"]), (&json!("gap"), &json!(ABCD)));
    assert_eq!(early["latency_ms"], Value::Null);
}

#[test]
fn headers_are_pairs_in_order_and_case_and_lose_no_byte() {
    let mut head = b"GET / HTTP/1.0\r\nx-B: \"1\"\r\nX-a:\r\nx-b: gr".to_vec();
    head.extend_from_slice(b"\xfc\x9bn\r\nX-C: gr\xc3\xbcn\r\n\r\n");
    let (printed, _) = print(
        &options(TapFormat::Json),
        vec![vec![RequestHead(crate::http::RequestHead::parse(head).unwrap())]],
    );
    let object: Value = serde_json::from_str(&printed).unwrap();
    let expected = json!([["x-B", "\"1\""], ["X-a", ""], ["x-b", "gr\u{fc}\u{9b}n"], ["X-C", "gr\u{fc}n"]]);
    assert_eq!((&object["headers"], &object["authority"]), (&expected, &Value::Null));
    assert_eq!((&object["protocol"], &object["outcome"]), (&json!("HTTP/1.0"), &json!("incomplete")));
    assert!(!printed.contains('\u{9b}'));
}

#[test]
fn the_authority_is_the_targets_before_the_hosts() {
    let heads = ["GET http://b:81/x HTTP/1.1", "CONNECT c:443 HTTP/1.1", "OPTIONS * HTTP/1.1"];
    let objects = objects(heads.map(|line| vec![RequestHead(request(line, ""))]).into());
    let shown: Vec<_> = objects.iter().map(|object| (&object["authority"], &object["target"])).collect();
    let expected = [("b:81", "http://b:81/x"), ("c:443", "c:443"), ("a.example", "*")];
    assert_eq!(
        shown,
        expected.map(|(a, t)| (json!(a), json!(t))).iter().map(|(a, t)| (a, t)).collect::<Vec<_>>()
    );
}

#[test]
fn the_version_is_the_requests_or_else_the_responses() {
    let answer = || ResponseHead(response("HTTP/1.0 200 OK", ""));
    let headless = vec![RequestEnd(Err(DropReason::Ambiguous)), answer()];
    let with_head = vec![RequestHead(request("GET / HTTP/1.1", "")), RequestEnd(Ok(())), answer()];
    let shown = objects(vec![headless, with_head]);
    assert_eq!((&shown[0]["protocol"], &shown[1]["protocol"]), (&json!("HTTP/1.0"), &json!("HTTP/1.1")));
}
