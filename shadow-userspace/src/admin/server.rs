//! The server: takes listeners and an agent, answers until it is stopped.
//!
//! Every connection has one request, a place among a bounded number of them and a limited time; who finds no place waits in
//! the kernel's backlog. TCP and the socket have places of their own, so that callers by the network can't lock out `ctl`.
//! Handlers run on threads that may block, and one that panics costs its own caller an answer, no more.

use std::{
    io, net::SocketAddr, os::unix::net::UnixListener as StdUnixListener, path::Path, sync::Arc,
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::timeout,
};

use crate::{
    admin::{
        Controlled,
        api::{self, Answer, Api},
        auth::{Origin, Token, TokenError},
        metrics::ProcessStart,
        socket::{BoundSocket, DIRECTORY, SocketError, SocketFile},
    },
    config::{AdminConfig, AdminSocket},
};

/// What callers can make the server hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once, by TCP and by the socket each.
    pub(super) places: usize,
    /// For a request's head, and for its body.
    pub(super) read: Duration,
    /// For everything from accepting a connection to its end.
    pub(super) total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { places: 32, read: Duration::from_secs(5), total: Duration::from_secs(30) }
    }
}

/// Bytes of a head, and fields in it.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// After an error of accepting, which is one of the whole system: no file descriptors, no memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the admin API can't be offered.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The TCP address.
    #[error(
        "can't listen for the admin API on {address}: {source}; give another --admin address, or leave it out"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The Unix socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// What is listened on, before anyone is answered: made early, while the process has the rights, and errors still count.
#[derive(Debug, Default)]
pub struct Listeners {
    tcp: Option<std::net::TcpListener>,
    socket: Option<BoundSocket>,
    token: Option<Token>,
}

impl Listeners {
    /// Listens as configured. Who connects before [`Self::serve`] waits.
    ///
    /// # Errors
    /// An address or a path of the configuration can't be had, or the token file isn't good. That the default socket can't
    /// be made is only logged.
    pub fn bind(config: &AdminConfig) -> Result<Self, AdminError> {
        let token = config.token_file.as_deref().map(Token::read).transpose()?;
        let listen = |address| {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let tcp = config
            .listen
            .map(|address| listen(address).map_err(|source| AdminError::Listen { address, source }))
            .transpose()?;
        let socket = match &config.socket {
            AdminSocket::Off => None,
            AdminSocket::At(path) => Some(BoundSocket::at(path)?),
            AdminSocket::Default => BoundSocket::in_directory(Path::new(DIRECTORY))
                .inspect_err(|error| tracing::warn!("{error}; `ctl` can't reach this agent"))
                .ok(),
        };
        Ok(Self { tcp, socket, token })
    }

    /// The TCP address, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }

    /// The Unix socket's path.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        Some(self.socket.as_ref()?.file.path())
    }

    /// Answers for `agent` from now on, within the runtime that this is called in.
    ///
    /// # Errors
    /// The runtime takes no more listeners.
    pub fn serve(self, agent: Arc<dyn Controlled>) -> io::Result<AdminServer> {
        self.serve_within(agent, Limits::default())
    }

    pub(super) fn serve_within(self, agent: Arc<dyn Controlled>, limits: Limits) -> io::Result<AdminServer> {
        let api = Api { token: self.token, start: ProcessStart::read(), agent };
        let server = Arc::new(Server { api, limits });
        let mut tasks = JoinSet::new();
        if let Some(listener) = self.tcp {
            let listener = TcpListener::from_std(listener)?;
            let accept = async move || Ok(listener.accept().await?.0);
            tasks.spawn(serve_all(accept, Origin::Tcp, Arc::clone(&server)));
        }
        let mut file = None;
        if let Some(BoundSocket { listener, file: made }) = self.socket {
            let listener = unix_listener(listener)?;
            let accept = async move || Ok(listener.accept().await?.0);
            tasks.spawn(serve_all(accept, Origin::Unix, server));
            file = Some(made);
        }
        Ok(AdminServer { tasks, file })
    }
}

fn unix_listener(listener: StdUnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// The running server; dropping it ends it at once and removes the socket.
#[derive(Debug)]
pub struct AdminServer {
    tasks: JoinSet<()>,
    file: Option<SocketFile>,
}

impl AdminServer {
    /// Ends listening and every connection, and removes the socket.
    pub async fn stop(mut self) {
        drop(self.file.take());
        self.tasks.shutdown().await;
    }
}

/// What all connections share.
struct Server {
    api: Api,
    limits: Limits,
}

/// Accepts for ever; connections end with it.
async fn serve_all<I>(accept: impl AsyncFn() -> io::Result<I>, origin: Origin, server: Arc<Server>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = Arc::new(Semaphore::new(server.limits.places));
    let mut connections = JoinSet::new();
    // It is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match accept().await {
            Ok(stream) => {
                connections.spawn(serve_one(stream, origin, Arc::clone(&server), place));
            }
            Err(error) => {
                tracing::debug!(%error, "the admin API can't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_one<I>(stream: I, origin: Origin, server: Arc<Server>, place: OwnedSemaphorePermit)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (place, limits) = (Arc::new(place), server.limits);
    let service = service_fn(move |request: Request<Incoming>| {
        let (server, place) = (Arc::clone(&server), Arc::clone(&place));
        async move { Ok::<_, std::convert::Infallible>(answer(request, origin, server, place).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // How a caller's connection ends is the caller's business.
    timeout(limits.total, connection).await.ok();
}

async fn answer(
    request: Request<Incoming>,
    origin: Origin,
    server: Arc<Server>,
    place: Arc<OwnedSemaphorePermit>,
) -> Answer {
    let (head, body) = request.into_parts();
    if let Some(refusal) = api::refuse(&head, origin, server.api.token.as_ref()) {
        return refusal;
    }
    let body = match timeout(server.limits.read, Limited::new(body, api::MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(wrong)) if wrong.is::<LengthLimitError>() => {
            let reason = format!("a body may have {} bytes", api::MAX_BODY);
            return api::error(StatusCode::PAYLOAD_TOO_LARGE, &reason);
        }
        Ok(Err(_)) => return api::error(StatusCode::BAD_REQUEST, "the body can't be read"),
        Err(_) => return api::error(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    // It keeps its place for as long as it runs, also when the caller has gone.
    let answered = tokio::task::spawn_blocking(move || {
        let answer = server.api.answer(&head, &body, origin);
        drop(place);
        answer
    });
    answered.await.unwrap_or_else(|error| defect(&error))
}

fn defect(error: &JoinError) -> Answer {
    tracing::error!(%error, "a request to the admin API ended by a defect of the agent");
    api::error(StatusCode::INTERNAL_SERVER_ERROR, "a defect of the agent; its log says more")
}
