//! What one route sends to one upstream: the account of its copies, what is changed about them, and what may be.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    http::{BodyFraming, RequestHead},
    ledger::{CopyAccount, DropReason, Ledger},
    route::{RouteOptions, ShadowOptions},
    shadow::{policy::CopyPolicy, relay::Relay},
};

/// One route's way to one upstream.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) account: CopyAccount,
    pub(super) policy: Arc<CopyPolicy>,
    /// Of the whole copy.
    pub(super) timeout: Duration,
    pub(super) max_body: usize,
    max_in_flight: Option<usize>,
    pub(super) relay: Arc<Relay>,
    /// Held by each of its copies that waits or is on its way.
    load: Arc<()>,
}

impl Lane {
    pub(super) fn new(
        route: &RouteOptions,
        shadow: &ShadowOptions,
        relay: &Arc<Relay>,
        ledger: &Ledger,
    ) -> Self {
        Self {
            account: ledger.account(&route.name, &shadow.upstream),
            policy: Arc::clone(&shadow.policy),
            timeout: shadow.timeout.unwrap_or(relay.options().timeout),
            max_body: shadow.max_body,
            max_in_flight: shadow.max_in_flight,
            relay: Arc::clone(relay),
            load: Arc::default(),
        }
    }

    /// Why a request with this head gets no copy here now.
    pub(super) fn refuses(&self, head: &RequestHead, now: Instant) -> Option<DropReason> {
        if let BodyFraming::Length(length) = head.framing()
            && usize::try_from(length).map_or(true, |length| length > self.max_body)
        {
            return Some(DropReason::BodyTooLarge);
        }
        if self.is_full() {
            return Some(DropReason::InFlightLimit);
        }
        self.relay.refuses(now)
    }

    /// Whether as many of its copies wait, or are on their way, as may.
    pub(super) fn is_full(&self) -> bool {
        self.max_in_flight.is_some_and(|limit| self.load() >= limit)
    }

    /// Its copies that wait or are on their way.
    pub(super) fn load(&self) -> usize {
        Arc::strong_count(&self.load) - 1
    }

    /// To be held by a copy.
    pub(super) fn join(&self) -> Arc<()> {
        Arc::clone(&self.load)
    }
}
