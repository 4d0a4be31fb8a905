//! The client towards v2: takes a copy, gives its outcome once v2 has answered or failed to.
//!
//! The answer is read to its end and discarded. A copy is never sent twice: v2 may have processed what it didn't
//! answer. (One of which no byte was written, because v2 had closed the kept connection, goes out on another.)
//!
//! [`upstream`] says where v2 is, [`resolve`] and [`addresses`] by which addresses, [`connect`] and [`tls`] how it is reached;
//! [`pool`] keeps connections, [`body`] is what is sent, [`reason`] what a failure means.

mod addresses;
pub mod body;
pub mod connect;
mod pool;
mod reason;
mod resolve;
mod tls;
pub mod upstream;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use http::{Request, Response, Uri, Version, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

pub use crate::shadow::client::tls::ClientError;
use crate::{
    ledger::{FailReason, Outcome},
    shadow::{
        client::{
            addresses::Addresses,
            body::{BodyEnd, CopyBody},
            connect::{ConnectError, Connection, Connector},
            pool::Pool,
            resolve::{Resolve, System},
            tls::Tls,
            upstream::Upstream,
        },
        options::UpstreamOptions,
    },
};

/// Failures to connect are told no more often than this.
const COMPLAIN: Duration = Duration::from_secs(30);

/// Sends copies to one upstream; clones share their connections.
#[derive(Clone, Debug)]
pub struct ShadowClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    upstream: Upstream,
    addresses: Addresses,
    connector: Connector,
    pool: Arc<Pool>,
    connect_timeout: Duration,
    max_response: u64,
    complained: Mutex<Option<Instant>>,
}

impl ShadowClient {
    /// A client without connections yet.
    ///
    /// # Errors
    /// If the upstream is reached by TLS and what it shall trust can't be read or is no certificate.
    pub fn new(options: &UpstreamOptions) -> Result<Self, ClientError> {
        Self::counting(options, Arc::default())
    }

    /// As [`Self::new`]; connections are counted in `opened`.
    pub(in crate::shadow) fn counting(
        options: &UpstreamOptions,
        opened: Arc<AtomicU64>,
    ) -> Result<Self, ClientError> {
        Self::with_resolver(options, opened, || Box::new(System::new(&options.url)))
    }

    /// The resolver is for an upstream that is no literal address.
    fn with_resolver(
        options: &UpstreamOptions,
        opened: Arc<AtomicU64>,
        resolver: impl FnOnce() -> Box<dyn Resolve>,
    ) -> Result<Self, ClientError> {
        let url = &options.url;
        let tls = if url.is_tls() { Some(Tls::new(url, &options.tls)?) } else { None };
        let addresses = match url.host().parse::<IpAddr>() {
            Ok(address) => Addresses::fixed(SocketAddr::new(address, url.port())),
            Err(_) => Addresses::resolved(resolver(), options.dns_refresh),
        };
        let inner = Inner {
            upstream: url.clone(),
            addresses,
            connector: Connector::new(tls, options.own_mark, opened),
            pool: Arc::new(Pool::new(options.max_in_flight, options.idle_timeout)),
            connect_timeout: options.connect_timeout,
            max_response: options.max_response,
            complained: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the copies go.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.inner.upstream
    }

    /// Whether the files that these options name are still those that were read.
    pub(in crate::shadow) fn is_current(&self, options: &UpstreamOptions) -> bool {
        self.inner.connector.is_current(&options.tls)
    }

    /// TCP connections opened so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.inner.connector.opened()
    }

    /// TCP connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.inner.connector.open()
    }

    /// Addresses that copies are spread over.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.inner.addresses.count()
    }

    /// Sends a copy, its target in origin form, and waits for the answer's end: from the end of its body for `timeout`
    /// at most. A body that is aborted gives a reset, and v2 sees its connection end before the body does.
    pub async fn send(&self, head: Parts, body: CopyBody, timeout: Duration) -> Outcome {
        let mut watch = body.watch();
        let limit = async {
            match watch.end().await {
                BodyEnd::Aborted => FailReason::Reset,
                BodyEnd::Open | BodyEnd::Complete => {
                    tokio::time::sleep(timeout).await;
                    FailReason::Timeout
                }
            }
        };
        let answered = tokio::select! {
            biased;
            answered = self.inner.exchange(Request::from_parts(head, body)) => answered,
            reason = limit => Err(reason),
        };
        match answered {
            Ok((status, connection)) => {
                if let Some(connection) = connection
                    && watch.now() == BodyEnd::Complete
                {
                    self.inner.pool.keep(connection).await;
                }
                Outcome::Mirrored(status)
            }
            Err(reason) => Outcome::Failed(reason),
        }
    }
}

impl Inner {
    /// The answer's status, and the connection if it may be used again.
    async fn exchange(&self, mut copy: Request<CopyBody>) -> Result<(u16, Option<Connection>), FailReason> {
        *copy.uri_mut() = copy.uri().path_and_query().cloned().map(Uri::from).unwrap_or_default();
        loop {
            let mut connection = self.connection().await?;
            let mut error = match connection.sender.try_send_request(copy).await {
                Ok(response) => return self.answered(connection, response).await,
                Err(error) => error,
            };
            match error.take_message() {
                Some(unsent) if connection.used => copy = unsent,
                _ => return Err(reason::of(error.error())),
            }
        }
    }

    /// A kept connection, or a new one: to the address whose turn it is, or else the next.
    async fn connection(&self) -> Result<Connection, FailReason> {
        let deadline = Instant::now() + self.connect_timeout;
        let candidates = self.addresses.candidates(deadline).await.ok_or(FailReason::Dns)?;
        let mut last = FailReason::Connect;
        for (tried, &address) in candidates.iter().enumerate() {
            if let Some(connection) = self.pool.take(address) {
                return Ok(connection);
            }
            // An address that says nothing leaves time for the others.
            let share = (deadline - Instant::now()) / u32::try_from(candidates.len() - tried).unwrap_or(1);
            match self.connector.connect(address, Instant::now() + share).await {
                Ok(connection) => {
                    self.addresses.reached(address);
                    return Ok(connection);
                }
                Err(error) => {
                    self.addresses.refused(address);
                    self.complain(address, &error);
                    last = error.reason();
                }
            }
        }
        Err(last)
    }

    /// Reads the answer to its end, or to the limit.
    async fn answered(
        &self,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<(u16, Option<Connection>), FailReason> {
        let status = response.status().as_u16();
        // After an answer in HTTP/1.0 hyper would speak that too, where a chunked body can't be sent.
        let again = response.version() == Version::HTTP_11;
        let mut body = response.into_body();
        let mut left = self.max_response;
        while let Some(frame) = body.frame().await {
            let length = frame.map_err(|error| reason::of(&error))?.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(length as u64) {
                Some(rest) => left = rest,
                None => return Ok((status, None)),
            }
        }
        Ok((status, again.then_some(connection)))
    }

    fn complain(&self, address: SocketAddr, error: &ConnectError) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|when| when.elapsed() >= COMPLAIN) {
            *complained = Some(Instant::now());
            tracing::warn!(upstream = %self.upstream, %address, "{error}");
        }
    }
}

#[cfg(test)]
mod tests;
