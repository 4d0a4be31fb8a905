//! The response decoder beside hyper's client.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use proptest::{collection::vec, prelude::*};
use shadow_userspace::http::{DecoderLimits, MAX_HEADERS, ResponseDecoder, ResponseEvent, ResponseTo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{Message, block_on, messages, pairs};

/// What the decoder says of one response.
#[derive(Debug, Default)]
struct Decoded {
    message: Message,
    /// Its bytes, interim responses before it included.
    bytes: Vec<u8>,
    end: End,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum End {
    /// There was no more of it.
    #[default]
    Incomplete,
    Complete,
    /// Complete, and the connection's end is its own.
    Closed,
    Tunnel,
    Failed,
}

fn decode(mut input: &[u8], requests: &[ResponseTo]) -> Vec<Decoded> {
    let mut decoder = ResponseDecoder::new(DecoderLimits::default());
    let mut responses = Vec::new();
    for to in requests {
        if input.is_empty() || decoder.is_dead() {
            break;
        }
        let (before, mut current) = (input, Decoded::default());
        decoder.push(&mut input, *to, |event| current.add(event));
        current.bytes = before[..before.len() - input.len()].to_vec();
        if input.is_empty() {
            let is_open = current.end == End::Incomplete;
            decoder.finish(|event| current.add(event));
            if is_open && current.end == End::Complete {
                current.end = End::Closed;
            }
        }
        // What came behind a last response is no part of it.
        let surplus = usize::try_from(decoder.bytes_after_last()).expect("they are in memory");
        current.bytes.truncate(current.bytes.len() - surplus);
        if !matches!(current.end, End::Complete | End::Closed) {
            current.bytes.extend(std::mem::take(&mut input));
        }
        responses.push(current);
    }
    responses
}

impl Decoded {
    fn add(&mut self, event: ResponseEvent<'_>) {
        match event {
            ResponseEvent::Head(head) => {
                self.message = Message::new(head.status().to_string(), head.headers())
            }
            ResponseEvent::Body(bytes) => self.message.body.extend_from_slice(bytes),
            ResponseEvent::End => self.end = End::Complete,
            ResponseEvent::Tunnel => self.end = End::Tunnel,
            ResponseEvent::Failed(_) => self.end = End::Failed,
            ResponseEvent::Interim(_) | ResponseEvent::Trailers(_) => {}
        }
    }
}

/// Sends a request, answers it with `bytes`, and gives what hyper made of them.
async fn exchange(
    sender: &mut SendRequest<Empty<Bytes>>,
    server: &mut Option<DuplexStream>,
    to: ResponseTo,
    response: &Decoded,
) -> Option<Message> {
    let (method, target) = match to {
        ResponseTo::Head => (Method::HEAD, "/"),
        ResponseTo::Connect => (Method::CONNECT, "a:1"),
        ResponseTo::Upgrade | ResponseTo::Other | ResponseTo::Unknown => (Method::GET, "/"),
    };
    let mut request = Request::builder().method(method).uri(target).header("host", "a");
    if to == ResponseTo::Upgrade {
        request = request.header("connection", "upgrade").header("upgrade", "a");
    }
    let request = request.body(Empty::new()).expect("a request");
    let asked = async {
        let response = sender.send_request(request).await.ok()?;
        let mut message = Message::new(response.status().as_u16().to_string(), pairs(response.headers()));
        message.body = response.into_body().collect().await.ok()?.to_bytes().to_vec();
        Some(message)
    };
    let answered = async {
        let mut open = server.take().expect("the connection is open");
        // hyper takes no answer before it has asked.
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && open.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
        let _ = open.write_all(&response.bytes).await;
        // Where the decoder says that a response is complete, hyper must see that without the connection's end.
        if matches!(response.end, End::Complete | End::Tunnel) {
            *server = Some(open);
        }
    };
    let both = async { tokio::join!(asked, answered).0 };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("hyper waits for more")
}

/// Gives how many responses both read alike.
async fn compare(input: &[u8], requests: &[ResponseTo]) -> Result<usize, TestCaseError> {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(client))
        .await
        .expect("no IO yet");
    let connection = tokio::spawn(connection.with_upgrades());
    let mut server = Some(server);
    let mut alike = 0;
    for (response, to) in decode(input, requests).iter().zip(requests) {
        let hypers = exchange(&mut sender, &mut server, *to, response).await;
        let context = || format!("{} {requests:?}", input.escape_ascii());
        match response.end {
            End::Complete | End::Closed | End::Tunnel => {
                prop_assert_eq!(hypers.as_ref(), Some(&response.message), "{}", context());
            }
            End::Incomplete => prop_assert_eq!(hypers, None, "{}", context()),
            End::Failed => {}
        }
        if response.end != End::Complete {
            break;
        }
        alike += 1;
        // hyper says now whether it goes on with the connection.
        if sender.ready().await.is_err() {
            break;
        }
    }
    connection.abort();
    Ok(alike)
}

fn response() -> impl Strategy<Value = (ResponseTo, Vec<u8>)> {
    use ResponseTo::{Connect, Head, Other, Upgrade};
    let to = prop_oneof![6 => Just(Other), 2 => Just(Head), 1 => Just(Connect), 1 => Just(Upgrade)];
    let interim = prop_oneof![
        12 => Just(""), 1 => Just("HTTP/1.1 100 Continue\r\n\r\n"), 1 => Just("HTTP/1.1 103 X\r\nA: b\r\n\r\n"),
        1 => Just("\r\n"), 1 => Just("\n"),
    ];
    let line = prop_oneof![
        12 => Just("HTTP/1.1 200 OK"), 3 => Just("HTTP/1.1 404 Not  Found"), 1 => Just("HTTP/1.1 204 No Content"),
        1 => Just("HTTP/1.1 304 Not Modified"), 1 => Just("HTTP/1.0 200 OK"), 1 => Just("HTTP/1.1 101 Switch"),
        1 => Just("HTTP/1.1 200"), 1 => Just("HTTP/1.1 999 "), 1 => Just("HTTP/1.1 205 R\u{e9}set"),
    ];
    (to, interim, line, messages::lines(), messages::framed_body()).prop_map(
        |(to, interim, line, lines, (framing, body))| {
            let has_body = to != Head && !line.contains("204") && !line.contains("304");
            // Only the last response may end with the connection.
            let framing = if framing.is_empty() && has_body { "Content-Length: 0\r\n" } else { &framing };
            let framing = if line.contains("204") { "" } else { framing };
            let head = format!("{interim}{line}\r\n{lines}{framing}\r\n");
            (to, [head.as_bytes(), if has_body { &body } else { &[] }].concat())
        },
    )
}

/// Answers to requests, perhaps with one behind them that the connection's end delimits.
fn responses() -> impl Strategy<Value = (Vec<ResponseTo>, Vec<u8>)> {
    let last = vec(any::<u8>(), 0..40)
        .prop_map(|body| (ResponseTo::Other, [b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat()));
    (vec(response(), 1..5), prop::option::weighted(0.2, last)).prop_map(|(mut responses, last)| {
        responses.extend(last);
        let (requests, bytes): (Vec<_>, Vec<_>) = responses.into_iter().unzip();
        (requests, bytes.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn what_is_complete_hyper_read_alike((requests, input) in responses().prop_flat_map(|(requests, bytes)| {
        (Just(requests), messages::mutated(Just(bytes)))
    })) {
        block_on(compare(&input, &requests))?;
    }
}

/// The comparison itself sees responses.
#[test]
fn the_comparison_is_no_empty_one() {
    use ResponseTo::{Head, Other};
    let three = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab\
        HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n\
        HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    assert_eq!(block_on(compare(three.as_bytes(), &[Other, Head, Other])).unwrap(), 3);
    // Read as answers to other requests, hyper sees something else in the same bytes.
    let wrong = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    let decoded = decode(wrong, &[Head]).pop().unwrap();
    let seen = block_on(async {
        let (client, server) = tokio::io::duplex(1 << 10);
        let (mut sender, connection) = http1::handshake(TokioIo::new(client)).await.unwrap();
        let connection = tokio::spawn(connection);
        let whole = Decoded { bytes: wrong.to_vec(), ..decoded };
        let seen = exchange(&mut sender, &mut Some(server), Other, &whole).await;
        connection.abort();
        (seen, whole.message)
    });
    assert_ne!(seen.0, Some(seen.1));
}
