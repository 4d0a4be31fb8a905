//! How copies end when something is in the way.

use bytes::Bytes;

use super::*;
use crate::shadow::mirror::job::{Duty, Job, Shared};

/// The place is free before the outcome shows, but the upstream isn't idle: who counts then would miss a copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_is_idle_before_its_outcome_is_in_the_ledger() {
    let (release, released) = tokio::sync::watch::channel(false);
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let peer = Peer::spawn(move |mut stream| {
        let (mut released, arrived) = (released.clone(), arrived.clone());
        async move {
            read_request(&mut stream).await?;
            arrived.send(()).ok();
            released.wait_for(|released| *released).await.ok();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await
        }
    })
    .await;
    let rig = Rig::to(peer.upstream(), |_| {});
    let lane = Arc::clone(rig.mirror.plan().lane(0, 0).unwrap());
    let (relay, duty) = (Arc::clone(&lane.relay), Duty::new(rig.ledger.open()));
    let request = Arc::new(Shared::from(captured(GET, b"")));
    relay.push(Job { request, stream: None, duty: duty.clone(), _load: lane.join(), lane });
    arrivals.recv().await.unwrap();
    let early = {
        let held = duty.hold();
        release.send(true).unwrap();
        let began = Instant::now();
        while relay.gauges().in_flight > 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "its place is never free");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Asked once: without the lock it would have to wait.
        let mut idle = std::pin::pin!(relay.until_idle());
        let early = idle.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        drop(held);
        early
    };
    assert!(early.is_pending());
    rig.expect(&[("mirrored", 1)]).await;
}

/// A body that can't be let go of.
struct Defect;

impl AsRef<[u8]> for Defect {
    fn as_ref(&self) -> &[u8] {
        b""
    }
}

impl Drop for Defect {
    fn drop(&mut self) {
        panic!("a defect, for the test");
    }
}

#[tokio::test]
async fn a_defect_costs_the_copy_that_meets_it_and_no_more() {
    let peer = Peer::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_in_flight = 1);
    let unsendable = captured("GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n", b"");
    rig.take(CapturedRequest { body: Bytes::from_owner(Defect), ..unsendable });
    rig.send(GET);
    rig.until(|ledger| ledger.in_flight() == 0).await;
    rig.expect(&[("mirrored", 1), ("abandoned", 1)]).await;
}

/// Its place is free again when the source has given its body to the end, and not before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_source_does_not_wait_for_what_waits_for_it() {
    let (peer, mut arrivals) = black_hole().await;
    let mut options = upstream("v2", peer.upstream());
    (options.max_in_flight, options.max_queue) = (1, 1);
    let Rig { ledger, mirror, sink } = Rig::new(&config_to(options));
    let sink = sink.patient(crate::budget::MemoryBudget::new(1 << 20));
    let mut rig = Rig { ledger, mirror: mirror.clone(), sink };
    let request = captured("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"x");
    let admitted = rig.admit(&request).unwrap();
    let stream = rig.sink.begin(request, admitted.copies).unwrap();
    arrivals.recv().await.unwrap();
    let mut sending = tokio::task::spawn_blocking(move || {
        rig.send(GET);
        rig.send(GET);
        rig
    });
    let sent = tokio::time::timeout(Duration::from_secs(5), &mut sending).await;
    // Lets go of one that waits after all.
    mirror.hurry();
    assert!(sent.is_ok(), "it waits for ever");
    let mut rig = sent.unwrap().unwrap();
    assert_eq!(rig.drops(), [(DropReason::QueueFull, 1)]);
    rig.sink.abort(stream, DropReason::Gap);
    rig.mirror.close(std::future::ready(())).await;
    assert_ledger(&rig.ledger.snapshot(), &[("gap", 1), ("queue_full", 1), ("shutdown", 1)]);
}

/// Also of what would end by itself, or in a while.
#[tokio::test]
async fn a_patient_source_in_a_hurry_waits_for_nothing() {
    let (peer, _arrivals) = black_hole().await;
    let mut options = upstream("v2", peer.upstream());
    (options.max_rps, options.stream_buffer) = (std::num::NonZeroU32::new(1), 10);
    let Rig { ledger, mirror, sink } = Rig::new(&config_to(options));
    let sink = sink.patient(crate::budget::MemoryBudget::new(1 << 20));
    let mut rig = Rig { ledger, mirror, sink };
    rig.mirror.hurry();
    let began = Instant::now();
    let request = captured("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"x");
    let admitted = rig.admit(&request).unwrap();
    let mut stream = rig.sink.begin(request, admitted.copies).unwrap();
    assert!(!rig.sink.chunk(&mut stream, Bytes::from_static(&[0; 100])));
    for _ in 0..5 {
        rig.send(GET);
    }
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(rig.drops()[0].0, DropReason::RateLimit);
    assert_eq!(rig.drops()[1], (DropReason::Backlog, 1));
    rig.mirror.close(std::future::ready(())).await;
    assert_eq!(rig.ledger.snapshot().in_flight(), 0);
}

#[tokio::test]
async fn the_end_takes_no_more_copies_and_hurries_a_patient_source() {
    let (peer, mut arrivals) = black_hole().await;
    let mut options = upstream("v2", peer.upstream());
    options.max_rps = std::num::NonZeroU32::new(2);
    let Rig { ledger, mirror, sink } = Rig::new(&config_to(options));
    let sink = sink.patient(crate::budget::MemoryBudget::new(1 << 20));
    let mut rig = Rig { ledger, mirror: mirror.clone(), sink };
    let admitted = rig.admit(&captured(GET, b"")).unwrap();
    rig.send(GET);
    arrivals.recv().await.unwrap();
    let (end_grace, grace) = tokio::sync::oneshot::channel::<()>();
    let closing = tokio::spawn(async move { mirror.close(async { grace.await.unwrap_or(()) }).await });
    tokio::task::yield_now().await;
    // The first was admitted in time.
    rig.sink.deliver(captured(GET, b""), admitted.copies);
    assert_eq!(rig.drops(), [(DropReason::Shutdown, 1)]);
    for _ in 0..5 {
        rig.send(GET);
    }
    assert!(rig.drops().iter().any(|(reason, _)| *reason == DropReason::RateLimit));
    assert_eq!(rig.ledger.snapshot().in_flight(), 1, "it still has its grace");
    end_grace.send(()).unwrap();
    closing.await.unwrap();
    assert_eq!(rig.ledger.snapshot().in_flight(), 0);
}

/// Two are admitted where there is room for one, as by two connections of a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_source_waits_for_its_routes_share_also_with_what_was_admitted() {
    let peer = Peer::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut config = config_to(upstream("v2", peer.upstream()));
    config.routes[0].shadows[0].max_in_flight = Some(1);
    let Rig { ledger, mirror, sink } = Rig::new(&config);
    let sink = sink.patient(crate::budget::MemoryBudget::new(1 << 20));
    let mut rig = Rig { ledger, mirror, sink };
    let admitted: Vec<_> = (0..10).map(|_| rig.admit(&captured(GET, b"")).unwrap()).collect();
    let sending = tokio::task::spawn_blocking(move || {
        admitted.into_iter().for_each(|admitted| rig.sink.deliver(captured(GET, b""), admitted.copies));
        rig
    });
    sending.await.unwrap().expect(&[("mirrored", 10)]).await;
}
