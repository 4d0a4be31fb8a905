//! Copies over several addresses, and names whose answers change, fail or never come.

use std::{net::Ipv4Addr, sync::Mutex};

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::shadow::client::resolve::Answer;

/// What the name resolves to at the moment; none: nobody answers.
type Zone = Arc<Mutex<Option<io::Result<Vec<SocketAddr>>>>>;

#[derive(Debug)]
struct FakeResolver(Zone);

impl Resolve for FakeResolver {
    fn name(&self) -> &str {
        "v2.test"
    }

    fn resolve(&self) -> Answer {
        let answer = match &*self.0.lock().unwrap() {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(error)) => Err(error.kind().into()),
            None => return Box::pin(std::future::pending()),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A client that asks the zone at almost every copy, and connects within 300 ms.
fn client_of(zone: &Zone) -> ShadowClient {
    let options = UpstreamOptions {
        dns_refresh: Duration::from_millis(5),
        connect_timeout: Duration::from_millis(300),
        ..options("http://v2.test".parse().unwrap())
    };
    ShadowClient::with_resolver(&options, Arc::default(), || Box::new(FakeResolver(Arc::clone(zone))))
        .unwrap()
}

fn zone(addresses: &[SocketAddr]) -> Zone {
    Arc::new(Mutex::new(Some(Ok(addresses.to_vec()))))
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    while read_request(&mut stream).await?.is_some() {
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
    Ok(())
}

/// Peers on 127.0.0.1 and on, and how many requests each had.
async fn peers(count: u8) -> (Vec<Peer>, Vec<Arc<AtomicUsize>>) {
    let (mut peers, mut counts) = (Vec::new(), Vec::new());
    for last in 1..=count {
        let requests = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).await.unwrap();
        counts.push(Arc::clone(&requests));
        peers.push(Peer::listening(listener, move |mut stream| {
            let requests = Arc::clone(&requests);
            async move {
                while read_request(&mut stream).await?.is_some() {
                    requests.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                }
                Ok(())
            }
        }));
    }
    (peers, counts)
}

fn addresses(peers: &[Peer]) -> Vec<SocketAddr> {
    peers.iter().map(|peer| peer.address).collect()
}

fn counted(counts: &[Arc<AtomicUsize>]) -> Vec<usize> {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

#[tokio::test]
async fn copies_are_spread_evenly_over_three_addresses_on_kept_connections() {
    let (peers, counts) = peers(3).await;
    let client = client_of(&zone(&addresses(&peers)));
    for _ in 0..300 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
    }
    assert_eq!(counted(&counts), [100, 100, 100]);
    assert_eq!((client.connections(), client.open_connections(), client.addresses()), (3, 3, 3));
}

#[tokio::test]
async fn an_address_that_refuses_costs_no_copy() {
    let (peers, counts) = peers(2).await;
    let nobody = TcpListener::bind("127.0.0.3:0").await.unwrap().local_addr().unwrap();
    let client = client_of(&zone(&[nobody, peers[0].address, peers[1].address]));
    for _ in 0..20 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
    }
    let counts = counted(&counts);
    assert_eq!(counts.iter().sum::<usize>(), 20);
    assert!(counts.iter().all(|&count| count >= 9), "{counts:?}");
}

#[tokio::test]
async fn an_address_that_is_back_gets_its_share_again() {
    let (peers, counts) = peers(1).await;
    let away = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let back = away.local_addr().unwrap();
    drop(away);
    let client = client_of(&zone(&[back, peers[0].address]));
    // Both had their turn.
    for _ in 0..2 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
    }
    let peer = Peer::listening(TcpListener::bind(back).await.unwrap(), answer);
    let known = Instant::now() + Duration::from_secs(5);
    while peer.accepted() == 0 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
        assert!(Instant::now() < known, "it is never tried again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = counted(&counts)[0];
    for _ in 0..10 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
    }
    assert_eq!(counted(&counts)[0] - before, 5);
}

#[tokio::test]
async fn an_address_that_vanished_gets_no_new_copies_and_a_new_one_gets_its_share() {
    let (peers, counts) = peers(3).await;
    let all = addresses(&peers);
    let zone = zone(&all[..2]);
    let client = client_of(&zone);
    for _ in 0..10 {
        get(&client).await;
    }
    *zone.lock().unwrap() = Some(Ok(all[1..].to_vec()));
    let known = Instant::now() + Duration::from_secs(5);
    while counted(&counts)[2] == 0 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
        assert!(Instant::now() < known, "the new address is never used");
    }
    let before = counted(&counts);
    for _ in 0..10 {
        assert_eq!(get(&client).await, Outcome::Mirrored(204));
    }
    let after: Vec<_> = counted(&counts).iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(after, [0, 5, 5]);
}

#[tokio::test]
async fn old_addresses_are_used_while_the_name_fails_or_nobody_answers() {
    let peer = Peer::spawn(answer).await;
    let zone = zone(&[peer.address]);
    let client = client_of(&zone);
    assert_eq!(get(&client).await, Outcome::Mirrored(204));
    for answer in [Some(Err(io::ErrorKind::NotFound.into())), Some(Ok(Vec::new())), None] {
        *zone.lock().unwrap() = answer;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let began = Instant::now();
            assert_eq!(get(&client).await, Outcome::Mirrored(204));
            assert!(began.elapsed() < Duration::from_millis(200), "no copy waits for the resolver");
        }
    }
}

#[tokio::test]
async fn a_name_without_addresses_is_a_failure_of_dns_until_it_has_some() {
    let peer = Peer::spawn(answer).await;
    for silent in [false, true] {
        let zone: Zone = Arc::new(Mutex::new((!silent).then(|| Err(io::ErrorKind::NotFound.into()))));
        let client = client_of(&zone);
        assert_eq!(get(&client).await, Outcome::Failed(FailReason::Dns));
        if silent {
            continue;
        }
        *zone.lock().unwrap() = Some(Ok(vec![peer.address]));
        let limit = Instant::now() + Duration::from_secs(5);
        while get(&client).await != Outcome::Mirrored(204) {
            assert!(Instant::now() < limit, "the name resolves, and isn't asked for");
        }
    }
}

#[tokio::test]
async fn an_ipv6_address_is_reached_by_its_literal() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("skipped: no IPv6 on loopback");
        return;
    };
    let peer = Peer::listening(listener, answer);
    assert_eq!(get(&client(peer.upstream())).await, Outcome::Mirrored(204));
}
