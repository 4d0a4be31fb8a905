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
    shadow::{copy::policy::CopyPolicy, mirror::relay::Relay},
};

/// Of the copies of one route for one upstream.
#[derive(Debug, Default)]
struct Load(AtomicUsize);

/// Held by each copy that waits or is on its way.
#[derive(Debug)]
pub(in crate::shadow) struct Loaded(Arc<Load>);

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One route's way to one upstream.
#[derive(Debug)]
pub(in crate::shadow) struct Lane {
    pub(in crate::shadow) account: CopyAccount,
    pub(in crate::shadow) policy: Arc<CopyPolicy>,
    /// Of the whole copy.
    pub(in crate::shadow) timeout: Duration,
    pub(in crate::shadow) max_body: usize,
    max_in_flight: Option<usize>,
    pub(in crate::shadow) relay: Arc<Relay>,
    load: Arc<Load>,
}

impl Lane {
    /// Copies that are under way by one `before` count against its limit.
    pub(in crate::shadow) fn new<'a>(
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
    pub(in crate::shadow) fn refuses(&self, head: &RequestHead, now: Instant) -> Option<DropReason> {
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
    pub(in crate::shadow) fn is_full(&self) -> bool {
        self.max_in_flight.is_some_and(|limit| self.load() >= limit)
    }

    /// Its copies that wait or are on their way.
    pub(in crate::shadow) fn load(&self) -> usize {
        self.load.0.load(Ordering::Relaxed)
    }

    /// To be held by a copy.
    pub(in crate::shadow) fn join(&self) -> Loaded {
        self.load.0.fetch_add(1, Ordering::Relaxed);
        Loaded(Arc::clone(&self.load))
    }
}
