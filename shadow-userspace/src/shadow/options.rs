//! How an upstream is reached, and what it may cost, as the configuration says it: pure data.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use crate::shadow::client::upstream::Upstream;

/// SO_MARK of the agent's own sockets.
pub const OWN_MARK: u32 = 0x5AD0;

/// One upstream; routes share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// Its name in routes, metrics and `ctl`; its URL if it has no other.
    pub name: String,
    /// Where it is.
    pub url: Upstream,
    /// For an `https` URL.
    pub tls: TlsOptions,
    /// From the request's last byte to the answer's last byte. Connecting counts if the request was complete by then.
    pub timeout: Duration,
    /// For connecting, name resolution and TLS handshake included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the 5 s after which Node.js, Apache and uvicorn close, so
    /// that a copy seldom meets a connection that v2 is just closing; a new connection every few seconds costs nothing.
    pub idle_timeout: Duration,
    /// Its name is resolved again after so long.
    pub dns_refresh: Duration,
    /// Body bytes of an answer that are read at most; beyond, the connection is closed and the copy done.
    pub max_response: u64,
    /// Copies on their way at once.
    pub max_in_flight: usize,
    /// Copies that wait for a place; 0: none waits.
    pub max_queue: usize,
    /// Bytes of heads and bodies that wait for a place. As many may wait, besides, of bodies that are streamed.
    pub max_queue_bytes: usize,
    /// Copies per second; none: any number.
    pub max_rps: Option<NonZeroU32>,
    /// When it is left in peace; none: never.
    pub breaker: Option<BreakerOptions>,
    /// In what order copies are sent.
    pub order: Order,
    /// Bodies larger than this are streamed, as they arrive.
    pub stream_above: usize,
    /// Bytes of one streamed body that wait for v2 to take them.
    pub stream_buffer: usize,
    /// SO_MARK of the sockets; 0 for none.
    pub own_mark: u32,
}

impl UpstreamOptions {
    /// With the defaults of `run`, and its URL for a name.
    #[must_use]
    pub fn new(url: Upstream) -> Self {
        Self {
            name: url.to_string(),
            url,
            tls: TlsOptions::default(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(4),
            dns_refresh: Duration::from_secs(30),
            max_response: 16 << 20,
            max_in_flight: 256,
            max_queue: 8192,
            max_queue_bytes: 32 << 20,
            max_rps: None,
            breaker: Some(BreakerOptions::default()),
            order: Order::default(),
            stream_above: 256 << 10,
            stream_buffer: 4 << 20,
            own_mark: OWN_MARK,
        }
    }
}

/// How the other end proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of the authorities that are trusted; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// Name that the certificate must have and that SNI says; none: the URL's host.
    pub server_name: Option<String>,
    /// Any certificate is taken.
    pub insecure: bool,
}

/// When an upstream is left in peace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many copies in a row that found no connection or ran into their timeout open it.
    pub failures: NonZeroU32,
    /// After so long one copy is let through, to see.
    pub open_for: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU32::new(20).expect("is not zero") },
            open_for: Duration::from_secs(5),
        }
    }
}

/// In what order copies are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As places get free; copies may overtake each other.
    #[default]
    None,
    /// Those of one client connection one after the other.
    PerConnection,
}
