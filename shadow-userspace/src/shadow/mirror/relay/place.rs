//! A place at an upstream: a task that sends one copy after the other as long as one is ready.
//!
//! Keeps invariant 2 where copies end: the upstream is idle only once every outcome is in the ledger. A defect costs the
//! copy that meets it, and neither the place nor the breaker's probe.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Instant,
};

use tokio::sync::{oneshot, watch};

use super::Relay;
use crate::{
    ledger::{DropReason, Outcome},
    shadow::mirror::{
        job::{Job, JobStream},
        message,
        queue::Turn,
    },
};

/// A place that is taken, as long as it lives.
struct Busy<'a>(&'a Relay);

impl<'a> Busy<'a> {
    fn at(relay: &'a Relay) -> Self {
        relay.busy.fetch_add(1, Ordering::Relaxed);
        Self(relay)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        // Release: who sees that it is over sees the outcomes too.
        self.0.busy.fetch_sub(1, Ordering::Release);
        self.0.idle.notify_waiters();
    }
}

impl Relay {
    /// Sends one copy after the other.
    pub(in crate::shadow) async fn place(self: Arc<Self>, job: Job, turn: Turn) {
        let _busy = Busy::at(&self);
        let mut given_up = self.given_up.subscribe();
        let mut next = Some((job, turn));
        while let Some((job, turn)) = next {
            let duty = job.duty.clone();
            let outcome = self.carry_out(job, &mut given_up).await;
            // The place and the bytes are free before the outcome shows: who sees it may count on them.
            next = self.queue().next(turn);
            duty.settle(outcome);
        }
    }

    async fn carry_out(&self, job: Job, given_up: &mut watch::Receiver<bool>) -> Outcome {
        if job.duty.is_settled() {
            // It was aborted while it waited.
            return Outcome::Dropped(DropReason::Incomplete);
        }
        let Some(pass) = self.breaker().enter(Instant::now(), job.lane.timeout) else {
            return Outcome::Dropped(DropReason::CircuitOpen);
        };
        let streamed = job.stream.is_some().then(|| job.duty.clone());
        let outcome = tokio::select! {
            biased;
            outcome = contained(self.send(job)) => {
                outcome.unwrap_or(Outcome::Dropped(DropReason::Abandoned))
            }
            _ = given_up.wait_for(|given_up| *given_up) => Outcome::Dropped(DropReason::Shutdown),
        };
        // How the connection of an aborted copy ends says nothing of v2.
        let is_aborted = streamed.is_some_and(|duty| duty.is_settled());
        let outcome = if is_aborted { Outcome::Dropped(DropReason::Incomplete) } else { outcome };
        let change = self.breaker().leave(pass, outcome.into(), Instant::now());
        if let Some(state) = change {
            self.tell(state);
        }
        outcome
    }

    async fn send(&self, job: Job) -> Outcome {
        let Job { request, lane, stream, .. } = job;
        let (outcome, began) = match stream {
            None => match message::whole(&request, &lane.policy) {
                Ok((head, body)) => {
                    let began = Instant::now();
                    (self.client.send(head, body, lane.timeout).await, Some(began))
                }
                Err(outcome) => return outcome,
            },
            Some(JobStream { body, complete }) => match message::head(&request, &lane.policy) {
                Ok(head) => {
                    let _streams = self.streams(&body);
                    streamed(pin!(self.client.send(head, body, lane.timeout)), complete).await
                }
                Err(outcome) => return outcome,
            },
        };
        if let (Outcome::Mirrored(_), Some(began)) = (outcome, began) {
            let elapsed = began.elapsed();
            self.record.latency.record(elapsed);
            self.latency_of_all.record(elapsed);
        }
        outcome
    }
}

/// How a streamed copy ends, and when its request was complete, if it was by then. Of an aborted one nothing more is sent.
async fn streamed(
    mut sent: Pin<&mut impl Future<Output = Outcome>>,
    complete: oneshot::Receiver<()>,
) -> (Outcome, Option<Instant>) {
    tokio::select! {
        biased;
        outcome = &mut sent => (outcome, None),
        completed = complete => match completed {
            Ok(()) => {
                let began = Instant::now();
                (sent.await, Some(began))
            }
            // Whoever aborted it said why.
            Err(_) => (Outcome::Dropped(DropReason::Incomplete), None),
        }
    }
}

/// How `work` ends; none if it panics, which the panic itself tells of.
async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // What it left half done is dropped with it.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}
