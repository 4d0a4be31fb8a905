//! The ledger under every kind of v2, exactly; real peers on loopback.

mod chaos;
mod ends;
mod limits;
mod reload;
mod streams;

use std::time::{Duration, Instant};

use shadow_common::FlowKey;
use tokio::{io::AsyncReadExt, sync::mpsc, time::sleep};

use super::*;
use crate::{
    ledger::{DropReason, PassReason},
    pipeline::{Admitted, CapturedRequest, RequestSink as _},
    random,
    route::{RouteOptions, ShadowOptions},
    shadow::{
        client::upstream::Upstream,
        mirror::sink::Copies,
        options::{Order, UpstreamOptions},
        testing::{
            Peer, assert_ledger, captured, config, config_to, read_request, refusing, route, shadow_to,
            upstream,
        },
    },
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LONG: Duration = Duration::from_secs(60);

/// A mirror that is fed by hand.
struct Rig {
    ledger: Ledger,
    mirror: Mirror,
    sink: ShadowSink,
}

impl Rig {
    fn new(config: &Config) -> Self {
        let ledger = Ledger::new();
        let mirror = Mirror::new(config, ledger.clone(), Handle::current()).unwrap();
        let sink = mirror.sink(|| Dice::undrawn(0, random::number()));
        Self { ledger, mirror, sink }
    }

    /// Everything to one upstream, with these options.
    fn to(url: Upstream, change: impl FnOnce(&mut UpstreamOptions)) -> Self {
        let mut options = upstream("v2", url);
        change(&mut options);
        Self::new(&config_to(options))
    }

    fn admit(&mut self, request: &CapturedRequest) -> Option<Admitted<Copies>> {
        self.sink.admit(&request.head, &request.flow, self.ledger.open())
    }

    fn take(&mut self, request: CapturedRequest) {
        if let Some(admitted) = self.admit(&request) {
            self.sink.deliver(request, admitted.copies);
        }
    }

    fn send(&mut self, head: &str) {
        self.take(captured(head, b""));
    }

    fn drops(&self) -> Vec<(DropReason, u64)> {
        self.ledger.snapshot().drops().collect()
    }

    /// Finishes what is under way and checks that these are all outcomes.
    async fn expect(self, outcomes: &[(&str, u64)]) {
        self.mirror.close(sleep(LONG)).await;
        assert_ledger(&self.ledger.snapshot(), outcomes);
    }

    /// Polls until the ledger is like this.
    async fn until(&self, holds: impl Fn(&crate::ledger::Snapshot) -> bool) {
        let wait = async {
            while !holds(&self.ledger.snapshot()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(ended.is_ok(), "{:?}", self.ledger.snapshot());
    }
}

/// Accepts, reads and never answers; tells of each request that arrived.
async fn black_hole() -> (Peer, mpsc::UnboundedReceiver<()>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let peer = Peer::spawn(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            while stream.read(&mut [0; 1024]).await? > 0 {
                arrived.send(()).ok();
            }
            Ok(())
        }
    })
    .await;
    (peer, arrivals)
}

#[tokio::test]
async fn every_request_is_mirrored_by_a_v2_that_answers() {
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_in_flight = 8);
    for _ in 0..1000 {
        rig.send(GET);
    }
    let mirror = rig.mirror.clone();
    rig.expect(&[("mirrored", 1000)]).await;
    assert!(mirror.latency().total().p50 > Duration::ZERO);
    assert_eq!(mirror.plan().relays()[0].latency().total(), mirror.latency().total());
    assert_eq!(peer.accepted(), mirror.connections());
}

#[tokio::test]
async fn requests_that_cannot_be_sent_and_a_v2_that_is_not_there() {
    let mut rig = Rig::to(refusing().await, |_| {});
    for _ in 0..10 {
        rig.send(GET);
    }
    rig.send("GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.take(captured("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", b"abc"));
    rig.expect(&[("connect", 10), ("unsendable", 2)]).await;
}

#[tokio::test]
async fn a_black_hole_times_out_every_copy() {
    let (peer, _arrivals) = black_hole().await;
    let mut rig = Rig::to(peer.upstream(), |options| {
        options.timeout = Duration::from_millis(50);
        options.max_in_flight = 10;
    });
    for _ in 0..30 {
        rig.send(GET);
    }
    let mirror = rig.mirror.clone();
    rig.expect(&[("timeout", 30)]).await;
    assert_eq!(mirror.latency().buckets().count(), 0, "only answers are timed");
}

#[tokio::test]
async fn shutdown_lets_copies_finish_within_the_grace() {
    let (release, released) = tokio::sync::watch::channel(false);
    let peer = Peer::spawn(move |mut stream| {
        let mut released = released.clone();
        async move {
            while read_request(&mut stream).await?.is_some() {
                released.wait_for(|released| *released).await.ok();
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            }
            Ok(())
        }
    })
    .await;
    let mut rig = Rig::to(peer.upstream(), |options| options.max_in_flight = 2);
    for _ in 0..7 {
        rig.send(GET);
    }
    let mirror = rig.mirror.clone();
    let closing = tokio::spawn(async move { mirror.close(sleep(LONG)).await });
    tokio::task::yield_now().await;
    release.send(true).unwrap();
    closing.await.unwrap();
    assert_ledger(&rig.ledger.snapshot(), &[("mirrored", 7)]);
}

#[tokio::test]
async fn the_memory_is_given_back_when_the_copies_are_done() {
    let (peer, mut arrivals) = black_hole().await;
    let budget = crate::budget::MemoryBudget::new(1 << 20);
    let mut rig = Rig::to(peer.upstream(), |options| options.max_in_flight = 1);
    for _ in 0..3 {
        let mut request = captured(GET, b"");
        request.reservation = budget.reservation();
        request.reservation.resize(1000).unwrap();
        rig.take(request);
    }
    arrivals.recv().await.unwrap();
    assert_eq!(budget.used(), 3000);
    rig.mirror.close(std::future::ready(())).await;
    assert_eq!(budget.used(), 0);
    assert_ledger(&rig.ledger.snapshot(), &[("shutdown", 3)]);
}

/// One number is drawn for a request, and all upstreams of its route share it.
#[tokio::test]
async fn samples_of_several_upstreams_nest() {
    let (wide, mut wide_got) = Peer::recording().await;
    let (narrow, mut narrow_got) = Peer::recording().await;
    let shadows =
        vec![shadow_to("wide"), ShadowOptions { percentage: "30%".parse().unwrap(), ..shadow_to("narrow") }];
    let upstreams = vec![upstream("wide", wide.upstream()), upstream("narrow", narrow.upstream())];
    let mut rig = Rig::new(&config(upstreams, vec![route("both", shadows)]));
    rig.mirror.set_rate("both/wide", "60%".parse().unwrap()).unwrap();
    const REQUESTS: u64 = 1000;
    for number in 0..REQUESTS {
        rig.send(&format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    rig.mirror.close(sleep(LONG)).await;
    let snapshot = rig.ledger.snapshot();
    let lines = |got: &mut mpsc::UnboundedReceiver<Vec<u8>>| {
        let mut lines = std::collections::BTreeSet::new();
        while let Ok(request) = got.try_recv() {
            let request = String::from_utf8(request).unwrap();
            assert!(lines.insert(request.lines().next().unwrap().to_owned()), "sent twice");
        }
        lines
    };
    let (wide, narrow) = (lines(&mut wide_got), lines(&mut narrow_got));
    assert!(narrow.is_subset(&wide));
    // Five sigma.
    assert!((520..680).contains(&wide.len()) && (225..375).contains(&narrow.len()), "{wide:?} {narrow:?}");
    let [of_wide, of_narrow] = &*snapshot.copies else { panic!("{snapshot:?}") };
    assert_eq!((of_wide.outcomes.mirrored(), &*of_wide.upstream), (wide.len() as u64, "wide"));
    assert_eq!((of_narrow.outcomes.mirrored(), &*of_narrow.route), (narrow.len() as u64, "both"));
    let passed: u64 = snapshot.passed_by_reason().map(|(_, count)| count).sum();
    assert_eq!((snapshot.routed, snapshot.routed + passed), (wide.len() as u64, REQUESTS));
    assert_eq!(snapshot.in_flight(), 0);
}

#[tokio::test]
async fn copies_of_copies_and_guarded_methods_are_not_sent() {
    let (peer, mut received) = Peer::recording().await;
    let methods = Some(vec![http::Method::GET]);
    let shadows = vec![ShadowOptions { methods, ..shadow_to("v2") }];
    let mut rig = Rig::new(&config(vec![upstream("v2", peer.upstream())], vec![route("safe", shadows)]));
    rig.send("GET / HTTP/1.1\r\nHost: a-shadow\r\n\r\n");
    rig.send("GET / HTTP/1.1\r\nHost: a\r\nX-Shadow-Copy: 1\r\n\r\n");
    rig.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.send("GET /sent HTTP/1.1\r\nHost: a\r\n\r\n");
    let ledger = rig.ledger.clone();
    rig.expect(&[("mirrored", 1), ("loop", 2)]).await;
    assert!(received.recv().await.unwrap().starts_with(b"GET /sent "));
    let passed = ledger.snapshot().passed_by_reason().find(|(reason, _)| *reason == PassReason::Method);
    assert_eq!(passed, Some((PassReason::Method, 1)));
}

#[tokio::test]
async fn copies_of_a_connection_keep_their_order_and_hold_up_no_other() {
    let (got, mut gets) = mpsc::unbounded_channel();
    let peer = Peer::spawn(move |mut stream| {
        let got = got.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await? {
                let line = String::from_utf8(request).unwrap().lines().next().unwrap().to_owned();
                // Whatever is first takes longest, so that others would overtake it.
                let number: u64 = line.split(['/', ' ']).nth(3).unwrap().parse().unwrap();
                sleep(Duration::from_millis(10_u64.saturating_sub(number))).await;
                got.send(line).ok();
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            }
            Ok(())
        }
    })
    .await;
    let mut rig = Rig::to(peer.upstream(), |options| options.order = Order::PerConnection);
    for number in 0..20 {
        for connection in 0..3 {
            let mut request =
                captured(&format!("GET /{connection}/{number} HTTP/1.1\r\nHost: a\r\n\r\n"), b"");
            request.flow = FlowKey { client_port: connection, ..FlowKey::default() };
            rig.take(request);
        }
    }
    rig.expect(&[("mirrored", 60)]).await;
    let mut next = [0; 3];
    let mut overtook = false;
    while let Ok(line) = gets.try_recv() {
        let numbers: Vec<usize> = line.split(['/', ' ']).filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers[1], next[numbers[0]], "{line}");
        next[numbers[0]] += 1;
        overtook |= next.iter().max() > next.iter().min();
    }
    assert_eq!((next, overtook), ([20; 3], true));
}
