//! Names to addresses: takes an upstream's host and port, gives the addresses that the system knows for it.

use std::{fmt, io, net::SocketAddr, pin::Pin};

use crate::shadow::client::upstream::Upstream;

/// A resolution under way.
pub(in crate::shadow) type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Knows the addresses of one upstream. May fail, and may take as long as it likes.
pub(in crate::shadow) trait Resolve: fmt::Debug + Send + Sync {
    /// The name, for people.
    fn name(&self) -> &str;

    /// Asks anew.
    fn resolve(&self) -> Answer;
}

/// getaddrinfo, in a thread of its own.
#[derive(Debug)]
pub(in crate::shadow) struct System {
    host: String,
    port: u16,
}

impl System {
    pub(in crate::shadow) fn new(upstream: &Upstream) -> Self {
        Self { host: upstream.host().to_owned(), port: upstream.port() }
    }
}

impl Resolve for System {
    fn name(&self) -> &str {
        &self.host
    }

    fn resolve(&self) -> Answer {
        let (host, port) = (self.host.clone(), self.port);
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
