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
        client::body::{BodyLag, BodyWriter, CopyBody},
        mirror::lane::{Lane, Loaded},
    },
};

/// What the copies of a request share.
#[derive(Debug)]
pub(in crate::shadow) struct Shared {
    pub(in crate::shadow) flow: FlowKey,
    pub(in crate::shadow) head: RequestHead,
    /// All of it, unless the copy has a stream.
    pub(in crate::shadow) body: Bytes,
    pub(in crate::shadow) trailers: Vec<(Bytes, Bytes)>,
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
pub(in crate::shadow) struct Job {
    pub(in crate::shadow) request: Arc<Shared>,
    pub(in crate::shadow) lane: Arc<Lane>,
    /// None: the request is whole.
    pub(in crate::shadow) stream: Option<JobStream>,
    pub(in crate::shadow) duty: Duty,
    /// Counts it among those of its lane.
    pub(in crate::shadow) _load: Loaded,
}

/// The end of a stream that the upstream takes from.
#[derive(Debug)]
pub(in crate::shadow) struct JobStream {
    pub(in crate::shadow) body: CopyBody,
    /// Told when the request is complete; its sender is dropped if it won't be.
    pub(in crate::shadow) complete: oneshot::Receiver<()>,
}

impl Job {
    /// Bytes that wait with it.
    pub(in crate::shadow) fn bytes(&self) -> usize {
        self.request.bytes()
    }
}

impl Shared {
    /// Bytes of head and body.
    pub(in crate::shadow) fn bytes(&self) -> usize {
        self.head.memory() + self.body.len()
    }
}

/// The duty to say how a copy ended, on two threads at once.
#[derive(Clone, Debug)]
pub(in crate::shadow) struct Duty(Arc<Mutex<Option<Ticket>>>);

impl Duty {
    pub(in crate::shadow) fn new(ticket: Ticket) -> Self {
        Self(Arc::new(Mutex::new(Some(ticket))))
    }

    /// It ended like this, unless it was said already.
    pub(in crate::shadow) fn settle(&self, outcome: Outcome) {
        // A statement of its own: the ledger is written without the lock.
        let ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticket) = ticket {
            ticket.settle(outcome);
        }
    }

    /// Nobody can settle it meanwhile.
    #[cfg(test)]
    pub(in crate::shadow) fn hold(&self) -> std::sync::MutexGuard<'_, Option<Ticket>> {
        self.0.lock().unwrap()
    }

    pub(in crate::shadow) fn is_settled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// The streams of a request's copies: the end that the capture thread writes to.
#[derive(Debug)]
pub struct Streams(pub(in crate::shadow) SmallVec<[Stream; 1]>);

#[derive(Debug)]
pub(in crate::shadow) struct Stream {
    writer: BodyWriter,
    duty: Duty,
    complete: oneshot::Sender<()>,
    /// Bytes that may still come.
    left: usize,
}

impl Stream {
    /// Both ends, with the first bytes in it; none if the copy ended already.
    pub(in crate::shadow) fn new(
        length: Option<u64>,
        buffer: usize,
        lane: &Lane,
        duty: &Duty,
    ) -> (Self, JobStream) {
        let (writer, body) = CopyBody::stream(length, buffer, lane.relay.room());
        let (complete, completed) = oneshot::channel();
        let stream = Self { writer, duty: duty.clone(), complete, left: lane.max_body };
        (stream, JobStream { body, complete: completed })
    }

    /// Takes more of the body; the copy is aborted if it can't be.
    pub(in crate::shadow) fn push(mut self, bytes: &Bytes, wait: &mut dyn FnMut() -> bool) -> Option<Self> {
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

    pub(in crate::shadow) fn finish(self) {
        self.writer.finish(None);
        // Fails if the copy ended before the request.
        self.complete.send(()).ok();
    }

    /// The outcome first: whoever meets the connection's end knows that it isn't v2's doing.
    pub(in crate::shadow) fn abort(self, reason: DropReason) {
        self.duty.settle(Outcome::Dropped(reason));
    }
}
