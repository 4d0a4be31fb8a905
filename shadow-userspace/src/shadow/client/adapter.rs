//! For callers that know one upstream and no configuration.

use std::time::Duration;

use http::Request;

use super::{ClientError, ShadowClient};
use crate::{
    ledger::Outcome,
    shadow::{body::CopyBody, connect::OWN_MARK, options::UpstreamOptions, upstream::Upstream},
};

/// How copies are sent.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// From the request's last byte to the answer's.
    pub timeout: Duration,
    /// Unused connections that are kept at most.
    pub max_idle: usize,
    /// SO_MARK of the sockets; 0 for none.
    pub own_mark: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), max_idle: 256, own_mark: OWN_MARK }
    }
}

impl ClientOptions {
    /// All of `upstream`'s options.
    #[must_use]
    pub fn of(&self, upstream: Upstream) -> UpstreamOptions {
        let Self { timeout, max_idle, own_mark } = *self;
        UpstreamOptions { timeout, max_in_flight: max_idle, own_mark, ..UpstreamOptions::new(upstream) }
    }
}

impl ShadowClient {
    /// As [`Self::new`].
    ///
    /// # Errors
    /// As there.
    pub fn plain(upstream: Upstream, options: &ClientOptions) -> Result<Self, ClientError> {
        Self::new(&options.of(upstream))
    }

    /// Sends `copy` and waits for the answer's end.
    pub async fn send_copy(&self, copy: Request<CopyBody>) -> Outcome {
        let (head, body) = copy.into_parts();
        self.send(head, body, self.inner.timeout).await
    }
}
