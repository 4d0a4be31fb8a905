//! The request decoder beside hyper's server.

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, Uri, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::{collection::vec, prelude::*};
use shadow_userspace::http::{DecoderLimits, MAX_HEADERS, RequestDecoder, RequestEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Message, block_on, messages, pairs};

/// What the decoder says is complete, and whether it said that it goes no further.
fn decode(input: &[u8]) -> (Vec<Message>, bool) {
    let mut decoder = RequestDecoder::new(DecoderLimits::default());
    let (mut complete, mut current) = (Vec::new(), Message::default());
    let mut has_failed = false;
    decoder.push(input, |event| match event {
        RequestEvent::Head(head) => {
            current = Message::new(format!("{} {}", head.method(), head.target()), head.headers());
        }
        RequestEvent::Body(bytes) => current.body.extend_from_slice(bytes),
        RequestEvent::End => complete.push(std::mem::take(&mut current)),
        RequestEvent::Failed(_) | RequestEvent::NotHttp1(_) => has_failed = true,
        RequestEvent::Start | RequestEvent::Trailers(_) => {}
    });
    assert!(decoder.is_dead() || !has_failed);
    (complete, decoder.is_dead())
}

/// What hyper served: requests whose body it read to the end.
async fn serve(input: &[u8]) -> Vec<Message> {
    let (client, server) = tokio::io::duplex(1 << 16);
    let served = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let served = Rc::clone(&served);
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let mut message = Message::new(line, pairs(request.headers()));
            if let Ok(body) = request.into_body().collect().await {
                message.body = body.to_bytes().to_vec();
                served.borrow_mut().push(message);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = http1::Builder::new();
    let connection =
        builder.half_close(true).max_headers(MAX_HEADERS).serve_connection(TokioIo::new(server), service);
    let (mut answers, mut requests) = tokio::io::split(client);
    let (_, _, _) = tokio::join!(
        // What hyper doesn't take to its end is an error here; what it served says enough.
        connection,
        async {
            let _ = requests.write_all(input).await;
            let _ = requests.shutdown().await;
        },
        async { answers.read_to_end(&mut Vec::new()).await }
    );
    served.take()
}

/// hyper needs targets that `http::Uri` takes, and shows them as that does.
fn as_hyper_shows(mut message: Message) -> Option<Message> {
    let (method, target) = message.line.split_once(' ')?;
    message.line = format!("{method} {}", target.parse::<Uri>().ok()?);
    Some(message)
}

fn compare(input: &[u8]) -> Result<usize, TestCaseError> {
    let (ours, has_stopped) = decode(input);
    let hypers = block_on(serve(input));
    let count = ours.len();
    let expected: Vec<Message> = ours.into_iter().map_while(as_hyper_shows).collect();
    let is_refused_by_hyper = expected.len() < count;
    prop_assert_eq!(
        &expected[..],
        hypers.get(..expected.len()).unwrap_or(&hypers),
        "{}",
        input.escape_ascii()
    );
    if hypers.len() > expected.len() {
        prop_assert!(!is_refused_by_hyper, "hyper took {:?}", hypers[expected.len()]);
        prop_assert!(has_stopped, "hyper read more: {:?}", &hypers[expected.len()..]);
    }
    Ok(count)
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![
        10 => Just("GET"), 10 => Just("POST"), 1 => Just("HEAD"), 1 => Just("M-SEARCH"), 1 => Just("CONNECT"),
    ];
    let target = prop_oneof![
        8 => proptest::sample::select(&["/", "/a?b=%20", "/?", "http://a.example/x?y", "//"][..]),
        1 => proptest::sample::select(&["*", "http://a", "a:80", "/a#b", "/[\"{}|\\^`"][..]),
    ];
    let version = prop_oneof![12 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0")];
    let host = prop_oneof![40 => Just("Host: a\r\n"), 1 => Just("")];
    let empty_lines = prop_oneof![40 => Just(""), 2 => Just("\r\n"), 1 => Just("\n")];
    let line = (empty_lines, method, target, version, host);
    (line, messages::lines(), messages::framed_body()).prop_map(|(line, lines, (framing, body))| {
        let (empty_lines, method, target, version, host) = line;
        let head = format!("{empty_lines}{method} {target} {version}\r\n{host}{lines}{framing}\r\n");
        [head.into_bytes(), body].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn what_is_complete_hyper_served_alike(
        input in messages::mutated(vec(request(), 1..5).prop_map(|requests| requests.concat())),
    ) {
        compare(&input)?;
    }
}

/// The comparison itself sees requests, and where hyper is more lenient.
#[test]
fn the_comparison_is_no_empty_one() {
    let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    for (input, ours, hypers) in [
        (get.repeat(3), 3, 3),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned() + get, 2, 2),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabc".to_owned(), 0, 0),
        (get.replace("\r\n", "\n"), 0, 1),
        (get.replace("Host: a\r\n", ""), 0, 1),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), 0, 1),
        (get.replace("HTTP/1.1", "HTTP/1.0") + get, 1, 1),
    ] {
        assert_eq!(compare(input.as_bytes()).unwrap(), ours, "{input}");
        assert_eq!(block_on(serve(input.as_bytes())).len(), hypers, "{input}");
    }
}
