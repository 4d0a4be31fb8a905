//! Bodies that stream at once to every kind of v2, and end or don't: each has its outcome, no byte of memory is kept, and
//! nothing that was aborted is ever complete towards v2.

use std::{collections::HashSet, sync::Mutex};

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{
    budget::{MemoryBudget, Reservation},
    shadow::{mirror::job::Streams, testing::is_whole},
};

type Seen = Arc<Mutex<HashSet<usize>>>;

/// A v2 that does to each request what its number says, and notes those that were complete.
async fn moody(complete: Seen) -> Peer {
    Peer::spawn(move |mut stream| {
        let complete = Arc::clone(&complete);
        async move {
            let mut bytes = Vec::new();
            while stream.read_buf(&mut bytes).await? > 0 {
                let line = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
                let Some(number) = line.split([' ', '/']).nth(2).and_then(|word| word.parse().ok()) else {
                    continue;
                };
                match number % 5 {
                    0 => return Ok(()),
                    1 => {
                        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await?;
                        return Ok(());
                    }
                    2 => sleep(Duration::from_millis(1)).await,
                    _ => {}
                }
                if is_whole(&bytes) {
                    complete.lock().unwrap().insert(number);
                    bytes.clear();
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                }
            }
            Ok(())
        }
    })
    .await
}

struct Counted(Vec<u8>, #[expect(dead_code, reason = "held")] Reservation);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn part(budget: &MemoryBudget, length: usize) -> Bytes {
    let mut reservation = budget.reservation();
    reservation.resize(length).unwrap();
    Bytes::from_owner(Counted(vec![b'x'; length], reservation))
}

const LENGTH: usize = 40_000;

fn begin(rig: &mut Rig, budget: &MemoryBudget, number: usize) -> Option<Box<Streams>> {
    let framing = match number % 2 {
        0 => format!("Content-Length: {LENGTH}"),
        _ => "Transfer-Encoding: chunked".to_owned(),
    };
    let mut request = captured(&format!("POST /{number} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"), b"");
    request.flow.client_port = u16::try_from(number % 7).unwrap();
    request.body = part(budget, 10_000);
    let admitted = rig.admit(&request)?;
    rig.sink.begin(request, admitted.copies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_is_lost_kept_or_completed_by_mistake() {
    let complete = Seen::default();
    let peer = moody(Arc::clone(&complete)).await;
    let other = |order| {
        let mut one = upstream("one", peer.upstream());
        (one.max_in_flight, one.timeout, one.order) = (10, Duration::from_millis(200), order);
        one.max_queue_bytes = 300 << 10;
        let two = upstream("two", peer.upstream());
        config(vec![one, two], vec![route("both", vec![shadow_to("one"), shadow_to("two")])])
    };
    let mut rig = Rig::new(&other(Order::None));
    let budget = MemoryBudget::new(1 << 30);
    let (mut open, mut aborted) = (Vec::new(), HashSet::new());
    const REQUESTS: usize = 300;
    for number in 0..REQUESTS {
        open.extend(begin(&mut rig, &budget, number).map(|stream| (number, 10_000, stream)));
        if number % 50 == 49 {
            let order = if number % 100 == 49 { Order::PerConnection } else { Order::None };
            rig.mirror.switch(rig.mirror.prepare(&other(order)).unwrap());
        }
        while open.len() > 20 || number + 1 == REQUESTS && !open.is_empty() {
            let at = random::number() as usize % open.len();
            let (number, sent, mut stream) = open.swap_remove(at);
            match random::number() % 8 {
                0 => {
                    aborted.insert(number);
                    rig.sink.abort(stream, DropReason::Gap);
                }
                _ if sent == LENGTH => rig.sink.end(stream, Vec::new()),
                _ if rig.sink.chunk(&mut stream, part(&budget, 5_000)) => {
                    open.push((number, sent + 5_000, stream));
                }
                _ => {}
            }
            if at == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
    rig.mirror.close(sleep(LONG)).await;
    let snapshot = rig.ledger.snapshot();
    assert_eq!((snapshot.sampled, snapshot.in_flight()), (2 * REQUESTS as u64, 0));
    assert!(snapshot.drops().all(|(reason, _)| reason != DropReason::Abandoned), "{snapshot:?}");
    let complete = std::mem::take(&mut *complete.lock().unwrap());
    assert!(complete.is_disjoint(&aborted) && complete.len() > 20, "{}", complete.len());
    // hyper's tasks let go of what they had soon after.
    let freed = async {
        while budget.used() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), freed).await.is_ok(), "{}", budget.used());
}
