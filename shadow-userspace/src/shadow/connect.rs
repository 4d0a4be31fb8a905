//! Connections to v2: takes the upstream, gives marked TCP connections for hyper's pool.
//!
//! The mark keeps the agent's own packets out of the capture (the loop guard's first line).

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tower_service::Service;

use crate::shadow::upstream::Upstream;

/// SO_MARK of the agent's own sockets.
pub const OWN_MARK: u32 = 0x5AD0;

/// Connects to one upstream; clones share their count.
#[derive(Clone, Debug)]
pub struct Connector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    timeout: Duration,
    mark: u32,
    mark_refused: Once,
    opened: AtomicU64,
}

impl Connector {
    /// Connects within `timeout`, name resolution included, from sockets that carry `mark` (0: none).
    #[must_use]
    pub fn new(upstream: Upstream, timeout: Duration, mark: u32) -> Self {
        let (mark_refused, opened) = (Once::new(), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { upstream, timeout, mark, mark_refused, opened }) }
    }

    /// Connections opened so far.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.shared.opened.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// The first address that accepts, in the resolver's order.
    async fn connect(&self) -> io::Result<V2Stream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in tokio::net::lookup_host((self.upstream.host(), self.upstream.port())).await? {
            match self.socket(address)?.connect(address).await {
                Ok(stream) => {
                    self.opened.fetch_add(1, Ordering::Relaxed);
                    return Ok(V2Stream { io: TokioIo::new(stream), retired: Retired::default() });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if self.mark != 0
            && let Err(error) = socket.set_mark(self.mark)
        {
            self.mark_refused.call_once(|| {
                tracing::warn!(
                    %error,
                    "can't mark own sockets (needs CAP_NET_ADMIN or CAP_NET_RAW): loops are found by headers alone"
                );
            });
        }
        Ok(TcpSocket::from_std_stream(socket.into()))
    }
}

impl Service<Uri> for Connector {
    type Response = V2Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<V2Stream>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The URI is the pool's key; there is only one upstream.
    fn call(&mut self, _key: Uri) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            tokio::time::timeout(shared.timeout, shared.connect())
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}

/// A connection to v2.
#[derive(Debug)]
pub struct V2Stream {
    io: TokioIo<TcpStream>,
    retired: Retired,
}

/// Whether a connection may be used again; every answer carries its own connection's.
#[derive(Clone, Debug, Default)]
pub(super) struct Retired(Arc<AtomicBool>);

impl Retired {
    /// No further copy is sent on the connection. To be called when its answer has been read to the end.
    pub(super) fn retire(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connection for V2Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.retired.clone())
    }
}

impl Read for V2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper reads before it writes the next request: an end here makes the pool take another connection.
        if self.retired.0.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for V2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, buffers)
    }
}
