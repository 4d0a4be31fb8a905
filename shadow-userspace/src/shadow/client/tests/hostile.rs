//! A v2 that floods, drips or never stops costs a copy its timeout at most, and bounded memory; kept connections.

use std::sync::Mutex;

use super::*;

/// Counts the bytes that it could write, without end, after `first`.
async fn flooding(first: &'static [u8], flood: &'static [u8]) -> (Peer, Arc<AtomicU64>) {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let peer = Peer::spawn(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            read_request(&mut stream).await?;
            stream.write_all(first).await?;
            loop {
                stream.write_all(flood).await?;
                count.fetch_add(flood.len() as u64, Ordering::Relaxed);
            }
        }
    })
    .await;
    (peer, written)
}

#[tokio::test]
async fn a_head_without_end_is_no_answer() {
    for flood in [&b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"[..], &[b'a'; 1000]] {
        let (peer, written) = flooding(b"HTTP/1.1 200 OK\r\nX: ", flood).await;
        assert_eq!(get(&client(peer.upstream())).await, Outcome::Failed(FailReason::Protocol));
        // What the sockets' buffers hold beside.
        assert!(written.load(Ordering::Relaxed) < 32 << 20);
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_answer() {
    for (size, outcome) in
        [(50_000, Outcome::Mirrored(204)), (200_000, Outcome::Failed(FailReason::Protocol))]
    {
        let peer = Peer::spawn(move |mut stream| async move {
            read_request(&mut stream).await?;
            let field = "a".repeat(size);
            stream.write_all(format!("HTTP/1.1 204 No Content\r\nX: {field}\r\n\r\n").as_bytes()).await
        })
        .await;
        assert_eq!(get(&client(peer.upstream())).await, outcome, "{size}");
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_a_timeout() {
    let (peer, _) = flooding(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
    let began = Instant::now();
    let client = client(peer.upstream());
    let body = CopyBody::sized(Bytes::new());
    let outcome = client.send(head("GET", &[]), body, Duration::from_millis(200)).await;
    assert_eq!(outcome, Outcome::Failed(FailReason::Timeout));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_answer_that_drips_is_a_timeout() {
    let peer = Peer::spawn(|mut stream| async move {
        read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(get_within(&client(peer.upstream()), 200).await, Outcome::Failed(FailReason::Timeout));
}

async fn get_within(client: &ShadowClient, milliseconds: u64) -> Outcome {
    let body = CopyBody::sized(Bytes::new());
    client.send(head("GET", &[]), body, Duration::from_millis(milliseconds)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_copies_share_one_connection() {
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let client = client(peer.upstream());
    for _ in 0..1000 {
        assert_eq!(get(&client).await, Outcome::Mirrored(200));
    }
    assert_eq!((peer.accepted(), client.connections(), client.open_connections()), (1, 1, 1));
}

/// Until no more than `count` connections are open.
async fn until_open(client: &ShadowClient, count: usize) {
    let limit = Instant::now() + Duration::from_secs(5);
    while client.open_connections() > count {
        assert!(Instant::now() < limit, "{} connections are open", client.open_connections());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn unused_connections_are_few_and_not_kept_for_long() {
    let barrier = Arc::new(tokio::sync::Barrier::new(5));
    let ends = Arc::new(Mutex::new(0));
    let (meet, ended) = (Arc::clone(&barrier), Arc::clone(&ends));
    let peer = Peer::spawn(move |mut stream| {
        let (meet, ended) = (Arc::clone(&meet), Arc::clone(&ended));
        async move {
            read_request(&mut stream).await?;
            meet.wait().await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            read_request(&mut stream).await?;
            *ended.lock().unwrap() += 1;
            Ok(())
        }
    })
    .await;
    let idle_timeout = Duration::from_millis(300);
    let options = UpstreamOptions { idle_timeout, max_in_flight: 2, ..options(peer.upstream()) };
    let client = ShadowClient::new(&options).unwrap();
    let copies: Vec<_> = (0..5)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { get(&client).await })
        })
        .collect();
    for copy in copies {
        assert_eq!(copy.await.unwrap(), Outcome::Mirrored(204));
    }
    until_open(&client, 2).await;
    assert_eq!(client.open_connections(), 2);
    until_open(&client, 0).await;
    let limit = Instant::now() + Duration::from_secs(5);
    while *ends.lock().unwrap() < 5 {
        assert!(Instant::now() < limit, "v2 doesn't see the ends");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn unused_connections_are_closed_however_often_there_are_some() {
    let connections = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&connections);
    let peer = Peer::spawn(move |mut stream| {
        // Of two at once, the second is kept later, and longer.
        let late = Duration::from_millis(count.fetch_add(1, Ordering::Relaxed) % 2 * 50);
        async move {
            read_request(&mut stream).await?;
            tokio::time::sleep(late).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            stream.read_u8().await.map(drop)
        }
    })
    .await;
    let options = UpstreamOptions { idle_timeout: Duration::from_millis(200), ..options(peer.upstream()) };
    let client = ShadowClient::new(&options).unwrap();
    for _ in 0..2 {
        let outcomes = tokio::join!(get(&client), get(&client));
        assert_eq!(outcomes, (Outcome::Mirrored(204), Outcome::Mirrored(204)));
        until_open(&client, 0).await;
    }
}

#[tokio::test]
async fn an_answer_of_the_largest_size_keeps_its_connection() {
    for (max_response, connections) in [(10, 1), (9, 2)] {
        let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789").await;
        let client =
            ShadowClient::new(&UpstreamOptions { max_response, ..options(peer.upstream()) }).unwrap();
        for _ in 0..2 {
            assert_eq!(get(&client).await, Outcome::Mirrored(200));
        }
        assert_eq!(client.connections(), connections, "{max_response}");
    }
}

/// v2 closes a kept connection just when a copy takes it.
#[tokio::test]
async fn a_copy_of_which_no_byte_was_written_goes_out_on_another_connection() {
    use std::{
        io::{Read as _, Write as _},
        sync::mpsc::channel,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (close, told) = channel();
    let (closed, ended) = channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            if matches!(stream.read(&mut [0; 1024]), Ok(1..)) {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                told.recv().ok();
                drop(stream);
                closed.send(()).ok();
            }
        }
    });
    let client = client(format!("http://{address}").parse().unwrap());
    assert_eq!(get(&client).await, Outcome::Mirrored(204));
    close.send(()).unwrap();
    // The runtime stands still meanwhile, and then sees the end, but this copy comes first.
    ended.recv().unwrap();
    tokio::task::yield_now().await;
    assert_eq!((get(&client).await, client.connections()), (Outcome::Mirrored(204), 2));
}
