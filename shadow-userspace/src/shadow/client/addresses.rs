//! An upstream's addresses: takes what the resolver says and which of them take connections, gives each copy the
//! addresses to try, in order.
//!
//! A copy waits for the resolver only while no address is known: old addresses are used until there are new ones.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smallvec::SmallVec;
use tokio::{sync::watch, time::Instant};

use crate::shadow::client::resolve::Resolve;

/// How long an address is left out after it took no connection; each further time twice as long.
const LEFT_OUT: Duration = Duration::from_secs(1);
/// It is left out no longer than that.
const LEFT_OUT_AT_MOST: Duration = Duration::from_secs(30);
/// A resolution that failed is repeated after that, or after the usual time if that is shorter.
const RETRY: Duration = Duration::from_secs(1);
/// Addresses that one copy tries at most.
const TRIES: usize = 4;

/// The addresses that a copy tries, in order; never empty.
pub(in crate::shadow) type Candidates = SmallVec<[SocketAddr; TRIES]>;

/// The addresses of one upstream; clones share them.
#[derive(Clone, Debug)]
pub(in crate::shadow) struct Addresses {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// None: the addresses are what they are.
    resolver: Option<Box<dyn Resolve>>,
    refresh: Duration,
    state: Mutex<State>,
    resolving: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    known: Vec<Known>,
    turn: usize,
    /// When to resolve; none: never has been.
    due: Option<Instant>,
    failing: bool,
}

#[derive(Clone, Debug)]
struct Known {
    address: SocketAddr,
    /// Connections refused since the last that was made.
    refusals: u32,
    left_out_until: Option<Instant>,
}

impl Addresses {
    /// A literal address.
    pub(in crate::shadow) fn fixed(address: SocketAddr) -> Self {
        let state = State { known: vec![Known::new(address)], ..State::default() };
        Self::with(None, Duration::MAX, state)
    }

    /// What `resolver` says, asked on first use and again after `refresh` while in use.
    pub(in crate::shadow) fn resolved(resolver: Box<dyn Resolve>, refresh: Duration) -> Self {
        Self::with(Some(resolver), refresh, State::default())
    }

    fn with(resolver: Option<Box<dyn Resolve>>, refresh: Duration, state: State) -> Self {
        let (state, resolving) = (Mutex::new(state), watch::Sender::new(false));
        Self { inner: Arc::new(Inner { resolver, refresh, state, resolving }) }
    }

    /// The addresses for one more copy. None if the name doesn't resolve, or not until `deadline`.
    pub(in crate::shadow) async fn candidates(&self, deadline: Instant) -> Option<Candidates> {
        self.resolve_if_due();
        if let Some(candidates) = self.inner.lock().pick(Instant::now()) {
            return Some(candidates);
        }
        let mut resolving = self.inner.resolving.subscribe();
        // The sender lives as long as `self`.
        tokio::time::timeout_at(deadline, resolving.wait_for(|resolving| !resolving)).await.ok()?.ok()?;
        self.inner.lock().pick(Instant::now())
    }

    /// `address` took a connection.
    pub(in crate::shadow) fn reached(&self, address: SocketAddr) {
        if let Some(known) = self.inner.lock().find(address) {
            known.refusals = 0;
            known.left_out_until = None;
        }
    }

    /// `address` took no connection: it is left out for a while.
    pub(in crate::shadow) fn refused(&self, address: SocketAddr) {
        if let Some(known) = self.inner.lock().find(address) {
            known.refusals = known.refusals.saturating_add(1);
            known.left_out_until = Some(Instant::now() + known.pause());
        }
    }

    /// How many are known.
    pub(in crate::shadow) fn count(&self) -> usize {
        self.inner.lock().known.len()
    }

    /// Starts a resolution in a task of its own if it is time and none is under way.
    fn resolve_if_due(&self) {
        if self.inner.resolver.is_none() || self.inner.lock().due.is_some_and(|due| due > Instant::now()) {
            return;
        }
        let begun = self.inner.resolving.send_if_modified(|resolving| !std::mem::replace(resolving, true));
        if begun {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                if let Some(resolver) = &inner.resolver {
                    let answer = resolver.resolve().await;
                    let failed = inner.lock().update(answer, inner.refresh, Instant::now());
                    if let Some(reason) = failed {
                        tracing::warn!(name = resolver.name(), reason, "an upstream's name doesn't resolve");
                    }
                }
                inner.resolving.send_replace(false);
            });
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next copy's addresses: round robin over those that take connections, then those that are left out.
    fn pick(&mut self, now: Instant) -> Option<Candidates> {
        let in_use = |known: &&Known| known.left_out_until.is_none_or(|until| until <= now);
        let count = self.known.iter().filter(in_use).count();
        let start = self.turn % count.max(1);
        self.turn = self.turn.wrapping_add(1);
        let turned = self.known.iter().filter(in_use).cycle().skip(start).take(count);
        let mut candidates: Candidates = turned.map(|known| known.address).take(TRIES).collect();
        if candidates.len() < TRIES {
            let mut left_out: Vec<_> = self.known.iter().filter(|known| !in_use(known)).collect();
            left_out.sort_by_key(|known| known.left_out_until);
            let left_out = left_out.into_iter().map(|known| known.address);
            candidates.extend(left_out.take(TRIES - candidates.len()));
        }
        let first = *candidates.first()?;
        // This copy tries whether the address is back; others go on leaving it out until that is known.
        if let Some(known) = self.find(first)
            && known.refusals > 0
        {
            known.left_out_until = Some(now + known.pause());
        }
        Some(candidates)
    }

    fn find(&mut self, address: SocketAddr) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.address == address)
    }

    /// Takes a resolution's answer. Gives the reason if it failed and the one before didn't.
    fn update(
        &mut self,
        answer: io::Result<Vec<SocketAddr>>,
        refresh: Duration,
        now: Instant,
    ) -> Option<String> {
        let reason = match answer {
            Ok(addresses) if !addresses.is_empty() => {
                self.due = Some(now + refresh);
                self.failing = false;
                self.replace(&addresses);
                return None;
            }
            Ok(_) => "it has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        self.due = Some(now + RETRY.min(refresh));
        let before = std::mem::replace(&mut self.failing, true);
        (!before).then_some(reason)
    }

    /// Of an address that stays, what is known about it stays.
    fn replace(&mut self, addresses: &[SocketAddr]) {
        let mut known: Vec<Known> = Vec::with_capacity(addresses.len());
        for &address in addresses {
            if known.iter().all(|known| known.address != address) {
                known.push(self.find(address).cloned().unwrap_or_else(|| Known::new(address)));
            }
        }
        self.known = known;
    }
}

impl Known {
    const fn new(address: SocketAddr) -> Self {
        Self { address, refusals: 0, left_out_until: None }
    }

    fn pause(&self) -> Duration {
        let doublings = self.refusals.saturating_sub(1).min(5);
        (LEFT_OUT * (1 << doublings)).min(LEFT_OUT_AT_MOST)
    }
}

#[cfg(test)]
mod tests;
