//! Peers for tests: real listeners on loopback that read whole requests and answer as told.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Uri, uri::Scheme};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{
    budget::MemoryBudget,
    capture::{AttachMode, SampleRate},
    config::{AdminConfig, CaptureConfig, Config},
    http::RequestHead,
    ledger::Snapshot,
    pipeline::CapturedRequest,
    route::{RouteOptions, SampleKey, ShadowOptions},
    shadow::{
        client::{body::CopyBody, upstream::Upstream},
        copy::{
            self, CopyError,
            policy::{CopyPolicy, HostRule, LoopGuard},
            target::TargetError,
        },
        options::UpstreamOptions,
    },
};

/// A v2 on loopback.
pub struct Peer {
    pub address: SocketAddr,
    accepted: Arc<AtomicU64>,
}

impl Peer {
    /// Runs `serve` on every connection.
    pub async fn spawn<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap(), serve)
    }

    /// Runs `serve` on every connection that `listener` takes.
    pub fn listening<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        // Both ends of every connection are in this process.
        crate::process::raise_file_limit();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request with these bytes and keeps the connection.
    pub async fn answering(answer: &'static [u8]) -> Self {
        Self::spawn(move |mut stream| async move {
            while read_request(&mut stream).await?.is_some() {
                stream.write_all(answer).await?;
            }
            Ok(())
        })
        .await
    }

    /// Answers `204 No Content` and hands out what it received.
    pub async fn recording() -> (Self, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let peer = Self::spawn(move |mut stream| {
            let sender = sender.clone();
            async move {
                while let Some(request) = read_request(&mut stream).await? {
                    sender.send(request).ok();
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                }
                Ok(())
            }
        })
        .await;
        (peer, receiver)
    }

    pub fn upstream(&self) -> Upstream {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// One whole request as it stands on the wire; `None` at the connection's end.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while !is_whole(&bytes) {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

pub fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let (head, body) = bytes.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_lowercase();
    if head.contains("\r\ntransfer-encoding: chunked") {
        return body.starts_with(b"0\r\n") && body.ends_with(b"\r\n\r\n") || {
            let last = body.windows(5).rposition(|window| window == b"\r\n0\r\n");
            last.is_some() && body.ends_with(b"\r\n\r\n")
        };
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}

/// An upstream that nobody listens on.
pub async fn refusing() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

/// A captured request with this head and body.
pub fn captured(head: &str, body: &[u8]) -> CapturedRequest {
    CapturedRequest {
        flow: shadow_common::FlowKey::default(),
        timestamp_ns: 0,
        head: RequestHead::parse(Bytes::copy_from_slice(head.as_bytes())).unwrap(),
        body: Bytes::copy_from_slice(body),
        trailers: Vec::new(),
        reservation: MemoryBudget::new(1 << 30).reservation(),
    }
}

/// An upstream as it is by default, whose sockets need no rights, and that is never left in peace.
pub fn upstream(name: &str, url: Upstream) -> UpstreamOptions {
    UpstreamOptions { name: name.to_owned(), own_mark: 0, breaker: None, ..UpstreamOptions::new(url) }
}

/// All of a route's requests to this upstream.
pub fn shadow_to(upstream: &str) -> ShadowOptions {
    ShadowOptions {
        upstream: upstream.to_owned(),
        percentage: SampleRate::ALL,
        policy: Arc::default(),
        methods: None,
        timeout: None,
        max_body: 1 << 30,
        max_in_flight: None,
    }
}

/// A route for everything.
pub fn route(name: &str, shadows: Vec<ShadowOptions>) -> RouteOptions {
    RouteOptions { name: name.to_owned(), matches: Vec::new(), sample_by: SampleKey::Request, shadows }
}

/// A configuration that captures nothing.
pub fn config(upstreams: Vec<UpstreamOptions>, routes: Vec<RouteOptions>) -> Config {
    let capture = CaptureConfig {
        interfaces: Vec::new(),
        netns: None,
        ports: vec![80],
        attach: AttachMode::default(),
        ring_bytes: 1 << 20,
        only_new: false,
        max_flows: 1000,
        max_memory: 1 << 20,
    };
    Config {
        capture,
        upstreams,
        routes,
        loop_guard: LoopGuard::default(),
        admin: AdminConfig::default(),
        grace: Duration::from_secs(5),
    }
}

/// Everything to one upstream.
pub fn config_to(upstream: UpstreamOptions) -> Config {
    let routes = vec![route("default", vec![shadow_to(&upstream.name)])];
    config(vec![upstream], routes)
}

/// Asserts that every request has an outcome and that these are all, as `label: count` pairs.
pub fn assert_ledger(ledger: &Snapshot, expected: &[(&str, u64)]) {
    let mut outcomes = Vec::new();
    if ledger.mirrored() > 0 {
        outcomes.push(("mirrored", ledger.mirrored()));
    }
    outcomes.extend(ledger.failures().map(|(reason, count)| (reason.label(), count)));
    outcomes.extend(ledger.drops().map(|(reason, count)| (reason.label(), count)));
    assert_eq!(outcomes, expected);
    assert_eq!(ledger.in_flight(), 0);
    assert_eq!(ledger.sampled, expected.iter().map(|(_, count)| count).sum::<u64>());
}

/// Makes the copy for `upstream`, with nothing changed but Host.
pub fn copy(
    head: &RequestHead,
    body: Bytes,
    trailers: &[(Bytes, Bytes)],
    upstream: &Upstream,
    suffix: &str,
) -> Result<Request<CopyBody>, CopyError> {
    let policy = CopyPolicy { host: HostRule::Suffix(suffix.to_owned()), ..CopyPolicy::default() };
    let (mut parts, body) = copy::whole(head, body, trailers, IpAddr::from([192, 0, 2, 1]), &policy)?;
    let mut there = http::uri::Parts::from(parts.uri);
    there.scheme = Some(Scheme::HTTP);
    there.authority = Some(upstream.authority().clone());
    parts.uri = Uri::from_parts(there).map_err(|_| CopyError::Target(TargetError))?;
    Ok(Request::from_parts(parts, body))
}
