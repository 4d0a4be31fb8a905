//! Bodies that arrive while they are sent: whole, aborted, too fast for v2, refused.

use tokio::{net::TcpStream, sync::mpsc};

use super::*;
use crate::shadow::client::body::{BodyLag, BodyWriter, Room};

const MANY: usize = 3_000_000;

fn bytes(length: usize) -> Bytes {
    (0..length).map(|n| (n % 251) as u8).collect()
}

fn post(length: Option<usize>) -> Parts {
    match length {
        Some(length) => head("POST", &[("content-length", &length.to_string())]),
        None => head("POST", &[("transfer-encoding", "chunked")]),
    }
}

/// Sends in a task of its own, within `timeout` from the body's end.
fn begin(
    client: &ShadowClient,
    length: Option<usize>,
    timeout: Duration,
) -> (BodyWriter, tokio::task::JoinHandle<Outcome>) {
    let (writer, body) = CopyBody::stream(length.map(|length| length as u64), 256 << 10, &Room::new(1 << 20));
    let client = client.clone();
    (writer, tokio::spawn(async move { client.send(post(length), body, timeout).await }))
}

/// Gives all of it, as fast as v2 takes it; says what stopped it if not v2's pace.
async fn push_all(writer: &mut BodyWriter, body: &Bytes) -> Result<(), BodyLag> {
    for piece in body.chunks(60_000) {
        let piece = Bytes::copy_from_slice(piece);
        while let Err(error) = writer.push(piece.clone()) {
            if error == BodyLag::Gone {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_streamed_body_arrives_whole_and_its_connection_is_kept() {
    let (peer, mut received) = Peer::recording().await;
    let client = client(peer.upstream());
    let body = bytes(MANY);
    for round in 0..3 {
        let (mut writer, outcome) = begin(&client, Some(MANY), LONG);
        push_all(&mut writer, &body).await.unwrap();
        writer.finish(None);
        assert_eq!(outcome.await.unwrap(), Outcome::Mirrored(204), "{round}");
        assert!(received.recv().await.unwrap().ends_with(&body));
    }
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_chunked_stream_ends_with_its_trailers() {
    let (peer, mut received) = Peer::recording().await;
    let client = client(peer.upstream());
    let (mut writer, body) = CopyBody::stream(None, 1000, &Room::new(1 << 20));
    let mut fields = post(None);
    fields.headers.insert("trailer", "x-sum".parse().unwrap());
    let copy = tokio::spawn(async move { client.send(fields, body, LONG).await });
    writer.push(Bytes::from_static(b"abc")).unwrap();
    writer.finish(Some([("x-sum".parse().unwrap(), "1".parse().unwrap())].into_iter().collect()));
    assert_eq!(copy.await.unwrap(), Outcome::Mirrored(204));
    let wire = received.recv().await.unwrap();
    assert!(wire.ends_with(b"\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"), "{}", wire.escape_ascii());
}

/// Reads everything there is until the connection's end, and hands it out.
async fn reading() -> (Peer, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let peer = Peer::spawn(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut bytes = Vec::new();
            // A reset is an end too.
            stream.read_to_end(&mut bytes).await.ok();
            sender.send(bytes).ok();
            Ok(())
        }
    })
    .await;
    (peer, receiver)
}

#[tokio::test]
async fn a_body_that_is_aborted_never_becomes_a_whole_request() {
    for (length, pushed) in [(Some(10), 3), (Some(10), 10), (None, 3), (None, 0), (Some(10), 0)] {
        let (peer, mut received) = reading().await;
        let client = client(peer.upstream());
        let (mut writer, outcome) = begin(&client, length, LONG);
        writer.push(bytes(pushed)).unwrap();
        let limit = Instant::now() + Duration::from_secs(5);
        while client.connections() == 0 {
            assert!(Instant::now() < limit);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(writer);
        assert_eq!(outcome.await.unwrap(), Outcome::Failed(FailReason::Reset));
        let got = received.recv().await.unwrap();
        let end = got.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4);
        let body = end.map_or(&[][..], |end| &got[end..]);
        match length {
            Some(length) => assert!(body.len() < length, "{}", got.escape_ascii()),
            None => assert!(!body.ends_with(b"0\r\n\r\n"), "{}", got.escape_ascii()),
        }
    }
}

#[tokio::test]
async fn a_v2_that_reads_nothing_fills_the_buffer_and_no_more() {
    let peer = Peer::spawn(|stream| async move {
        let _held = stream;
        std::future::pending().await
    })
    .await;
    let client = client(peer.upstream());
    let (mut writer, outcome) = begin(&client, Some(1 << 30), LONG);
    let piece = bytes(60_000);
    let mut pushed = 0;
    let limit = Instant::now() + Duration::from_secs(10);
    let mut full_since = None;
    // The sockets' buffers first, then ours: full for 100 ms on end.
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(100)) {
        assert!(Instant::now() < limit, "the buffer takes whatever comes");
        match writer.push(piece.clone()) {
            Ok(()) => (pushed, full_since) = (pushed + piece.len(), None),
            Err(error) => {
                assert_eq!(error, BodyLag::Full);
                full_since = full_since.or_else(|| Some(Instant::now()));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    assert!(writer.buffered() <= 256 << 10 && pushed > 256 << 10, "{pushed}");
    drop(writer);
    assert_eq!(outcome.await.unwrap(), Outcome::Failed(FailReason::Reset));
}

async fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        stream.read_buf(&mut bytes).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_early_counts_and_ends_the_stream() {
    const REFUSAL: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    for close in [true, false] {
        let peer = Peer::spawn(move |mut stream| async move {
            read_head(&mut stream).await?;
            stream.write_all(REFUSAL).await?;
            if !close {
                stream.read_to_end(&mut Vec::new()).await?;
            }
            Ok(())
        })
        .await;
        let client = client(peer.upstream());
        for round in 0..20 {
            let (mut writer, outcome) = begin(&client, Some(1 << 30), LONG);
            let body = bytes(MANY);
            let limit = Instant::now() + Duration::from_secs(5);
            while push_all(&mut writer, &body).await.is_ok() {
                assert!(Instant::now() < limit, "the writer never hears of it");
            }
            assert_eq!(outcome.await.unwrap(), Outcome::Mirrored(413), "{close} {round}");
        }
        assert_eq!(peer.accepted(), 20, "a connection with half a request on it is not used again");
    }
}

#[tokio::test]
async fn the_time_runs_from_the_bodys_end() {
    let (peer, _received) = Peer::recording().await;
    let answering = client(peer.upstream());
    let timeout = Duration::from_millis(100);
    let (mut writer, outcome) = begin(&answering, Some(2), timeout);
    writer.push(bytes(1)).unwrap();
    tokio::time::sleep(timeout * 3).await;
    assert!(!outcome.is_finished(), "no time runs while the client still sends");
    writer.push(bytes(1)).unwrap();
    writer.finish(None);
    assert_eq!(outcome.await.unwrap(), Outcome::Mirrored(204));

    let (silent, _received) = reading().await;
    let (mut writer, outcome) = begin(&client(silent.upstream()), Some(1), timeout);
    writer.push(bytes(1)).unwrap();
    writer.finish(None);
    let outcome = tokio::time::timeout(LONG, outcome).await.unwrap();
    assert_eq!(outcome.unwrap(), Outcome::Failed(FailReason::Timeout));
}

#[tokio::test]
async fn a_stream_to_nobody_ends_at_once() {
    let (mut writer, outcome) = begin(&client(refusing().await), Some(1 << 30), LONG);
    assert_eq!(outcome.await.unwrap(), Outcome::Failed(FailReason::Connect));
    assert_eq!(writer.push(bytes(1)), Err(BodyLag::Gone));
}
