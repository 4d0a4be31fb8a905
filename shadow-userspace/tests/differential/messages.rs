//! Messages to compare on: well-formed ones, doubtful ones, and ones with a few bytes changed.

use proptest::{collection::vec, prelude::*, sample::Index};

/// Header lines of which every message has a few. Few are doubtful, so that most messages are read to their end.
const LINES: &[&str] = &[
    "A: b",
    "a:c ",
    "X-Empty:",
    "X-Tabs: \t a\tb\t",
    "X-Bin: \u{e9}\u{ff}",
    "Accept: */*, text/html;q=0.5",
    "Content-Type: text/plain; charset=utf-8",
    "Cookie: a=b; c=\"d\"",
    "Connection: keep-alive",
    "Connection: x-a, x-b",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "Trailer: T",
    "Date: Tue, 24 Nov 2026 10:00:00 GMT",
];

const DOUBTFUL: &[&str] = &[
    "Content-Length: 3",
    "Content-Length: 1, 1",
    "Content-Length: +1",
    "content-length: 0",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding : chunked",
    "Connection: close",
    "Connection: Upgrade",
    "Host: b",
    " folded",
    "No colon",
    "Bare\nlf: 1",
    "Bare: \rcr",
    "Nul: \0",
];

/// Lines of a head, each with its line end.
pub fn lines() -> impl Strategy<Value = String> {
    let good = vec(proptest::sample::select(LINES), 0..5);
    let doubtful = prop::option::weighted(0.06, (any::<Index>(), proptest::sample::select(DOUBTFUL)));
    (good, doubtful).prop_map(|(mut lines, doubtful)| {
        if let Some((place, line)) = doubtful {
            lines.insert(place.index(lines.len() + 1), line);
        }
        lines.iter().map(|line| format!("{line}\r\n")).collect()
    })
}

/// The line that frames a body, and the body with this framing.
pub fn framed_body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let body = || vec(any::<u8>(), 0..50);
    let wrong = || prop_oneof![20 => Just(0), 1 => -2..=2_isize];
    let with_length = (body(), wrong()).prop_map(|(body, wrong)| {
        (format!("Content-Length: {}\r\n", body.len().saturating_add_signed(wrong)), body)
    });
    let extension =
        proptest::sample::select(&["", "", "", "", "", "", "", ";a", ";a=\"b\"", ";", " ", "\t;a"][..]);
    let trailers = proptest::sample::select(
        &["", "", "", "", "", "", "T: t\r\n", "T:\r\nU: u\r\n", "T : t\r\n", "Content-Length: 9\r\n"][..],
    );
    let chunked = (body(), 1..20_usize, wrong(), extension, trailers).prop_map(
        |(body, size, wrong, extension, trailers)| {
            let mut bytes = Vec::new();
            for chunk in body.chunks(size) {
                let size = chunk.len().saturating_add_signed(wrong);
                bytes.extend(format!("{size:x}{extension}\r\n").into_bytes());
                bytes.extend([chunk, b"\r\n"].concat());
            }
            bytes.extend(format!("0\r\n{trailers}\r\n").into_bytes());
            ("Transfer-Encoding: chunked\r\n".to_owned(), bytes)
        },
    );
    prop_oneof![2 => Just((String::new(), Vec::new())), 3 => with_length, 3 => chunked]
}

/// A few bytes of `bytes` changed, left out or put in; most of the time none.
pub fn mutated(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), proptest::sample::select(&b"\r\n\t :,;/#0159aGHTPc\"\x7f"[..])];
    let changes = prop_oneof![2 => Just(0..1_usize), 1 => Just(1..4)]
        .prop_flat_map(move |count| vec((any::<Index>(), 0..4_u8, byte.clone()), count));
    (bytes, changes).prop_map(|(mut bytes, changes)| {
        for (place, kind, byte) in changes {
            let place = place.index(bytes.len());
            match kind {
                0 => drop(bytes.remove(place)),
                1 => bytes.insert(place, byte),
                _ => bytes[place] = byte,
            }
        }
        bytes
    })
}
