//! Random conversations against what was said.

use proptest::{collection::vec, prelude::*};

use super::*;

/// What was said in an exchange: how the request is sent, and how it is answered.
#[derive(Clone, Debug)]
struct Said {
    request: String,
    response: String,
    words: String,
}

fn said() -> impl Strategy<Value = Said> {
    let body = "[a-z]{0,40}";
    let request = prop_oneof![
        "[a-z]{1,9}".prop_map(|path| (get(&format!("/{path}")), format!("GET /{path} ."), false)),
        body.prop_map(|body| (sized(&body), format!("POST /post {body}."), false)),
        "[a-z]{1,40}".prop_map(|body| {
            (
                post(CHUNKED, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
                format!("POST /post {body}."),
                false,
            )
        }),
        Just(("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "HEAD / .".to_owned(), true)),
    ];
    let response = ("[a-z]{1,40}", 0..4, any::<bool>());
    (request, response).prop_map(|((request, asked, is_head), (body, kind, interim))| {
        let length = body.len();
        let (mut response, mut answered) = match kind {
            0 => ("HTTP/1.1 304 Not\r\nContent-Length: 7\r\n\r\n".to_owned(), "304 .".to_owned()),
            1 => ("HTTP/1.1 204 No\r\n\r\n".to_owned(), "204 .".to_owned()),
            _ if is_head => {
                (format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"), "200 .".to_owned())
            }
            2 => {
                (format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"), format!("200 {body}."))
            }
            _ => (
                format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                ),
                format!("200 {body}."),
            ),
        };
        if interim {
            response.insert_str(0, "HTTP/1.1 103 Early\r\n\r\n");
            answered.insert_str(0, "(103)");
        }
        Said { request, response, words: format!("{asked} -> {answered}") }
    })
}

/// Cuts `text` into pieces of these sizes, and the rest.
fn pieces<'a>(text: &'a str, sizes: &[usize]) -> Vec<&'a str> {
    let (mut rest, mut pieces) = (text, Vec::new());
    for size in sizes {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        if !piece.is_empty() {
            pieces.push(piece);
        }
        rest = after;
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

proptest! {
    /// Whatever is said, in groups that are pipelined, cut anywhere: the exchanges are what was said.
    #[test]
    fn exchanges_are_what_was_said(
        groups in vec(vec(said(), 1..4), 1..5),
        sizes in vec(1..60_usize, 0..12),
    ) {
        let mut talk = Talk::new();
        let mut expected = Vec::new();
        for group in &groups {
            let requests: String = group.iter().map(|said| said.request.as_str()).collect();
            let responses: String = group.iter().map(|said| said.response.as_str()).collect();
            for piece in pieces(&requests, &sizes) {
                talk.client(piece);
            }
            for piece in pieces(&responses, &sizes) {
                talk.service(piece);
            }
            expected.extend(group.iter().map(|said| said.words.clone()));
        }
        prop_assert_eq!(talk.finished(), &expected);
        prop_assert_eq!(talk.end(), expected);
    }
}
