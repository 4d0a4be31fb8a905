//! Files that are replayed to a v2 on loopback.

use std::{fs, path::PathBuf};

use shadow_common::tcp_flags::{ACK, SYN};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{
    agent::{AgentError, Told, summary::Summary, supervise, tests},
    capture::file::testing::{Captured, Tcp, pcap_file},
    config::Config,
    shadow::testing::{Peer, assert_ledger, read_request, refusing},
};

const MS: u64 = 1_000_000;
const RAW: u32 = 101;

/// A capture file, as long as it lives.
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// With these packets, and their times in milliseconds.
fn file(name: &str, packets: &[(u64, Tcp<'_>)]) -> TempFile {
    let path = std::env::temp_dir().join(format!("shadow-{}-{name}.pcap", std::process::id()));
    let frames: Vec<_> =
        packets.iter().map(|(at, tcp)| Captured::whole((1000 + at) * MS, tcp.ipv4(&[]))).collect();
    fs::write(&path, pcap_file(RAW, &frames)).unwrap();
    TempFile(path)
}

/// Requests of one connection, at these times in milliseconds.
fn requests(name: &str, times: &[u64]) -> TempFile {
    let syn = Tcp { seq: 0, ack: 0, flags: SYN, ..Tcp::default() };
    let texts: Vec<_> = times.iter().map(|at| format!("GET /{at:05} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut packets = vec![(0, syn)];
    let mut seq = 1;
    for (&at, text) in times.iter().zip(&texts) {
        packets.push((at, Tcp { seq, payload: text.as_bytes(), ..Tcp::default() }));
        seq += text.len() as u32;
    }
    file(name, &packets)
}

fn options(file: &TempFile, speed: Speed) -> ReplayOptions {
    ReplayOptions { input: Input::Path(file.0.clone()), ports: vec![80], speed }
}

async fn replay(
    replay: &ReplayOptions,
    config: &Config,
    signal: impl AsyncFnMut() -> Told,
) -> (Summary, Result<(), AgentError>) {
    let source = Replay::open(replay).unwrap();
    supervise(source, tests::place(), tests::setup(config), signal).await.unwrap()
}

#[tokio::test]
async fn the_spacing_is_the_captures() {
    let (peer, mut received) = Peer::recording().await;
    let file = requests("spacing", &[10, 10, 60, 260]);
    let began = Instant::now();
    let arrivals = tokio::spawn(async move {
        let mut arrivals = Vec::new();
        while let Some(request) = received.recv().await {
            let target = String::from_utf8(request).unwrap().split(' ').nth(1).unwrap().to_owned();
            arrivals.push((target, began.elapsed()));
            if arrivals.len() == 4 {
                break;
            }
        }
        arrivals
    });
    let (summary, end) =
        replay(&options(&file, Speed::Times(2.0)), &tests::config(peer.upstream()), tests::never()).await;
    end.unwrap();
    assert_ledger(&summary.requests, &[("mirrored", 4)]);
    let mut arrivals = arrivals.await.unwrap();
    arrivals.sort();
    for ((target, at), (wanted, due_ms)) in
        arrivals.iter().zip([("/00010", 5), ("/00010", 5), ("/00060", 30), ("/00260", 130)])
    {
        assert_eq!(target, wanted);
        // A busy machine may be late.
        assert!(*at >= Duration::from_millis(due_ms), "{target} after {at:?}");
    }
    let file = summary.file.unwrap();
    assert_eq!((file.packets, file.segments, file.flows), (5, 5, 1));
    assert_eq!(summary.flows.requests_framed, 4);
}

#[test]
fn segments_are_due_relative_to_the_first() {
    let mut pace = None;
    let speed = Speed::Times(10.0);
    assert_eq!(until_due(&mut pace, speed, 5000 * MS), Duration::ZERO);
    let left = until_due(&mut pace, speed, 65_000 * MS);
    assert!((Duration::from_secs(5)..=Duration::from_secs(6)).contains(&left), "{left:?}");
    assert_eq!(until_due(&mut pace, speed, 4000 * MS), Duration::ZERO, "another capture");
    assert_eq!(until_due(&mut pace, speed, 3500 * MS), Duration::ZERO, "captured out of order");
    let left = until_due(&mut pace, speed, 64_000 * MS);
    assert!((Duration::from_secs(5)..=Duration::from_secs(6)).contains(&left), "{left:?}");
    assert!(until_due(&mut pace, Speed::Times(0.001), u64::MAX) > Duration::from_secs(1 << 40));
    assert_eq!(until_due(&mut pace, Speed::Max, u64::MAX), Duration::ZERO);
}

#[tokio::test]
async fn at_full_speed_the_upstream_sets_the_pace() {
    let slow = Peer::spawn(|mut stream| async move {
        while read_request(&mut stream).await?.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
        Ok(())
    })
    .await;
    // Years apart; more than the queue holds.
    let times: Vec<_> = (1..=100).map(|at| at * 99_999).collect();
    let file = requests("max", &times);
    let mut agent = tests::config(slow.upstream());
    (agent.upstreams[0].max_in_flight, agent.upstreams[0].max_queue) = (2, 3);
    let (summary, end) = replay(&options(&file, Speed::Max), &agent, tests::never()).await;
    end.unwrap();
    assert_ledger(&summary.requests, &[("mirrored", 100)]);

    // What is left of the bytes that may wait is less than the next request has; or any request.
    for bytes in [1000, 1] {
        let mut agent = tests::config(slow.upstream());
        (agent.upstreams[0].max_in_flight, agent.upstreams[0].max_queue_bytes) = (2, bytes);
        let (summary, end) = replay(&options(&file, Speed::Max), &agent, tests::never()).await;
        end.unwrap();
        assert_ledger(&summary.requests, &[("mirrored", 100)]);
    }

    // More bytes than there is memory for, and room for all of them in the queue.
    let mut agent = tests::config(slow.upstream());
    (agent.upstreams[0].max_in_flight, agent.capture.max_memory) = (2, 4 << 10);
    let (summary, end) = replay(&options(&file, Speed::Max), &agent, tests::never()).await;
    end.unwrap();
    assert_ledger(&summary.requests, &[("mirrored", 100)]);

    // And other limits.
    let mut agent = tests::config(slow.upstream());
    agent.routes[0].shadows[0].max_in_flight = Some(2);
    agent.upstreams[0].max_rps = std::num::NonZeroU32::new(200);
    let (summary, end) = replay(&options(&file, Speed::Max), &agent, tests::never()).await;
    end.unwrap();
    assert_ledger(&summary.requests, &[("mirrored", 100)]);
}

#[tokio::test]
async fn a_signal_ends_it_with_a_summary() {
    let hung = Peer::spawn(|mut stream| async move {
        while read_request(&mut stream).await?.is_some() {}
        Ok(())
    })
    .await;
    // Waiting for an hour in the capture, and for an upstream that takes nothing.
    for (name, times, speed) in
        [("hour", &[0, 3_600_000][..], Speed::Times(1.0)), ("hung", &[0; 50][..], Speed::Max)]
    {
        let file = requests(name, times);
        let mut agent = tests::config(hung.upstream());
        (agent.upstreams[0].max_in_flight, agent.upstreams[0].max_queue) = (1, 1);
        agent.grace = Duration::from_millis(10);
        let soon = tests::once(tokio::time::sleep(Duration::from_millis(100)));
        let (summary, end) = replay(&options(&file, speed), &agent, soon).await;
        end.unwrap();
        let requests = summary.requests;
        assert!(requests.sampled >= 1 && requests.in_flight() == 0, "{name}");
        assert_eq!(requests.dropped(), requests.sampled, "{name}");
    }
}

#[tokio::test]
async fn what_the_file_has_only_a_part_of_is_incomplete() {
    let part =
        Tcp { payload: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", ..Tcp::default() };
    let file = file("part", &[(0, Tcp { seq: 0, ack: 0, flags: SYN, ..Tcp::default() }), (1, part)]);
    let agent = tests::config(refusing().await);
    let (summary, end) = replay(&options(&file, Speed::Max), &agent, tests::never()).await;
    end.unwrap();
    assert_ledger(&summary.requests, &[("incomplete", 1)]);
}

#[tokio::test]
async fn of_a_damaged_file_the_beginning_is_mirrored() {
    let (peer, _received) = Peer::recording().await;
    let file = requests("damaged", &[1]);
    let mut bytes = fs::read(&file.0).unwrap();
    bytes.extend([0xff; 16]);
    fs::write(&file.0, bytes).unwrap();
    let (summary, end) =
        replay(&options(&file, Speed::Max), &tests::config(peer.upstream()), tests::never()).await;
    let line = end.unwrap_err().to_string();
    assert!(line.contains("makes no sense at byte"), "{line}");
    assert_ledger(&summary.requests, &[("mirrored", 1)]);
}

/// What the pipeline says of a run reaches the search before the next segment.
#[tokio::test]
async fn a_lost_place_is_found_again() {
    let (peer, mut received) = Peer::recording().await;
    let ok = b"HTTP/1.1 204 No Content\r\n\r\n";
    let texts: Vec<_> = (0..5).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut packets = vec![(0, Tcp { seq: 0, ack: 0, flags: SYN, ..Tcp::default() })];
    let (mut seq, mut ack) = (1, 1);
    for (number, text) in texts.iter().enumerate() {
        let at = number as u64 * 10_000;
        // Of one only the beginning was captured.
        let captured = if number == 1 { 20 } else { text.len() };
        packets.push((at, Tcp { seq, ack, payload: &text.as_bytes()[..captured], ..Tcp::default() }));
        seq += text.len() as u32;
        let (source, dest) = ((2, 80), (1, 40_000));
        packets.push((at + 1, Tcp { source, dest, seq: ack, ack: seq, flags: ACK, payload: ok }));
        ack += ok.len() as u32;
    }
    let file = file("lost", &packets);
    let (summary, end) =
        replay(&options(&file, Speed::Max), &tests::config(peer.upstream()), tests::never()).await;
    end.unwrap();
    assert_eq!(summary.file.unwrap().confirmed, 1, "{:?}", summary.file);
    let mut mirrored = Vec::new();
    while let Ok(request) = received.try_recv() {
        mirrored.push(String::from_utf8(request).unwrap().split(' ').nth(1).unwrap().to_owned());
    }
    assert!(mirrored.contains(&"/0".to_owned()) && mirrored.contains(&"/4".to_owned()), "{mirrored:?}");
    assert!(!mirrored.contains(&"/1".to_owned()), "{mirrored:?}");
    assert_eq!(summary.requests.mirrored(), mirrored.len() as u64);
}

/// Slower than it was captured, or with times that go back: what is sent again in time is not a hole.
#[tokio::test]
async fn time_is_the_captures() {
    let (peer, _received) = Peer::recording().await;
    let text = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let syn = Tcp { seq: 0, ack: 0, flags: SYN, ..Tcp::default() };
    let (end, start) = (Tcp { seq: 11, payload: &text[10..], ..Tcp::default() }, &text[..10]);
    let start = Tcp { payload: start, ..Tcp::default() };
    let other = Tcp { source: (3, 9), ..syn };
    // The hole lasts 4 ms of the capture, and 4 s of the replay.
    let slow = file("slow", &[(0, syn), (1, end), (5, start)]);
    let back = file("back", &[(7_200_000, other), (0, syn), (1, end), (2, other), (5, start)]);
    for (file, speed) in [(&slow, Speed::Times(0.001)), (&back, Speed::Times(1.0))] {
        let (summary, end) =
            replay(&options(file, speed), &tests::config(peer.upstream()), tests::never()).await;
        end.unwrap();
        assert_ledger(&summary.requests, &[("mirrored", 1)]);
    }
}
