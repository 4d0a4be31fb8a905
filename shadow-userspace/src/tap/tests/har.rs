//! The HAR document.

use serde_json::{Value, json};

use super::*;

fn document(options: &TapOptions, exchanges: Vec<Parts<'_>>) -> Value {
    serde_json::from_str(&print(options, exchanges).0).unwrap()
}

fn entries(exchanges: Vec<Parts<'_>>) -> Vec<Value> {
    let mut document = document(&options(TapFormat::Har), exchanges);
    serde_json::from_value(document["log"]["entries"].take()).unwrap()
}

#[test]
fn a_document_without_entries_is_one() {
    let document = document(&options(TapFormat::Har), Vec::new());
    assert_eq!((&document["log"]["version"], &document["log"]["entries"]), (&json!("1.2"), &json!([])));
    assert_eq!(document["log"]["creator"]["name"], "shadow-agent");
    assert_eq!(document["log"]["creator"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn an_entry_has_all_that_har_asks_for() {
    let post = vec![
        RequestHead(request("POST /a?b=%20c&d&=e=f& HTTP/1.1", "Cookie: g=h; i=j\r\nContent-Length: 2\r\n")),
        RequestBody(b"xy"),
        RequestEnd(Ok(())),
        ResponseHead(response(
            "HTTP/1.0 302 Found it",
            "Location: /k\r\nContent-Type: text/html\r\nSet-Cookie: l=m; Path=/\r\n",
        )),
        ResponseBody(b"abc"),
        ResponseEnd(Ok(())),
    ];
    let shown = TapOptions { secrets: Secrets::Shown, ..options(TapFormat::Har) };
    let entry = document(&shown, vec![post])["log"]["entries"][0].take();
    let expected = json!({
        "startedDateTime": "2026-11-25T03:00:37.123456Z",
        "time": 5.0,
        "request": {
            "method": "POST",
            "url": "http://a.example/a?b=%20c&d&=e=f&",
            "httpVersion": "HTTP/1.1",
            "cookies": [{"name": "g", "value": "h"}, {"name": "i", "value": "j"}],
            "headers": [
                {"name": "Host", "value": "a.example"},
                {"name": "Cookie", "value": "g=h; i=j"},
                {"name": "Content-Length", "value": "2"},
            ],
            "queryString": [
                {"name": "b", "value": "%20c"},
                {"name": "d", "value": ""},
                {"name": "", "value": "e=f"},
            ],
            "headersSize": 89,
            "bodySize": 2,
        },
        "response": {
            "status": 302,
            "statusText": "Found it",
            "httpVersion": "HTTP/1.0",
            "cookies": [{"name": "l", "value": "m", "path": "/", "httpOnly": false, "secure": false}],
            "headers": [
                {"name": "Location", "value": "/k"},
                {"name": "Content-Type", "value": "text/html"},
                {"name": "Set-Cookie", "value": "l=m; Path=/"},
            ],
            "content": {"size": 3, "mimeType": "text/html"},
            "redirectURL": "/k",
            "headersSize": 89,
            "bodySize": 3,
        },
        "cache": {},
        "timings": {"send": 2.0, "wait": 1.0, "receive": 2.0},
        "serverIPAddress": "10.0.0.2",
        "connection": "10.0.0.1:40000>10.0.0.2:8080",
        "_outcome": "complete",
        "_responseOutcome": "complete",
    });
    assert_eq!(entry, expected);
}

#[test]
fn what_is_missing_has_the_place_that_har_asks_for() {
    let entries = entries(broken());
    assert_eq!(entries.len(), broken().len());
    let [headless, _, _, hole, ..] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(headless["request"]["method"], "");
    assert_eq!(headless["request"]["url"], "http://10.0.0.2:8080");
    assert_eq!((&headless["response"]["status"], &headless["_responseOutcome"]), (&json!(0), &Value::Null));
    assert_eq!((&headless["_outcome"], &headless["response"]["content"]["size"]), (&json!("gap"), &json!(0)));
    assert_eq!((&hole["_outcome"], &hole["_responseOutcome"]), (&json!("complete"), &json!("gap")));
}

#[test]
fn the_url_is_the_targets_uri() {
    let lines = [
        ("GET / HTTP/1.1", "http://a.example/"),
        ("GET http://b:81/x HTTP/1.1", "http://b:81/x"),
        ("CONNECT c:443 HTTP/1.1", "http://c:443"),
        ("OPTIONS * HTTP/1.1", "http://a.example"),
    ];
    let entries = entries(lines.map(|(line, _)| vec![RequestHead(request(line, ""))]).into());
    let urls: Vec<_> = entries.iter().map(|entry| entry["request"]["url"].as_str().unwrap()).collect();
    assert_eq!(urls, lines.map(|(_, url)| url));
    let bare = crate::http::RequestHead::parse("GET /x HTTP/1.0\r\n\r\n").unwrap();
    let document = document(&options(TapFormat::Har), vec![vec![RequestHead(bare)]]);
    assert_eq!(document["log"]["entries"][0]["request"]["url"], "http://10.0.0.2:8080/x");
}
