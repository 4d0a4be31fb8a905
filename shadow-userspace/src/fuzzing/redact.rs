//! Redaction beside a model: what serde_json reads of a body before and after, and that a second time changes nothing.

use bytes::Bytes;
use serde_json::Value;

use crate::{
    http::RequestHead,
    shadow::copy::{self, redact::Redaction},
};

/// What is secret; the model knows these alone.
const POINTERS: [&str; 4] = ["/a", "/b/0", "/c/*/d~1e", "/*/*/f"];

/// A JSON body, a query and cookies without their secrets.
///
/// # Panics
/// If something else was changed, or a secret left.
pub fn redact(data: &[u8]) {
    let redaction = Redaction {
        json: POINTERS.iter().filter_map(|pointer| pointer.parse().ok()).collect(),
        cookies: vec!["a".to_owned()],
        query: vec!["a".to_owned()],
        ..Redaction::default()
    };
    let head =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let Ok(head) = RequestHead::parse(head) else { panic!("the test's own head") };
    let redact = |body| copy::redact_body(&head, body, &redaction);
    let before = documents(data);
    match redact(Bytes::copy_from_slice(data)) {
        Err(reason) => assert!(before.is_none(), "{} of valid JSON", reason.label()),
        Ok(redacted) => {
            if let Some(mut documents_before) = before {
                documents_before.iter_mut().for_each(model);
                assert_eq!(documents(&redacted), Some(documents_before));
            }
            assert_eq!(redact(redacted.clone()), Ok(redacted));
        }
    }
    lists(data, &redaction);
}

/// The JSON texts that `data` is; `None` if it is anything else, or serde_json can't hold it.
fn documents(data: &[u8]) -> Option<Vec<Value>> {
    let text = std::str::from_utf8(data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)).ok()?;
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()
}

/// [`POINTERS`] in one document.
fn model(document: &mut Value) {
    let redacted = || Value::from("REDACTED");
    let children = |value: &mut Value, change: &dyn Fn(&mut Value)| match value {
        Value::Array(elements) => elements.iter_mut().for_each(change),
        Value::Object(members) => members.values_mut().for_each(change),
        _ => {}
    };
    let member = |value: &mut Value, name| {
        if let Some(member) = value.as_object_mut().and_then(|members| members.get_mut(name)) {
            *member = redacted();
        }
    };
    children(document, &|child| children(child, &|value| member(value, "f")));
    if let Some(c) = document.get_mut("c") {
        children(c, &|value| member(value, "d/e"));
    }
    match document.get_mut("b") {
        Some(Value::Array(elements)) => elements.iter_mut().take(1).for_each(|first| *first = redacted()),
        Some(b) => member(b, "0"),
        None => {}
    }
    member(document, "a");
}

/// Cookies and queries: secrets are where a name is followed by its value, whichever the separator.
fn lists(data: &[u8], redaction: &Redaction) {
    let cookies = redaction.value(&http::header::COOKIE, data);
    let query = [b"?", data].concat();
    let query = redaction.value(&http::header::REFERER, &query);
    for (list, before, separators) in [(cookies, "", b";,"), (query, "?", b"&;")] {
        let Some(list) = list else { continue };
        let list = list.strip_prefix(before.as_bytes()).unwrap_or_default();
        let pairs = list.split(|byte| separators.contains(byte));
        for pair in pairs.filter_map(|pair| pair.strip_prefix(b"a=")) {
            assert!(pair.starts_with(b"REDACTED"), "{}", pair.escape_ascii());
        }
    }
}
