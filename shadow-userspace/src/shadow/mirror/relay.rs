//! One upstream at work: takes copies, gives each its outcome (invariant 2).
//!
//! A v2 that hangs fills the places, then the queue, and then costs requests their copy; the capture thread never waits
//! for it (invariants 1 and 4). [`place`] is where copies are sent.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use shadow_common::FlowKey;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

use crate::{
    ledger::{DropReason, Outcome},
    shadow::{
        client::{
            ClientError, ShadowClient,
            body::{BodyEnd, CopyBody, Room, Watch},
        },
        mirror::{
            breaker::{Breaker, BreakerState},
            job::Job,
            latency::Latency,
            queue::{Pushed, Queue, QueueLimits},
            record::Record,
        },
        options::UpstreamOptions,
    },
};

mod place;

/// One upstream, with its connections, its queue and its breaker.
pub struct Relay {
    options: UpstreamOptions,
    client: ShadowClient,
    limiter: Option<DefaultDirectRateLimiter>,
    breaker: Mutex<Breaker>,
    queue: Mutex<Queue<Job>>,
    /// For the bodies that are streamed, whether they wait for a place or have one.
    room: Room,
    /// Of all upstreams of its name.
    record: Arc<Record>,
    /// Of all upstreams.
    latency_of_all: Arc<Latency>,
    /// The bodies that arrive while they are sent, of copies that have a place.
    streaming: Mutex<Vec<Weak<Watch>>>,
    /// Places that are taken, until the outcome of their last copy is in the ledger.
    busy: AtomicUsize,
    idle: Notify,
    /// True once copies get no more time.
    given_up: watch::Sender<bool>,
    runtime: Handle,
}

/// What an upstream is busy with at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayGauges {
    /// The upstream's name.
    pub upstream: String,
    /// Copies on their way.
    pub in_flight: usize,
    /// Copies that wait.
    pub queued: usize,
    /// Bytes that wait.
    pub queued_bytes: usize,
    /// Whether copies go.
    pub breaker: BreakerState,
    /// Connections opened so far, also by earlier upstreams of its name.
    pub connections: u64,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("upstream", &self.options.name).finish_non_exhaustive()
    }
}

/// The share of a second's copies that may go at once.
const BURST: u32 = 10;

impl Relay {
    /// An upstream that nothing was sent to yet; what others of its name did stands in `record`.
    ///
    /// # Errors
    /// If the client can't be made, as with a file of authorities that can't be read.
    pub(in crate::shadow) fn new(
        options: &UpstreamOptions,
        latency_of_all: &Arc<Latency>,
        record: Arc<Record>,
        runtime: &Handle,
    ) -> Result<Arc<Self>, ClientError> {
        let limits = QueueLimits {
            places: options.max_in_flight,
            waiting: options.max_queue,
            bytes: options.max_queue_bytes,
        };
        let quota = options.max_rps.map(|rate| {
            let burst = rate.get().div_ceil(BURST).try_into().unwrap_or(rate);
            Quota::per_second(rate).allow_burst(burst)
        });
        Ok(Arc::new(Self {
            client: ShadowClient::counting(options, Arc::clone(&record.connections))?,
            limiter: quota.map(RateLimiter::direct),
            breaker: Mutex::new(Breaker::new(options.breaker)),
            queue: Mutex::new(Queue::new(limits, options.order)),
            room: Room::new(options.max_queue_bytes),
            record,
            latency_of_all: Arc::clone(latency_of_all),
            streaming: Mutex::default(),
            busy: AtomicUsize::new(0),
            idle: Notify::new(),
            given_up: watch::Sender::new(false),
            runtime: runtime.clone(),
            options: options.clone(),
        }))
    }

    /// As it was configured.
    #[must_use]
    pub const fn options(&self) -> &UpstreamOptions {
        &self.options
    }

    /// How long answered copies took, to this upstream and earlier ones of its name.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.record.latency
    }

    /// The client that sends the copies.
    #[must_use]
    pub const fn client(&self) -> &ShadowClient {
        &self.client
    }

    /// What it is busy with now.
    #[must_use]
    pub fn gauges(&self) -> RelayGauges {
        let breaker = self.breaker().state();
        let queue = self.queue();
        RelayGauges {
            upstream: self.options.name.clone(),
            in_flight: queue.in_flight(),
            queued: queue.waiting(),
            queued_bytes: queue.bytes(),
            breaker,
            connections: self.client.connections(),
        }
    }

    /// Why no copy may be made now; asked once for each, since it counts against the rate.
    pub(in crate::shadow) fn refuses(&self, now: Instant) -> Option<DropReason> {
        if self.options.breaker.is_some() && !self.breaker().allows(now) {
            return Some(DropReason::CircuitOpen);
        }
        let is_over = self.limiter.as_ref().is_some_and(|limiter| limiter.check().is_err());
        is_over.then_some(DropReason::RateLimit)
    }

    /// Takes a copy. Never waits.
    pub(in crate::shadow) fn push(self: &Arc<Self>, job: Job) {
        let flow = job.request.flow;
        let bytes = job.bytes();
        let pushed = self.queue().push(&flow, bytes, job);
        let (job, reason) = match pushed {
            Pushed::Waits => return,
            Pushed::Goes(job, turn) => {
                self.runtime.spawn(Arc::clone(self).place(job, turn));
                return;
            }
            Pushed::Full(job) => (job, DropReason::QueueFull),
            Pushed::Closed(job) => (job, DropReason::Shutdown),
        };
        job.duty.settle(Outcome::Dropped(reason));
    }

    /// Whether a copy of so many bytes that comes on `flow` would find room.
    pub(in crate::shadow) fn has_room(&self, flow: &FlowKey, bytes: usize) -> bool {
        self.queue().has_room(flow, bytes)
    }

    /// Where the bytes of streamed bodies wait.
    pub(in crate::shadow) const fn room(&self) -> &Room {
        &self.room
    }

    /// Whether a copy is on its way whose request is complete: it ends by itself.
    pub(in crate::shadow) fn moves(&self) -> bool {
        let in_flight = self.queue().in_flight();
        let streaming = self.streaming.lock().unwrap_or_else(PoisonError::into_inner);
        let open = streaming.iter().filter_map(Weak::upgrade).filter(|body| body.now() == BodyEnd::Open);
        in_flight > open.count()
    }

    /// A copy with this body has a place, for as long as what this gives is held.
    fn streams(&self, body: &CopyBody) -> Arc<Watch> {
        let watch = Arc::new(body.watch());
        let mut streaming = self.streaming.lock().unwrap_or_else(PoisonError::into_inner);
        streaming.retain(|body| body.strong_count() > 0);
        streaming.push(Arc::downgrade(&watch));
        watch
    }

    /// Takes no more copies; finishes those that it has.
    pub(in crate::shadow) fn close(&self) {
        self.queue().close();
    }

    /// Gives no more time to the copies that it has.
    pub(in crate::shadow) fn give_up(&self) {
        self.close();
        self.given_up.send_replace(true);
        for job in self.queue().drain() {
            job.duty.settle(Outcome::Dropped(DropReason::Shutdown));
        }
    }

    /// Until nothing waits or is on its way, and every outcome is in the ledger.
    pub(in crate::shadow) async fn until_idle(&self) {
        let mut told = std::pin::pin!(self.idle.notified());
        loop {
            told.as_mut().enable();
            if self.is_idle() {
                return;
            }
            told.as_mut().await;
            told.set(self.idle.notified());
        }
    }

    fn is_idle(&self) -> bool {
        // In this order: a place counts as busy before it gives its turn back.
        self.queue().is_idle() && self.busy.load(Ordering::Acquire) == 0
    }

    fn tell(&self, state: BreakerState) {
        let upstream = &self.options.name;
        match (state, self.options.breaker) {
            (BreakerState::Open, Some(breaker)) => tracing::warn!(
                "{upstream} isn't there, or doesn't answer in time: no copies for {:?}",
                breaker.open_for
            ),
            (BreakerState::Closed, _) => tracing::info!("{upstream} is there again"),
            _ => {}
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Job>> {
        // No change of it panics half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
