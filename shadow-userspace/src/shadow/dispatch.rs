//! Between the capture thread and v2: takes captured requests, gives every one its outcome.
//!
//! Copies wait in a bounded queue for one of a bounded number of places. A v2 that hangs fills the places, then the
//! queue, and then costs requests their copy; it never makes the capture thread wait (invariants 1 and 4). Every
//! ticket is settled on every path, shutdown included (invariant 2).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::{JoinHandle, JoinSet},
};

use crate::{
    budget::MemoryBudget,
    http::RequestHead,
    ledger::{DropReason, FailReason, Outcome, Ticket},
    pipeline::{CapturedRequest, RequestSink},
    shadow::{
        client::ShadowClient,
        copy::{admit, copy},
        latency::Latency,
        policy::LoopGuard,
    },
};

/// What is done with captured requests.
#[derive(Clone, Debug)]
pub struct DispatchOptions {
    /// Copies on the way to v2 at once.
    pub max_in_flight: usize,
    /// Requests that wait for a place.
    pub max_queue: usize,
    /// What Host gets appended.
    pub suffix: String,
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self { max_in_flight: 256, max_queue: 8192, suffix: super::host::SUFFIX.to_owned() }
    }
}

/// The capture thread's end: never blocks, unless it was made [patient](Self::patient).
#[derive(Debug)]
pub struct ShadowSink {
    queue: mpsc::Sender<CapturedRequest>,
    suffix: Arc<str>,
    places: Places,
    /// The memory within which requests wait for room in the queue; without it they are dropped.
    patience: Option<MemoryBudget>,
    hurry: Arc<AtomicBool>,
}

/// What bounds the copies on their way.
#[derive(Clone, Debug)]
struct Places {
    free: Arc<Semaphore>,
    all: usize,
}

/// The runtime's end.
#[derive(Debug)]
pub struct Dispatcher {
    client: ShadowClient,
    latency: Arc<Latency>,
    close: oneshot::Sender<Grace>,
    task: JoinHandle<()>,
    hurry: Arc<AtomicBool>,
}

/// How often a patient sink looks for room.
const PATIENCE: Duration = Duration::from_millis(1);

/// Ready, by its sender's drop, when copies get no more time.
type Grace = oneshot::Receiver<()>;

/// Starts sending what the sink is given.
#[must_use]
pub fn start(runtime: &Handle, client: ShadowClient, options: &DispatchOptions) -> (ShadowSink, Dispatcher) {
    let suffix: Arc<str> = options.suffix.as_str().into();
    let latency = Arc::new(Latency::new());
    let (queue, requests) = mpsc::channel(options.max_queue);
    let (close, closing) = oneshot::channel();
    let free = Arc::new(Semaphore::new(options.max_in_flight));
    let places = Places { free: Arc::clone(&free), all: options.max_in_flight };
    let worker = Worker {
        requests,
        places: free,
        copies: JoinSet::new(),
        sender: Sender { client: client.clone(), latency: Arc::clone(&latency), suffix: Arc::clone(&suffix) },
        shut_down: Arc::default(),
    };
    let task = runtime.spawn(worker.run(closing));
    let hurry = Arc::new(AtomicBool::new(false));
    let sink = ShadowSink { queue, suffix, places, patience: None, hurry: Arc::clone(&hurry) };
    (sink, Dispatcher { client, latency, close, task, hurry })
}

impl RequestSink for ShadowSink {
    fn admit(&self, head: &RequestHead) -> Result<(), DropReason> {
        let suffixes = Some(&*self.suffix).filter(|suffix| !suffix.is_empty()).map(str::to_owned);
        admit(head, &LoopGuard { suffixes: suffixes.into_iter().collect(), ..LoopGuard::default() })
    }

    fn deliver(&mut self, request: CapturedRequest) {
        self.wait_for_room();
        let (request, reason) = match self.queue.try_send(request) {
            Ok(()) => return,
            Err(TrySendError::Full(request)) => (request, DropReason::QueueFull),
            Err(TrySendError::Closed(request)) => (request, DropReason::Shutdown),
        };
        request.ticket.settle(Outcome::Dropped(reason));
    }
}

impl ShadowSink {
    /// Lets requests wait, and with them the thread that delivers them, for room in the queue and until half of
    /// `budget` is free, so that v2 sets the pace. For sources that lose nothing meanwhile.
    #[must_use]
    pub fn patient(self, budget: MemoryBudget) -> Self {
        Self { patience: Some(budget), ..self }
    }

    fn wait_for_room(&self) {
        let Some(budget) = &self.patience else { return };
        while !self.hurry.load(Ordering::Relaxed) && !self.queue.is_closed() {
            let has_memory = budget.used() <= budget.limit() / 2 || self.is_idle();
            if self.queue.capacity() > 0 && has_memory {
                return;
            }
            thread::sleep(PATIENCE);
        }
    }

    /// Whether nothing that was delivered holds memory any more. The worker takes a place, then waits for a request.
    fn is_idle(&self) -> bool {
        self.queue.capacity() == self.queue.max_capacity()
            && self.places.free.available_permits() + 1 >= self.places.all
    }
}

impl Dispatcher {
    /// A patient sink waits no more from now on: what has no room is dropped.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// How long answered copies took.
    #[must_use]
    pub const fn latency(&self) -> &Arc<Latency> {
        &self.latency
    }

    /// The client that sends the copies.
    #[must_use]
    pub const fn client(&self) -> &ShadowClient {
        &self.client
    }

    /// Takes no more requests, finishes what is queued until `grace` is ready, then drops what is left.
    pub async fn close(self, grace: impl Future<Output = ()>) {
        let (over, ended) = oneshot::channel();
        // Both fail only if the worker is gone already.
        self.close.send(ended).ok();
        let mut task = self.task;
        let end = tokio::select! {
            end = &mut task => end,
            () = grace => {
                drop(over);
                task.await
            }
        };
        if let Err(error) = end {
            tracing::error!(%error, "the dispatcher failed");
        }
    }
}

/// Moves requests from the queue to their places.
struct Worker {
    requests: mpsc::Receiver<CapturedRequest>,
    places: Arc<Semaphore>,
    copies: JoinSet<()>,
    sender: Sender,
    shut_down: Arc<AtomicBool>,
}

impl Worker {
    async fn run(mut self, mut closing: oneshot::Receiver<Grace>) {
        let grace = tokio::select! {
            grace = &mut closing => grace,
            () = self.send_all() => closing.await,
        };
        self.requests.close();
        // Without a word from the dispatcher it was dropped: no grace.
        if let Ok(grace) = grace {
            tokio::select! {
                () = self.finish() => {}
                _ = grace => {}
            }
        }
        self.shut_down.store(true, Ordering::Relaxed);
        while let Some(request) = self.requests.recv().await {
            request.ticket.settle(Outcome::Dropped(DropReason::Shutdown));
        }
        self.copies.shutdown().await;
    }

    /// Until the sink is dropped or the queue closed, and the queue empty. Loses no request if it is cancelled.
    async fn send_all(&mut self) {
        while let Some((place, request)) = self.next().await {
            while self.copies.try_join_next().is_some() {}
            let sender = self.sender.clone();
            let CapturedRequest { ticket, head, body, trailers, reservation, .. } = request;
            let pending = Pending { ticket: Some(ticket), shut_down: Arc::clone(&self.shut_down) };
            self.copies.spawn(async move {
                let outcome = sender.send(&head, body, &trailers).await;
                // The place and the bytes are free before the outcome shows: who sees it may count on them.
                drop((place, reservation));
                pending.settle(outcome);
            });
        }
    }

    /// A place first, so that only the queue holds waiting requests.
    async fn next(&mut self) -> Option<(OwnedSemaphorePermit, CapturedRequest)> {
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        self.requests.recv().await.map(|request| (place, request))
    }

    async fn finish(&mut self) {
        self.send_all().await;
        while self.copies.join_next().await.is_some() {}
    }
}

/// Sends one copy.
#[derive(Clone)]
struct Sender {
    client: ShadowClient,
    latency: Arc<Latency>,
    suffix: Arc<str>,
}

impl Sender {
    async fn send(
        &self,
        head: &RequestHead,
        body: bytes::Bytes,
        trailers: &[(bytes::Bytes, bytes::Bytes)],
    ) -> Outcome {
        let copy = match copy(head, body, trailers, self.client.upstream(), &self.suffix) {
            Ok(copy) => copy,
            Err(error) => {
                tracing::debug!(%error, "a request can't be sent");
                return Outcome::Failed(FailReason::Unsendable);
            }
        };
        let began = Instant::now();
        let outcome = self.client.send_copy(copy).await;
        if matches!(outcome, Outcome::Mirrored(_)) {
            self.latency.record(began.elapsed());
        }
        outcome
    }
}

/// A copy on its way. If its task is cancelled, it knows whether that was the shutdown.
struct Pending {
    ticket: Option<Ticket>,
    shut_down: Arc<AtomicBool>,
}

impl Pending {
    fn settle(mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            ticket.settle(outcome);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.shut_down.load(Ordering::Relaxed)
            && let Some(ticket) = self.ticket.take()
        {
            ticket.settle(Outcome::Dropped(DropReason::Shutdown));
        }
    }
}

#[cfg(test)]
mod tests;
