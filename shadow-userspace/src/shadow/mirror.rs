//! What is mirrored where, and how that changes while the agent runs.
//!
//! Takes a [`Config`], gives the capture thread its [sink](Mirror::sink). A reload swaps the plan as a whole: each request
//! is planned by one configuration from its head to its end, and what is under way goes on by its own. An upstream whose
//! options stay keeps its connections, its queue and its breaker; one that goes finishes the copies that it has.
//!
//! The capture thread's [`sink`] plans a request's copies; a [`lane`] is one route's way to one upstream, and a [`relay`] an
//! upstream with its [`queue`], its [`breaker`] and what is counted of it ([`record`], [`latency`]). A [`job`] is a copy on
//! its way from one thread to the other, and [`message`] what is sent of it.

pub mod breaker;
mod job;
mod lane;
pub mod latency;
mod message;
mod patience;
mod queue;
mod record;
pub mod relay;
pub mod sink;

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use crate::{
    capture::SampleRate,
    config::Config,
    ledger::{CopyAccount, Ledger},
    route::{Dice, RateTargetError, RouteTable},
    shadow::{
        client::ClientError,
        copy::policy::LoopGuard,
        mirror::{lane::Lane, latency::Latency, record::Records, relay::Relay, sink::ShadowSink},
    },
};

/// A handle on what is mirrored; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mirror {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: ArcSwap<Plan>,
    ledger: Ledger,
    /// A patient sink waits no more.
    hurry: AtomicBool,
    latency: Arc<Latency>,
    /// Every upstream that has copies, also those that no plan names any more.
    relays: Mutex<Vec<Weak<Relay>>>,
    /// Also of upstreams that are gone.
    records: Records,
    runtime: Handle,
}

/// One configuration at work.
#[derive(Debug)]
pub struct Plan {
    pub(in crate::shadow) table: RouteTable,
    pub(in crate::shadow) guard: LoopGuard,
    /// By route and shadow, as the table counts them.
    lanes: Vec<Vec<Arc<Lane>>>,
    /// In the configuration's order.
    relays: Vec<Arc<Relay>>,
}

/// Why a configuration can't run.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// An upstream can't be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A route names an upstream that isn't there.
    #[error("route {route:?} names the upstream {upstream:?}, which is not among the upstreams: add it")]
    NoUpstream {
        /// The route's name.
        route: String,
        /// The upstream's name.
        upstream: String,
    },
}

impl Mirror {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// If an upstream can't be made as it is configured.
    pub fn new(config: &Config, ledger: Ledger, runtime: Handle) -> Result<Self, MirrorError> {
        let (latency, records) = (Arc::new(Latency::new()), Records::default());
        let make = Make { ledger: &ledger, latency: &latency, records: &records, runtime: &runtime };
        let plan = make.plan(config, None)?;
        let relays = Mutex::new(plan.relays.iter().map(Arc::downgrade).collect());
        let (plan, hurry) = (ArcSwap::from_pointee(plan), AtomicBool::new(false));
        let inner = Inner { plan, ledger, hurry, latency, relays, records, runtime };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The capture thread's end. `dice` is asked for every request.
    pub fn sink(&self, dice: impl FnMut() -> Dice + Send + 'static) -> ShadowSink {
        ShadowSink::new(self.clone(), dice)
    }

    /// Makes what another configuration needs, without running it.
    ///
    /// # Errors
    /// As [`Self::new`]; nothing changed then.
    pub fn prepare(&self, config: &Config) -> Result<Plan, MirrorError> {
        let Inner { ledger, latency, records, runtime, .. } = &*self.inner;
        let make = Make { ledger, latency, records, runtime };
        make.plan(config, Some(&self.plan()))
    }

    /// Requests whose heads come from now on are planned by `plan`.
    pub fn switch(&self, plan: Plan) {
        let mut relays = self.inner.relays.lock().unwrap_or_else(PoisonError::into_inner);
        relays.retain(|relay| relay.strong_count() > 0);
        for relay in &plan.relays {
            if !relays.iter().any(|known| known.as_ptr() == Arc::as_ptr(relay)) {
                relays.push(Arc::downgrade(relay));
            }
        }
        self.inner.plan.store(Arc::new(plan));
    }

    /// The configuration at work.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        self.inner.plan.load_full()
    }

    /// Another rate for a route, `ROUTE`, or for one of its upstreams, `ROUTE/UPSTREAM`.
    ///
    /// # Errors
    /// If there is none; names the nearest.
    pub fn set_rate(&self, selector: &str, rate: SampleRate) -> Result<(), RateTargetError> {
        self.plan().table.set_rate(selector, rate)
    }

    /// How long answered copies took, to whichever upstream.
    #[must_use]
    pub fn latency(&self) -> &Arc<Latency> {
        &self.inner.latency
    }

    /// Connections opened so far, to whichever upstream.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.inner.records.connections()
    }

    /// A patient sink waits no more from now on: what has no room is dropped.
    pub fn hurry(&self) {
        self.inner.hurry.store(true, Ordering::Relaxed);
    }

    /// Takes no more copies, finishes what there is until `grace` is ready, then drops what is left.
    pub async fn close(&self, grace: impl Future<Output = ()>) {
        self.hurry();
        let relays = self.all();
        relays.iter().for_each(|relay| relay.close());
        let all_idle = async || {
            for relay in &relays {
                relay.until_idle().await;
            }
        };
        tokio::select! {
            () = all_idle() => {}
            () = grace => {}
        }
        relays.iter().for_each(|relay| relay.give_up());
        all_idle().await;
    }

    pub(in crate::shadow) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    pub(in crate::shadow) fn current(&self) -> arc_swap::Guard<Arc<Plan>> {
        self.inner.plan.load()
    }

    pub(in crate::shadow) fn is_hurried(&self) -> bool {
        self.inner.hurry.load(Ordering::Relaxed)
    }

    /// Whether a copy is on its way, wherever it goes, whose request is complete.
    pub(in crate::shadow) fn moves(&self) -> bool {
        self.all().iter().any(|relay| relay.moves())
    }

    fn all(&self) -> Vec<Arc<Relay>> {
        let relays = self.inner.relays.lock().unwrap_or_else(PoisonError::into_inner);
        relays.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Plan {
    /// The routes, with their rates of the moment.
    #[must_use]
    pub const fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The upstreams, in the configuration's order.
    #[must_use]
    pub fn relays(&self) -> &[Arc<Relay>] {
        &self.relays
    }

    /// The accounts of a route's copies, in the order of its shadows.
    pub fn accounts(&self, route: usize) -> impl Iterator<Item = &CopyAccount> {
        self.lanes.get(route).into_iter().flatten().map(|lane| &lane.account)
    }

    pub(in crate::shadow) fn lane(&self, route: usize, shadow: usize) -> Option<&Arc<Lane>> {
        self.lanes.get(route)?.get(shadow)
    }
}

/// What a plan is made with.
struct Make<'a> {
    ledger: &'a Ledger,
    latency: &'a Arc<Latency>,
    records: &'a Records,
    runtime: &'a Handle,
}

impl Make<'_> {
    /// Upstreams of `before` with the same options stay as they are.
    fn plan(&self, config: &Config, before: Option<&Plan>) -> Result<Plan, MirrorError> {
        let mut relays = Vec::with_capacity(config.upstreams.len());
        for options in &config.upstreams {
            let mut before = before.into_iter().flat_map(|plan| &plan.relays);
            // Also the files that they name are the same.
            let is_same =
                |relay: &&Arc<Relay>| relay.options() == options && relay.client().is_current(options);
            let kept = before.find(is_same).cloned();
            relays.push(match kept {
                Some(relay) => relay,
                None => Relay::new(options, self.latency, self.records.of(&options.name), self.runtime)?,
            });
        }
        let lanes = config.routes.iter().map(|route| {
            let lane = |shadow: &crate::route::ShadowOptions| {
                let relay = relays.iter().find(|relay| relay.options().name == shadow.upstream);
                let missing = || MirrorError::NoUpstream {
                    route: route.name.clone(),
                    upstream: shadow.upstream.clone(),
                };
                let relay = relay.ok_or_else(missing)?;
                let before = before.into_iter().flat_map(|plan| plan.lanes.iter().flatten());
                Ok(Arc::new(Lane::new(route, shadow, relay, self.ledger, before)))
            };
            route.shadows.iter().map(lane).collect::<Result<Vec<_>, MirrorError>>()
        });
        let lanes = lanes.collect::<Result<Vec<_>, _>>()?;
        let table = RouteTable::new(&config.routes);
        Ok(Plan { table, guard: config.loop_guard.clone(), lanes, relays })
    }
}

#[cfg(test)]
mod tests;
