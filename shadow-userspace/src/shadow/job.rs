//! One copy, from the capture thread to an upstream: what it is made of, and the duty to say how it ended.
//!
//! Keeps invariant 2 between two threads: the first to say how a copy ended settles it, and no other can.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use shadow_common::FlowKey;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::{
    budget::Reservation,
    http::RequestHead,
    ledger::{DropReason, Outcome, Ticket},
    pipeline::CapturedRequest,
    shadow::{
        body::{BodyLag, BodyWriter, CopyBody},
        lane::{Lane, Loaded},
    },
};

/// What the copies of a request share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) flow: FlowKey,
    pub(super) head: RequestHead,
    /// All of it, unless the copy has a stream.
    pub(super) body: Bytes,
    pub(super) trailers: Vec<(Bytes, Bytes)>,
    _reservation: Reservation,
}

impl From<CapturedRequest> for Shared {
    fn from(request: CapturedRequest) -> Self {
        let CapturedRequest { flow, timestamp_ns: _, head, body, trailers, reservation } = request;
        Self { flow, head, body, trailers, _reservation: reservation }
    }
}

/// A copy that waits for a place, or has one.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Arc<Shared>,
    pub(super) lane: Arc<Lane>,
    /// None: the request is whole.
    pub(super) stream: Option<JobStream>,
    pub(super) duty: Duty,
    /// Counts it among those of its lane.
    pub(super) _load: Loaded,
}

/// The end of a stream that the upstream takes from.
#[derive(Debug)]
pub(super) struct JobStream {
    pub(super) body: CopyBody,
    /// Told when the request is complete; its sender is dropped if it won't be.
    pub(super) complete: oneshot::Receiver<()>,
}

impl Job {
    /// Bytes that wait with it.
    pub(super) fn bytes(&self) -> usize {
        self.request.bytes()
    }
}

impl Shared {
    /// Bytes of head and body.
    pub(super) fn bytes(&self) -> usize {
        self.head.memory() + self.body.len()
    }
}

/// The duty to say how a copy ended, on two threads at once.
#[derive(Clone, Debug)]
pub(super) struct Duty(Arc<Mutex<Option<Ticket>>>);

impl Duty {
    pub(super) fn new(ticket: Ticket) -> Self {
        Self(Arc::new(Mutex::new(Some(ticket))))
    }

    /// It ended like this, unless it was said already.
    pub(super) fn settle(&self, outcome: Outcome) {
        // A statement of its own: the ledger is written without the lock.
        let ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticket) = ticket {
            ticket.settle(outcome);
        }
    }

    /// Nobody can settle it meanwhile.
    #[cfg(test)]
    pub(super) fn hold(&self) -> std::sync::MutexGuard<'_, Option<Ticket>> {
        self.0.lock().unwrap()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// The streams of a request's copies: the end that the capture thread writes to.
#[derive(Debug)]
pub struct Streams(pub(super) SmallVec<[Stream; 1]>);

#[derive(Debug)]
pub(super) struct Stream {
    writer: BodyWriter,
    duty: Duty,
    complete: oneshot::Sender<()>,
    /// Bytes that may still come.
    left: usize,
}

impl Stream {
    /// Both ends, with the first bytes in it; none if the copy ended already.
    pub(super) fn new(length: Option<u64>, buffer: usize, lane: &Lane, duty: &Duty) -> (Self, JobStream) {
        let (writer, body) = CopyBody::stream(length, buffer, lane.relay.room());
        let (complete, completed) = oneshot::channel();
        let stream = Self { writer, duty: duty.clone(), complete, left: lane.max_body };
        (stream, JobStream { body, complete: completed })
    }

    /// Takes more of the body; the copy is aborted if it can't be.
    pub(super) fn push(mut self, bytes: &Bytes, wait: &mut dyn FnMut() -> bool) -> Option<Self> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.abort(DropReason::BodyTooLarge);
            return None;
        };
        self.left = left;
        loop {
            match self.writer.push(bytes.clone()) {
                Ok(()) => return Some(self),
                Err(BodyLag::Full) if wait() => {}
                Err(BodyLag::Full) => {
                    self.abort(DropReason::Backlog);
                    return None;
                }
                // It has its outcome, or is about to.
                Err(BodyLag::Gone) => return None,
            }
        }
    }

    pub(super) fn finish(self) {
        self.writer.finish(None);
        // Fails if the copy ended before the request.
        self.complete.send(()).ok();
    }

    /// The outcome first: whoever meets the connection's end knows that it isn't v2's doing.
    pub(super) fn abort(self, reason: DropReason) {
        self.duty.settle(Outcome::Dropped(reason));
    }
}
