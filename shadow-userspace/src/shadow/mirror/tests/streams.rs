//! Large bodies: they arrive byte by byte as they were, or not to their end.

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::shadow::mirror::job::Streams;

const HEAD: &str = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
const CHUNKED: &str = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Tells of every byte that it got and of the connection's end; answers what is whole.
async fn logging() -> (Peer, mpsc::UnboundedReceiver<(Vec<u8>, bool)>) {
    let (got, gets) = mpsc::unbounded_channel();
    let peer = Peer::spawn(move |mut stream| {
        let got = got.clone();
        async move {
            let mut bytes = Vec::new();
            loop {
                let is_over = !matches!(stream.read_buf(&mut bytes).await, Ok(1..));
                got.send((bytes.clone(), is_over)).ok();
                if is_over {
                    return Ok(());
                }
                if crate::shadow::testing::is_whole(&bytes) {
                    bytes.clear();
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                }
            }
        }
    })
    .await;
    (peer, gets)
}

/// Begins a request with this much of its body.
fn begin(rig: &mut Rig, head: &str, body: &[u8]) -> Option<Box<Streams>> {
    let request = captured(head, body);
    let admitted = rig.admit(&request).unwrap();
    assert_eq!(admitted.stream_above, Some(256 << 10));
    rig.sink.begin(request, admitted.copies)
}

#[tokio::test]
async fn a_stream_arrives_as_it_was() {
    let (peer, mut received) = Peer::recording().await;
    let body: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    for head in [HEAD, CHUNKED] {
        let mut rig = Rig::to(peer.upstream(), |_| {});
        let mut stream = begin(&mut rig, head, &body[..300_000]).unwrap();
        for chunk in body[300_000..].chunks(70_001) {
            assert!(rig.sink.chunk(&mut stream, Bytes::copy_from_slice(chunk)));
        }
        assert_eq!(rig.ledger.snapshot().in_flight(), 1);
        rig.sink.end(stream, Vec::new());
        let mirror = rig.mirror.clone();
        rig.expect(&[("mirrored", 1)]).await;
        assert!(mirror.latency().total().max > Duration::ZERO);
        let request = received.recv().await.unwrap();
        let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let wire = &request[end..];
        let sent = if head == HEAD { wire.to_vec() } else { unchunked(wire) };
        assert!(sent == body, "{} bytes", sent.len());
    }
}

fn unchunked(mut wire: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = wire.windows(2).position(|window| window == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&wire[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend(&wire[line + 2..line + 2 + size]);
        wire = &wire[line + 2 + size + 2..];
    }
}

/// Invariant 3.
#[tokio::test]
async fn what_is_aborted_is_never_complete_towards_v2() {
    for (head, reason) in [(HEAD, DropReason::Gap), (CHUNKED, DropReason::Incomplete)] {
        let (peer, mut gets) = logging().await;
        let mut rig = Rig::to(peer.upstream(), |_| {});
        let mut stream = begin(&mut rig, head, b"begun").unwrap();
        while !gets.recv().await.unwrap().0.ends_with(if head == HEAD { b"begun" } else { b"begun\r\n" }) {}
        assert!(rig.sink.chunk(&mut stream, Bytes::from_static(b"more")));
        rig.sink.abort(stream, reason);
        assert_eq!(rig.drops(), [(reason, 1)], "at once");
        let wire = loop {
            let (wire, is_over) = gets.recv().await.unwrap();
            if is_over {
                break wire;
            }
        };
        assert!(!crate::shadow::testing::is_whole(&wire), "{}", String::from_utf8_lossy(&wire));
        // And the place is free.
        rig.expect(&[(reason.label(), 1)]).await;
    }
}

#[tokio::test]
async fn a_v2_that_is_too_slow_costs_the_copy_and_nothing_else() {
    // Never reads.
    let peer = Peer::spawn(|stream| async move {
        let _stream = stream;
        std::future::pending().await
    })
    .await;
    let mut rig = Rig::to(peer.upstream(), |options| options.stream_buffer = 1 << 20);
    let mut stream =
        begin(&mut rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n", b"x").unwrap();
    let chunk = Bytes::from(vec![b'x'; 64 << 10]);
    let began = Instant::now();
    let mut taken = 0;
    while rig.sink.chunk(&mut stream, chunk.clone()) {
        taken += chunk.len();
        // The kernel's buffers take some too.
        assert!(taken < 100 << 20);
        tokio::task::yield_now().await;
    }
    assert!(taken >= 960 << 10 && began.elapsed() < Duration::from_secs(5));
    rig.expect(&[("backlog", 1)]).await;
}

#[tokio::test]
async fn one_copy_may_be_too_large_while_another_goes_on() {
    let (peer, mut received) = Peer::recording().await;
    let small = ShadowOptions { max_body: 300_000, ..shadow_to("small") };
    let upstreams = vec![upstream("small", peer.upstream()), upstream("large", peer.upstream())];
    let mut rig = Rig::new(&config(upstreams, vec![route("both", vec![small, shadow_to("large")])]));
    let mut stream = begin(&mut rig, CHUNKED, &[b'x'; 270_000]).unwrap();
    assert!(rig.sink.chunk(&mut stream, Bytes::from(vec![b'x'; 30_000])));
    assert_eq!(rig.drops(), []);
    assert!(rig.sink.chunk(&mut stream, Bytes::from_static(b"x")));
    assert_eq!(rig.drops(), [(DropReason::BodyTooLarge, 1)]);
    rig.sink.end(stream, Vec::new());
    rig.expect(&[("mirrored", 1), ("body_too_large", 1)]).await;
    assert!(received.recv().await.unwrap().ends_with(b"0\r\n\r\n"));
    assert!(received.try_recv().is_err());
}

/// Else one upstream that hangs would take the memory that the copies of others need.
#[tokio::test]
async fn streams_to_one_upstream_share_a_limit() {
    let peer = Peer::spawn(|stream| async move {
        let _stream = stream;
        std::future::pending().await
    })
    .await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_queue_bytes = 1 << 20);
    let begun = vec![b'x'; 300 << 10];
    // So many that the kernel's buffers make no difference: nothing is sent before this test waits.
    let began: Vec<_> = (0..10).filter_map(|_| begin(&mut rig, CHUNKED, &begun)).collect();
    assert_eq!((began.len(), rig.drops()), (3, vec![(DropReason::Backlog, 7)]));
    began.into_iter().for_each(|stream| rig.sink.abort(stream, DropReason::Gap));
    rig.until(|ledger| ledger.in_flight() == 0).await;
    let again = begin(&mut rig, CHUNKED, &begun).unwrap();
    rig.sink.abort(again, DropReason::Gap);
    rig.expect(&[("gap", 4), ("backlog", 7)]).await;
}

#[tokio::test]
async fn an_aborted_stream_says_nothing_of_a_v2_that_hangs() {
    let (peer, mut arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |options| {
        let (failures, open_for) = (std::num::NonZeroU32::MIN, Duration::from_millis(1));
        options.breaker = Some(crate::shadow::options::BreakerOptions { failures, open_for });
        options.timeout = Duration::from_millis(20);
    });
    let relay = Arc::clone(&rig.mirror.plan().relays()[0]);
    rig.send(GET);
    arrivals.recv().await.unwrap();
    rig.until(|ledger| ledger.failed() == 1).await;
    sleep(Duration::from_millis(2)).await;
    let probe = begin(&mut rig, HEAD, b"x").unwrap();
    arrivals.recv().await.unwrap();
    rig.sink.abort(probe, DropReason::Gap);
    let idle = async {
        while relay.gauges().in_flight > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, idle).await.unwrap();
    assert_eq!(relay.gauges().breaker, crate::shadow::mirror::breaker::BreakerState::Open);
    rig.expect(&[("timeout", 1), ("gap", 1)]).await;
}

/// Its place is never taken, since another has it.
#[tokio::test]
async fn a_stream_that_waits_is_bounded_and_can_be_aborted() {
    let (peer, mut arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |options| {
        (options.max_in_flight, options.max_queue, options.stream_buffer) = (1, 2, 1000);
    });
    rig.send(GET);
    arrivals.recv().await.unwrap();
    let mut slow = begin(&mut rig, HEAD, b"x").unwrap();
    let aborted = begin(&mut rig, HEAD, b"x").unwrap();
    assert!(begin(&mut rig, HEAD, b"x").is_none(), "there is no room");
    assert!(rig.sink.chunk(&mut slow, Bytes::from_static(&[0; 900])));
    assert!(!rig.sink.chunk(&mut slow, Bytes::from_static(&[0; 900])));
    rig.sink.abort(aborted, DropReason::Gap);
    rig.mirror.close(std::future::ready(())).await;
    let expected = [("gap", 1), ("queue_full", 1), ("backlog", 1), ("shutdown", 1)];
    assert_ledger(&rig.ledger.snapshot(), &expected);
}

#[tokio::test]
async fn bodies_that_must_be_read_or_have_trailers_announced_are_not_streamed() {
    let redaction =
        crate::shadow::copy::redact::Redaction { json: vec!["/a".parse().unwrap()], ..Default::default() };
    let policy =
        crate::shadow::copy::policy::CopyPolicy { redaction: Arc::new(redaction), ..Default::default() };
    let shadow = ShadowOptions { policy: Arc::new(policy), ..shadow_to("v2") };
    let mut rig = Rig::new(&config(vec![upstream("v2", refusing().await)], vec![route("r", vec![shadow])]));
    let json =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n";
    let admitted = rig.admit(&captured(json, b"")).unwrap();
    assert_eq!(admitted.stream_above, None);
    rig.sink.refuse(admitted.copies, DropReason::Gap);
    let mut plain = Rig::to(refusing().await, |_| {});
    let trailers = CHUNKED.replace("\r\n\r\n", "\r\nTrailer: x-t\r\n\r\n");
    let admitted = plain.admit(&captured(&trailers, b"")).unwrap();
    assert_eq!(admitted.stream_above, None);
    plain.sink.refuse(admitted.copies, DropReason::Gap);
    for rig in [rig, plain] {
        rig.expect(&[("gap", 1)]).await;
    }
}

#[tokio::test]
async fn an_answer_before_the_body_has_ended_counts_but_is_not_timed() {
    let peer = Peer::spawn(|mut stream| async move {
        stream.read_u8().await?;
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").await?;
        std::future::pending().await
    })
    .await;
    let mut rig = Rig::to(peer.upstream(), |_| {});
    let stream = begin(&mut rig, HEAD, b"begun").unwrap();
    rig.until(|ledger| ledger.mirrored() == 1).await;
    rig.sink.end(stream, Vec::new());
    assert_eq!(rig.mirror.latency().buckets().count(), 0);
    rig.expect(&[("mirrored", 1)]).await;
}

/// Whoever waits for v2 must know which copies wait for the client instead.
#[tokio::test]
async fn a_copy_moves_by_itself_once_its_request_is_complete() {
    let (peer, mut arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |_| {});
    assert!(!rig.mirror.moves());
    let stream = begin(&mut rig, CHUNKED, b"begun").unwrap();
    arrivals.recv().await.unwrap();
    assert!(!rig.mirror.moves());
    rig.sink.end(stream, Vec::new());
    assert!(rig.mirror.moves());
    rig.mirror.close(std::future::ready(())).await;
    assert_ledger(&rig.ledger.snapshot(), &[("shutdown", 1)]);
}

/// Invariant 4: the rest may take hours.
#[tokio::test]
async fn what_was_sent_of_a_stream_is_let_go_of() {
    struct Held(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let (peer, _arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |_| {});
    let held = Arc::new(vec![b'x'; 1000]);
    let watched = Arc::downgrade(&held);
    let request = CapturedRequest { body: Bytes::from_owner(Held(held)), ..captured(CHUNKED, b"") };
    let admitted = rig.admit(&request).unwrap();
    let stream = rig.sink.begin(request, admitted.copies).unwrap();
    rig.until(|_| watched.strong_count() == 0).await;
    rig.sink.abort(stream, DropReason::Gap);
    rig.expect(&[("gap", 1)]).await;
}
