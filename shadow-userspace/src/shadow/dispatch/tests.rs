//! The ledger under every kind of v2, exactly.

use std::time::Duration;

use tokio::{io::AsyncReadExt, sync::Notify, time::sleep};

use super::*;
use crate::{
    ledger::Ledger,
    shadow::{
        client::ClientOptions,
        testing::{Peer, assert_ledger, captured, refusing},
        upstream::Upstream,
    },
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LONG: Duration = Duration::from_secs(60);

fn dispatch(upstream: Upstream, timeout: Duration, options: &DispatchOptions) -> (ShadowSink, Dispatcher) {
    let client = ClientOptions { timeout, own_mark: 0, ..ClientOptions::default() };
    start(&Handle::current(), ShadowClient::plain(upstream, &client).unwrap(), options)
}

fn limits(max_in_flight: usize, max_queue: usize) -> DispatchOptions {
    DispatchOptions { max_in_flight, max_queue, ..DispatchOptions::default() }
}

/// Accepts, reads and never answers; tells of each request that arrived.
async fn black_hole() -> (Peer, Arc<Notify>) {
    let arrived = Arc::new(Notify::new());
    let notify = Arc::clone(&arrived);
    let peer = Peer::spawn(move |mut stream| {
        let notify = Arc::clone(&notify);
        async move {
            while stream.read(&mut [0; 1024]).await? > 0 {
                notify.notify_one();
            }
            Ok(())
        }
    })
    .await;
    (peer, arrived)
}

#[tokio::test]
async fn every_request_is_mirrored_by_a_v2_that_answers() {
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let ledger = Ledger::new();
    let (mut sink, dispatcher) = dispatch(peer.upstream(), LONG, &limits(8, 1000));
    for _ in 0..1000 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    let (latency, client) = (Arc::clone(dispatcher.latency()), dispatcher.client().clone());
    dispatcher.close(sleep(LONG)).await;
    assert_ledger(&ledger.snapshot(), &[("mirrored", 1000)]);
    assert!(latency.total().p50 > Duration::ZERO);
    assert_eq!(peer.accepted(), client.connections());
}

#[tokio::test]
async fn requests_that_cannot_be_sent_and_a_v2_that_is_not_there() {
    let ledger = Ledger::new();
    let (mut sink, dispatcher) = dispatch(refusing().await, LONG, &limits(8, 1000));
    for _ in 0..10 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    sink.deliver(captured(&ledger, "GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n", b""));
    dispatcher.close(sleep(LONG)).await;
    assert_ledger(&ledger.snapshot(), &[("connect", 10), ("unsendable", 1)]);
}

#[tokio::test]
async fn a_black_hole_times_out_every_copy() {
    let (peer, _arrived) = black_hole().await;
    let ledger = Ledger::new();
    let (mut sink, dispatcher) = dispatch(peer.upstream(), Duration::from_millis(50), &limits(10, 30));
    for _ in 0..30 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    dispatcher.close(sleep(LONG)).await;
    assert_ledger(&ledger.snapshot(), &[("timeout", 30)]);
}

#[tokio::test]
async fn a_hanging_v2_fills_the_places_then_the_queue_then_costs_copies() {
    let (peer, arrived) = black_hole().await;
    let ledger = Ledger::new();
    let (mut sink, dispatcher) = dispatch(peer.upstream(), LONG, &limits(3, 5));
    for _ in 0..3 {
        sink.deliver(captured(&ledger, GET, b""));
        arrived.notified().await;
    }
    for _ in 0..5 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    assert_eq!(ledger.snapshot().in_flight(), 8);
    let began = Instant::now();
    for _ in 0..100 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "never blocks");
    assert_eq!(ledger.snapshot().drops().collect::<Vec<_>>(), [(DropReason::QueueFull, 100)]);

    dispatcher.close(sleep(Duration::from_millis(20))).await;
    sink.deliver(captured(&ledger, GET, b""));
    assert_ledger(&ledger.snapshot(), &[("queue_full", 100), ("shutdown", 9)]);
}

#[tokio::test]
async fn shutdown_lets_copies_finish_within_the_grace() {
    let (release, released) = tokio::sync::watch::channel(false);
    let peer = Peer::spawn(move |mut stream| {
        let mut released = released.clone();
        async move {
            while crate::shadow::testing::read_request(&mut stream).await?.is_some() {
                released.wait_for(|released| *released).await.ok();
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            }
            Ok(())
        }
    })
    .await;
    let ledger = Ledger::new();
    let (mut sink, dispatcher) = dispatch(peer.upstream(), LONG, &limits(2, 10));
    for _ in 0..7 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    let closing = tokio::spawn(dispatcher.close(sleep(LONG)));
    tokio::task::yield_now().await;
    release.send(true).unwrap();
    closing.await.unwrap();
    assert_ledger(&ledger.snapshot(), &[("mirrored", 7)]);
}

#[tokio::test]
async fn dropping_both_ends_settles_everything() {
    let (peer, arrived) = black_hole().await;
    let ledger = Ledger::new();
    let (mut sink, dispatcher) = dispatch(peer.upstream(), LONG, &limits(1, 10));
    for _ in 0..4 {
        sink.deliver(captured(&ledger, GET, b""));
    }
    arrived.notified().await;
    drop(sink);
    let Dispatcher { task, close, .. } = dispatcher;
    drop(close);
    task.await.unwrap();
    assert_ledger(&ledger.snapshot(), &[("shutdown", 4)]);
}

#[tokio::test]
async fn the_memory_is_given_back_when_the_copy_is_done() {
    let (peer, arrived) = black_hole().await;
    let ledger = Ledger::new();
    let budget = crate::budget::MemoryBudget::new(1 << 20);
    let (mut sink, dispatcher) = dispatch(peer.upstream(), LONG, &limits(1, 10));
    for _ in 0..3 {
        let mut request = captured(&ledger, GET, b"");
        request.reservation = budget.reservation();
        request.reservation.resize(1000).unwrap();
        sink.deliver(request);
    }
    arrived.notified().await;
    assert_eq!(budget.used(), 3000);
    dispatcher.close(std::future::ready(())).await;
    assert_eq!(budget.used(), 0);
    assert_ledger(&ledger.snapshot(), &[("shutdown", 3)]);
}
