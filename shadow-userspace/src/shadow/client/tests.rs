//! What arrives at a real listener, and what its answers mean.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use super::*;
use crate::{
    http::RequestHead,
    shadow::{
        copy::host::SUFFIX,
        testing::{Peer, copy, read_request, refusing},
    },
};

mod balance;
mod hostile;
mod streaming;
mod tls;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn options(upstream: Upstream) -> UpstreamOptions {
    UpstreamOptions { timeout: Duration::from_secs(5), own_mark: 0, ..UpstreamOptions::new(upstream) }
}

fn client(upstream: Upstream) -> ShadowClient {
    ShadowClient::new(&options(upstream)).unwrap()
}

/// A request's head with these header fields.
fn head(method: &str, fields: &[(&'static str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri("/").header("host", "a");
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

/// A GET without a body, given a few seconds.
async fn get(client: &ShadowClient) -> Outcome {
    client.send(head("GET", &[]), CopyBody::sized(Bytes::new()), Duration::from_secs(5)).await
}

async fn send_with(
    client: &ShadowClient,
    head: &'static str,
    body: &'static str,
    trailers: &[(&'static str, &'static str)],
) -> Outcome {
    let head = RequestHead::parse(Bytes::from_static(head.as_bytes())).unwrap();
    let trailers: Vec<_> =
        trailers.iter().map(|(name, value)| (Bytes::from_static(name.as_bytes()), (*value).into())).collect();
    let body = Bytes::from_static(body.as_bytes());
    send_copy(client, copy(&head, body, &trailers, client.upstream(), SUFFIX).unwrap()).await
}

async fn send_copy(client: &ShadowClient, copy: Request<CopyBody>) -> Outcome {
    let (head, body) = copy.into_parts();
    client.send(head, body, Duration::from_secs(5)).await
}

/// A GET that is given a tenth of a second.
async fn send_hastily(client: &ShadowClient) -> Outcome {
    client.send(head("GET", &[]), CopyBody::sized(Bytes::new()), Duration::from_millis(100)).await
}

async fn send(client: &ShadowClient, head: &'static str) -> Outcome {
    send_with(client, head, "", &[]).await
}

#[tokio::test]
async fn the_wire_shows_the_clients_request() {
    let (peer, mut received) = Peer::recording().await;
    let client = client(peer.upstream());
    for (head, body, trailers, wire) in [
        (
            "GET /a\"?b=%20| HTTP/1.1\r\nHost: a:8080\r\nAccept: */*\r\n\r\n",
            "",
            &[][..],
            "GET /a\"?b=%20| HTTP/1.1\r\nhost: a-shadow:8080\r\naccept: */*\r\nx-shadow-copy: 1\r\n\r\n",
        ),
        (
            "get //x HTTP/1.1\r\nHost: \r\n\r\n",
            "",
            &[],
            "get //x HTTP/1.1\r\nhost: \r\nx-shadow-copy: 1\r\n\r\n",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "",
            &[],
            "OPTIONS * HTTP/1.1\r\nhost: a-shadow\r\nx-shadow-copy: 1\r\n\r\n",
        ),
        (
            "GET http://b/x? HTTP/1.1\r\nHost: a\r\n\r\n",
            "",
            &[],
            "GET /x? HTTP/1.1\r\nhost: b-shadow\r\nx-shadow-copy: 1\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "",
            &[],
            "POST / HTTP/1.1\r\nhost: a-shadow\r\nx-shadow-copy: 1\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "",
            &[],
            "POST / HTTP/1.1\r\nhost: a-shadow\r\ncontent-length: 0\r\nx-shadow-copy: 1\r\n\r\n",
        ),
        (
            "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
            "ab",
            &[],
            "DELETE / HTTP/1.1\r\nhost: a-shadow\r\ncontent-length: 2\r\nx-shadow-copy: 1\r\n\r\nab",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "abc",
            &[],
            "GET / HTTP/1.1\r\nhost: a-shadow\r\ntransfer-encoding: chunked\r\nx-shadow-copy: 1\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n",
            "",
            &[],
            "POST / HTTP/1.1\r\nhost: a-shadow\r\ntransfer-encoding: chunked\r\nx-shadow-copy: 1\r\n\r\n\
             0\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n",
            "abc",
            &[("X-Sum", "1"), ("x-more", "2")],
            "POST / HTTP/1.1\r\nhost: a-shadow\r\ntrailer: X-Sum\r\ntrailer: x-more\r\n\
             transfer-encoding: chunked\r\nx-shadow-copy: 1\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n",
        ),
        (
            "POST /old HTTP/1.0\r\nContent-Length: 2\r\n\r\n",
            "ab",
            &[],
            "POST /old HTTP/1.0\r\ncontent-length: 2\r\nconnection: close\r\nx-shadow-copy: 1\r\n\r\nab",
        ),
    ] {
        assert_eq!(send_with(&client, head, body, trailers).await, Outcome::Mirrored(204), "{head}");
        let got = received.recv().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&got), wire);
    }
    assert_eq!(client.connections(), 1, "one connection served them all, one after the other");
}

#[tokio::test]
async fn header_values_cross_the_wire_as_bytes() {
    let (peer, mut received) = Peer::recording().await;
    let client = client(peer.upstream());
    let head = RequestHead::parse(Bytes::from_static(b"GET / HTTP/1.1\r\nHost: a:1\r\nX: \xff\ta\r\n\r\n"));
    let copy = copy(&head.unwrap(), Bytes::new(), &[], client.upstream(), SUFFIX).unwrap();
    assert_eq!(send_copy(&client, copy).await, Outcome::Mirrored(204));
    assert_eq!(
        received.recv().await.unwrap(),
        b"GET / HTTP/1.1\r\nhost: a-shadow:1\r\nx: \xff\ta\r\nx-shadow-copy: 1\r\n\r\n"
    );
}

#[tokio::test]
async fn a_large_body_crosses_the_wire_whole() {
    let body: Bytes = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (peer, mut received) = Peer::recording().await;
    let client = client(peer.upstream());
    let raw = format!("PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let head = RequestHead::parse(raw).unwrap();
    let copy = copy(&head, body.clone(), &[], client.upstream(), SUFFIX).unwrap();
    assert_eq!(send_copy(&client, copy).await, Outcome::Mirrored(204));
    assert!(received.recv().await.unwrap().ends_with(&body));
}

#[tokio::test]
async fn answers_of_every_framing_are_read_to_their_end() {
    for (answer, status) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..], 200),
        (b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 503),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201),
        (b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", 599),
    ] {
        let peer = Peer::answering(answer).await;
        let client = client(peer.upstream());
        for _ in 0..3 {
            assert_eq!(send(&client, GET).await, Outcome::Mirrored(status));
        }
        assert_eq!(peer.accepted(), 1, "the connection is kept");
    }
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").await;
    assert_eq!(
        send(&client(peer.upstream()), "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await,
        Outcome::Mirrored(200)
    );
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let peer = Peer::spawn(|mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nabc").await
    })
    .await;
    assert_eq!(send(&client(peer.upstream()), GET).await, Outcome::Mirrored(200));
}

#[tokio::test]
async fn nobody_there_is_a_connect_failure_and_no_name_one_of_dns() {
    assert_eq!(send(&client(refusing().await), GET).await, Outcome::Failed(FailReason::Connect));
    let unknown = "http://no-such-name.invalid:80".parse().unwrap();
    assert_eq!(send(&client(unknown), GET).await, Outcome::Failed(FailReason::Dns));
}

#[tokio::test]
async fn a_black_hole_is_a_timeout_and_its_connection_is_closed() {
    let closed = Arc::new(Notify::new());
    let seen = Arc::clone(&closed);
    let peer = Peer::spawn(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            while stream.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
            seen.notify_one();
            Ok(())
        }
    })
    .await;
    let began = Instant::now();
    assert_eq!(send_hastily(&client(peer.upstream())).await, Outcome::Failed(FailReason::Timeout));
    assert!(began.elapsed() >= Duration::from_millis(100));
    closed.notified().await;
}

#[tokio::test]
async fn an_answer_that_never_ends_is_a_timeout() {
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc").await;
    assert_eq!(send_hastily(&client(peer.upstream())).await, Outcome::Failed(FailReason::Timeout));
}

#[tokio::test]
async fn a_connection_that_ends_early_is_a_reset() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
    ] {
        for abort in [false, true] {
            let peer = Peer::spawn(move |mut stream| async move {
                read_request(&mut stream).await?;
                stream.write_all(answer).await?;
                if abort {
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                }
                Ok(())
            })
            .await;
            let outcome = send(&client(peer.upstream()), GET).await;
            assert_eq!(outcome, Outcome::Failed(FailReason::Reset), "{} {abort}", answer.escape_ascii());
            assert_eq!(peer.accepted(), 1, "it may have been processed, so it is not sent again");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let peer = Peer::answering(answer).await;
        let outcome = send(&client(peer.upstream()), GET).await;
        assert_eq!(outcome, Outcome::Failed(FailReason::Protocol), "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off_and_counts_as_answered() {
    let closed = Arc::new(Notify::new());
    let seen = Arc::clone(&closed);
    let peer = Peer::spawn(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
            seen.notify_one();
            Ok(())
        }
    })
    .await;
    let options = UpstreamOptions { max_response: 1 << 20, ..options(peer.upstream()) };
    let client = ShadowClient::new(&options).unwrap();
    assert_eq!(send(&client, GET).await, Outcome::Mirrored(200));
    closed.notified().await;
}

#[tokio::test]
async fn five_thousand_copies_survive_connections_of_ten_requests() {
    let peer = Peer::spawn(|mut stream| async move {
        for left in (0..10).rev() {
            if read_request(&mut stream).await?.is_none() {
                break;
            }
            let close = if left == 0 { "Connection: close\r\n" } else { "" };
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 2\r\n\r\nok").as_bytes())
                .await?;
        }
        Ok(())
    })
    .await;
    let client = client(peer.upstream());
    for sent in 0..5_000 {
        assert_eq!(send(&client, GET).await, Outcome::Mirrored(200), "copy {sent}");
    }
    assert_eq!((peer.accepted(), client.connections()), (500, 500));
}

#[tokio::test]
async fn a_connection_of_an_http_1_0_server_is_not_used_again() {
    let peer =
        Peer::answering(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok").await;
    let client = client(peer.upstream());
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for _ in 0..3 {
        assert_eq!(send_with(&client, chunked, "abc", &[]).await, Outcome::Mirrored(200));
    }
    assert_eq!(peer.accepted(), 3);
}

#[tokio::test]
async fn a_connection_that_v2_closed_while_unused_is_replaced() {
    let close = Arc::new(Notify::new());
    let closing = Arc::clone(&close);
    let peer = Peer::spawn(move |mut stream| {
        let closing = Arc::clone(&closing);
        async move {
            read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            closing.notified().await;
            Ok(())
        }
    })
    .await;
    let client = client(peer.upstream());
    for _ in 0..20 {
        assert_eq!(send(&client, GET).await, Outcome::Mirrored(204));
        close.notify_one();
        // Until the end of the connection has reached the pool.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(peer.accepted(), 20);
}
