//! Connections to v2: takes an address, gives a marked TCP connection, with TLS if the upstream has it, that hyper
//! drives.
//!
//! The mark keeps the agent's own packets out of the capture (the loop guard's first line).

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Once,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::{
    ledger::FailReason,
    shadow::{
        client::{body::CopyBody, tls::Tls},
        options::TlsOptions,
    },
};

mod stream;

use stream::V2Stream;

/// Bytes of an answer's head, and of what waits to be written, that one connection holds at most. A larger head is no
/// answer.
const BUFFER: usize = 64 << 10;

/// Connects to the addresses of one upstream.
#[derive(Debug)]
pub(in crate::shadow) struct Connector {
    tls: Option<Tls>,
    mark: u32,
    mark_refused: Once,
    opened: Arc<AtomicU64>,
    open: Arc<AtomicUsize>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::shadow) enum ConnectError {
    /// No TCP connection.
    #[error("can't connect: {0}")]
    Tcp(io::Error),
    /// No TLS on it.
    #[error("TLS handshake: {0}")]
    Tls(io::Error),
}

/// A connection to v2. Dropping it closes it, whatever is under way.
#[derive(Debug)]
pub(in crate::shadow) struct Connection {
    pub(in crate::shadow) address: SocketAddr,
    pub(in crate::shadow) sender: SendRequest<CopyBody>,
    /// Whether a copy was sent on it before.
    pub(in crate::shadow) used: bool,
    driver: AbortHandle,
}

impl Connector {
    /// Connects by TLS, if given, from sockets that carry `mark` (0: none), and counts in `opened`.
    pub(in crate::shadow) fn new(tls: Option<Tls>, mark: u32, opened: Arc<AtomicU64>) -> Self {
        Self { tls, mark, mark_refused: Once::new(), opened, open: Arc::new(AtomicUsize::new(0)) }
    }

    /// Whether what is trusted is still what these options say.
    pub(in crate::shadow) fn is_current(&self, options: &TlsOptions) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_current(options))
    }

    /// TCP connections opened so far.
    pub(in crate::shadow) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Those that are open.
    pub(in crate::shadow) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connects until `deadline`.
    pub(in crate::shadow) async fn connect(
        &self,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<Connection, ConnectError> {
        let socket = self.socket(address).map_err(ConnectError::Tcp)?;
        let tcp = within(deadline, socket.connect(address)).await.map_err(ConnectError::Tcp)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        let stream = V2Stream::new(tcp, Arc::clone(&self.open));
        match &self.tls {
            None => drive(address, stream).await.map_err(ConnectError::Tcp),
            Some(tls) => {
                let stream = within(deadline, tls.handshake(stream)).await.map_err(ConnectError::Tls)?;
                drive(address, stream).await.map_err(ConnectError::Tls)
            }
        }
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

async fn within<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Lets hyper work on the stream, in a task of its own.
async fn drive<S>(address: SocketAddr, stream: S) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    // Whoever waits for an answer gets the error.
    let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Connection { address, sender, used: false, driver })
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl ConnectError {
    pub(in crate::shadow) const fn reason(&self) -> FailReason {
        match self {
            Self::Tcp(_) => FailReason::Connect,
            Self::Tls(_) => FailReason::Tls,
        }
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;
    use crate::shadow::options::OWN_MARK;

    #[tokio::test]
    async fn own_sockets_carry_the_mark_and_send_at_once() {
        let address = ([127, 0, 0, 1], 9).into();
        let plain = Connector::new(None, 0, Arc::default()).socket(address).unwrap();
        assert!(plain.nodelay().unwrap());
        if let Err(error) = SockRef::from(&plain).set_mark(1) {
            println!("skipped: can't mark sockets: {error}");
            return;
        }
        let marked = Connector::new(None, OWN_MARK, Arc::default()).socket(address).unwrap();
        assert_eq!(SockRef::from(&marked).mark().unwrap(), OWN_MARK);
    }
}
