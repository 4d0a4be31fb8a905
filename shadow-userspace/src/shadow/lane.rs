//! What one route sends to one upstream: the account of its copies, what is changed about them, and what may be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    http::{BodyFraming, RequestHead},
    ledger::{CopyAccount, DropReason, Ledger},
    route::{RouteOptions, ShadowOptions},
    shadow::{policy::CopyPolicy, relay::Relay},
};

/// Of the copies of one route for one upstream.
#[derive(Debug, Default)]
struct Load(AtomicUsize);

/// Held by each copy that waits or is on its way.
#[derive(Debug)]
pub(super) struct Loaded(Arc<Load>);

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

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
    load: Arc<Load>,
}

impl Lane {
    /// Copies that are under way by one `before` count against its limit.
    pub(super) fn new<'a>(
        route: &RouteOptions,
        shadow: &ShadowOptions,
        relay: &Arc<Relay>,
        ledger: &Ledger,
        mut before: impl Iterator<Item = &'a Arc<Self>>,
    ) -> Self {
        let account = ledger.account(&route.name, &shadow.upstream);
        let same = before.find(|lane| lane.account.is(&account) && Arc::ptr_eq(&lane.relay, relay));
        Self {
            account,
            policy: Arc::clone(&shadow.policy),
            timeout: shadow.timeout.unwrap_or(relay.options().timeout),
            max_body: shadow.max_body,
            max_in_flight: shadow.max_in_flight,
            relay: Arc::clone(relay),
            load: same.map(|lane| Arc::clone(&lane.load)).unwrap_or_default(),
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
        self.load.0.load(Ordering::Relaxed)
    }

    /// To be held by a copy.
    pub(super) fn join(&self) -> Loaded {
        self.load.0.fetch_add(1, Ordering::Relaxed);
        Loaded(Arc::clone(&self.load))
    }
}
