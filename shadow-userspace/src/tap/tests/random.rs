//! Whatever bytes come: one valid line, or one valid document, that drives no terminal.

use proptest::{collection::vec, prelude::*};

use super::*;

/// Bytes that heads may have in values: all but line ends, NUL and other control characters but the tab; many that
/// terminals obey in UTF-8, in part or whole.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..8),
        "\\PC{0,6}".prop_map(String::into_bytes),
        Just("\u{9b}31m\u{202e}\u{2028}\u{85}".as_bytes().to_vec()),
        Just(b"\"\\ \xc2".to_vec()),
    ];
    vec(piece, 0..4).prop_map(|pieces| {
        let mut bytes = pieces.concat();
        bytes.retain(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f));
        bytes
    })
}

/// Visible ASCII without what ends a target.
fn target() -> impl Strategy<Value = String> {
    "(|/|\\*|http://|[a-z]{1,3}:)[!-~&&[^#]]{1,20}"
}

fn head(line: &str, values: &[Vec<u8>]) -> Vec<u8> {
    let mut head = format!("{line}\r\n").into_bytes();
    for value in values {
        head.extend_from_slice(b"X-\x7e: ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\nCookie: ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\nSet-Cookie: ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Whether a terminal only shows it.
fn is_tame(text: &str) -> bool {
    !text.contains(crate::tap::escape::is_unsafe)
}

proptest! {
    #[test]
    fn every_head_is_shown_in_every_format(
        target in target(),
        values in vec(value(), 0..4),
        secrets in prop_oneof![Just(Secrets::Masked), Just(Secrets::Shown)],
    ) {
        let request = crate::http::RequestHead::parse(head(&format!("GET {target} HTTP/1.0"), &values)).unwrap();
        let response = crate::http::ResponseHead::parse(head("HTTP/1.1 200 \u{85}\u{9b}", &values)).unwrap();
        let parts = || {
            vec![RequestHead(request.clone()), RequestEnd(Ok(())), ResponseHead(response.clone())]
        };
        for format in [TEXT, TapFormat::Json, TapFormat::Har] {
            let (printed, _) = print(&TapOptions { secrets, ..options(format) }, vec![parts(), parts()]);
            prop_assert!(printed.lines().all(is_tame), "{printed:?}");
            match format {
                TapFormat::Har => drop(serde_json::from_str::<serde_json::Value>(&printed).unwrap()),
                _ => prop_assert_eq!(printed.lines().count(), 2),
            }
            if format == TapFormat::Json {
                let line: serde_json::Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
                prop_assert_eq!(line["headers"].as_array().unwrap().len(), 3 * values.len());
                prop_assert_eq!(bytes_of(&line["headers"][0][1], &values), true);
            }
        }
    }
}

/// Whether the first header's value is what was sent.
fn bytes_of(shown: &serde_json::Value, values: &[Vec<u8>]) -> bool {
    let (Some(shown), Some(sent)) = (shown.as_str(), values.first()) else { return values.is_empty() };
    let sent = sent.trim_ascii();
    match std::str::from_utf8(sent) {
        Ok(text) => shown == text,
        Err(_) => shown.chars().eq(sent.iter().map(|byte| char::from(*byte))),
    }
}
