//! Large bodies pass through the agent as they come: to the byte, in little memory.

use std::time::Duration;

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, as_client, block_on, stop},
};
use shadow_tests::{fnv::Fnv, lab::Family, load::Connection, random::Random, scene::Kind};
use tokio::time::sleep;

const MIB: usize = 1 << 20;
const LARGE: usize = 64 * MIB;
/// What the agent may take for it beyond what it takes idle.
const MEMORY: u64 = 64 << 20;

/// A user's line has a pace; without one this machine's loopback is faster than any ring.
const PACE: Duration = Duration::from_millis(30);

/// Sends a body of [`LARGE`] in parts of 1 MiB and gives its hash.
async fn upload(client: &mut Connection, target: &str, chunked: bool) -> anyhow::Result<String> {
    let framing =
        if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {LARGE}") };
    client.send(format!("POST {target} HTTP/1.1\r\nHost: shop\r\n{framing}\r\n\r\n").as_bytes()).await?;
    let (mut hash, mut random) = (Fnv::default(), Random::new(LARGE as u64));
    for _ in 0..LARGE / MIB {
        let part = random.bytes(MIB);
        hash.write(&part);
        if chunked {
            client.send(format!("{MIB:x}\r\n").as_bytes()).await?;
        }
        client.send(&part).await?;
        if chunked {
            client.send(b"\r\n").await?;
        }
        sleep(PACE).await;
    }
    if chunked {
        client.send(b"0\r\n\r\n").await?;
    }
    let answer = client.answer().await?;
    anyhow::ensure!(answer.status == 200, "status {}", answer.status);
    Ok(hash.hex())
}

fn is_streamed_exactly(chunked: bool) {
    let Some(scene) = scene(Kind::Plain) else { return };
    let config = "upstreams:\n  v2: { url: $V2, timeout: 30s, stream_buffer: 16MiB }\n\
                  routes: [{ shadow: { upstream: v2 } }]\n";
    let stage = Stage::with(scene, config, &["--ring-size", "64MiB"]);
    let idle = stage.agent.memory().unwrap();
    let to = stage.scene.v1_address(Family::V4);
    let hash = as_client(&stage.scene, || {
        block_on(async { upload(&mut Connection::open(to).await?, "/large", chunked).await })
    })
    .unwrap();
    let copies = stage.scene.v2.wait_for(1, COPIES_LIMIT).unwrap();
    let peak = stage.agent.memory().unwrap().peak;
    let summary = stop(stage.agent);
    assert_eq!(summary.requests.mirrored, 1, "{summary:?}");
    assert_eq!((copies[0].body_bytes, &copies[0].body_hash), (LARGE as u64, &hash));
    assert_eq!(copies[0].header("transfer-encoding").is_some(), chunked, "{copies:?}");
    let more = peak.saturating_sub(idle.resident);
    eprintln!("{} MiB more than idle", more >> 20);
    assert!(more < MEMORY, "{more} bytes more than {idle:?}");
}

#[test]
fn a_large_body_with_its_length() {
    is_streamed_exactly(false);
}

#[test]
fn a_large_chunked_body() {
    is_streamed_exactly(true);
}

/// Invariant 3: the copy of a request that the client gives up is never completed, wherever he does.
#[test]
fn a_reset_amid_a_large_body_never_completes_the_copy() {
    let Some(stage) = Stage::new("routes: [{ shadow: { upstream: $V2 } }]\n") else { return };
    let to = stage.scene.v1_address(Family::V4);
    let sizes = [1, 100_000, 300_000, 3 * MIB, 8 * MIB - 1];
    as_client(&stage.scene, || {
        block_on(async {
            for (size, chunked) in sizes.into_iter().flat_map(|size| [(size, false), (size, true)]) {
                let mut client = Connection::open(to).await?;
                let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 8388608" };
                let head = format!("POST /{size} HTTP/1.1\r\nHost: shop\r\n{framing}\r\n\r\n");
                let start = if chunked { "800000\r\n" } else { "" };
                let wire = [head.as_bytes(), start.as_bytes(), &vec![b'x'; size]].concat();
                client.send(&wire).await?;
                // So that some copies have begun, and some haven't.
                sleep(Duration::from_millis(50)).await;
                client.reset()?;
            }
            Ok(())
        })
    })
    .unwrap();
    let summary = stop(stage.agent);
    assert_eq!(stage.scene.v2.received().unwrap(), Vec::new(), "{summary:?}");
    assert_eq!(stage.scene.v1.received().unwrap(), Vec::new());
    let ledger = &summary.requests;
    assert_eq!((ledger.sampled, ledger.mirrored), (2 * sizes.len() as u64, 0), "{summary:?}");
}
