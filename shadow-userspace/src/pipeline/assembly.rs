//! The request that is being put together on a flow: decoder events in, a [`CapturedRequest`] to the sink.
//!
//! Keeps invariant 2: a ticket is opened where a request of the sample begins, and goes with it to the sink or is
//! settled as dropped. Any other request is followed to its end all the same, so that those after it are found.

use bytes::Bytes;
use shadow_common::FlowKey;

use super::{
    CapturedRequest, RequestSink, Shared,
    run::{CurrentRun, Draw},
};
use crate::{
    budget::{BudgetExceeded, Reservation},
    capture::Segment,
    http::{BodyFraming, RequestEvent, RequestHead},
    ledger::{DropReason, Outcome, Ticket},
};

/// How far a flow's current request is.
#[derive(Debug)]
pub(super) enum Assembly {
    /// Between requests.
    None,
    /// In its head.
    Begun(Begun),
    /// Its head is there and admitted.
    Collecting(Collecting),
    /// It was dropped, or is not in the sample; its end is awaited.
    Skipping,
    /// It is complete, but whether it began where it seemed to is not known yet.
    Held(Collecting),
}

#[derive(Debug)]
pub(super) struct Begun {
    ticket: Ticket,
    timestamp_ns: u64,
}

#[derive(Debug)]
pub(super) struct Collecting {
    begun: Begun,
    head: RequestHead,
    body: Vec<u8>,
    /// The largest size that the body may reach.
    max_body: usize,
    trailers: Vec<(Bytes, Bytes)>,
    reservation: Reservation,
}

/// The first allocation for a body is no larger, whatever length was announced, unless so much came at once.
const FIRST_BODY_BYTES: usize = 64 << 10;

impl From<BudgetExceeded> for DropReason {
    fn from(BudgetExceeded: BudgetExceeded) -> Self {
        Self::MemoryLimit
    }
}

impl Assembly {
    /// Takes the next event of the flow's decoder, which `segment` completed.
    pub(super) fn event<S: RequestSink>(
        &mut self,
        event: RequestEvent<'_>,
        segment: &Segment<'_>,
        run: &mut CurrentRun,
        shared: &mut Shared<S>,
    ) {
        match event {
            RequestEvent::Start => self.begin(segment, run, shared),
            RequestEvent::Head(head) => self.take_head(head, shared),
            RequestEvent::Body(bytes) => self.collect(|request| request.append(bytes)),
            RequestEvent::Trailers(trailers) => self.collect(|request| request.take_trailers(trailers)),
            RequestEvent::End => match std::mem::replace(self, Self::None) {
                Self::Collecting(request) if run.is_confirmed() => {
                    shared.sink.deliver(request.into_captured(segment.flow));
                }
                Self::Collecting(request) => *self = Self::Held(request),
                _ => {}
            },
            RequestEvent::Failed(reason) => {
                self.drop_open(reason);
                shared.stats.tunnels +=
                    u64::from(matches!(reason, DropReason::Connect | DropReason::Upgrade));
            }
            RequestEvent::NotHttp1(protocol) => shared.stats.count_protocol(protocol),
        }
    }

    /// Drops the request if there is one that wasn't dropped yet; says whether one was under way at all. One that is
    /// complete lacks nothing but its confirmation.
    pub(super) fn drop_open(&mut self, reason: DropReason) -> bool {
        match std::mem::replace(self, Self::None) {
            Self::None => false,
            Self::Begun(begun) | Self::Collecting(Collecting { begun, .. }) => {
                begun.ticket.settle(Outcome::Dropped(reason));
                true
            }
            Self::Held(Collecting { begun, .. }) => {
                let at_stop = reason == DropReason::Shutdown;
                let reason = if at_stop { reason } else { DropReason::Unconfirmed };
                begun.ticket.settle(Outcome::Dropped(reason));
                true
            }
            Self::Skipping => true,
        }
    }

    /// The run's start is confirmed: delivers its request if that is complete.
    pub(super) fn confirm<S: RequestSink>(&mut self, flow: FlowKey, shared: &mut Shared<S>) {
        match std::mem::replace(self, Self::None) {
            Self::Held(request) => shared.sink.deliver(request.into_captured(flow)),
            other => *self = other,
        }
    }

    fn begin<S: RequestSink>(&mut self, segment: &Segment<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) {
        // Bytes that follow a request that isn't confirmed speak against it.
        self.drop_open(DropReason::Unconfirmed);
        let counts = run.counts_next();
        let draw = run.draw(&segment.flow, &mut shared.sampler);
        shared.stats.requests_framed += u64::from(counts && draw != Draw::Ignored);
        *self = match draw {
            Draw::Sampled => {
                Self::Begun(Begun { ticket: shared.ledger.open(), timestamp_ns: segment.timestamp_ns })
            }
            Draw::Passed => {
                shared.stats.requests_passed += 1;
                Self::Skipping
            }
            Draw::Disagrees => {
                shared.ledger.drop_unseen(1, DropReason::Ambiguous);
                Self::Skipping
            }
            Draw::Ignored => Self::Skipping,
        };
    }

    fn take_head<S: RequestSink>(&mut self, head: RequestHead, shared: &mut Shared<S>) {
        let Self::Begun(begun) = std::mem::replace(self, Self::Skipping) else { return };
        match admit(&head, shared) {
            Ok((max_body, reservation)) => {
                let (body, trailers) = (Vec::new(), Vec::new());
                *self = Self::Collecting(Collecting { begun, head, body, max_body, trailers, reservation });
            }
            Err(reason) => begun.ticket.settle(Outcome::Dropped(reason)),
        }
    }

    /// Lets the request, if it is still wanted, take a part of itself; drops it if it can't.
    fn collect(&mut self, take: impl FnOnce(&mut Collecting) -> Result<(), DropReason>) {
        if let Self::Collecting(request) = self
            && let Err(reason) = take(request)
        {
            self.drop_open(reason);
            *self = Self::Skipping;
        }
    }
}

/// Whether the request is wanted and may be held: the most bytes that its body may have, and the reservation for its
/// head.
fn admit<S: RequestSink>(
    head: &RequestHead,
    shared: &mut Shared<S>,
) -> Result<(usize, Reservation), DropReason> {
    shared.sink.admit(head)?;
    let max_body = match head.framing() {
        BodyFraming::None => 0,
        BodyFraming::Chunked => shared.limits.max_body_bytes,
        BodyFraming::Length(length) => usize::try_from(length)
            .ok()
            .filter(|length| *length <= shared.limits.max_body_bytes)
            .ok_or(DropReason::BodyTooLarge)?,
    };
    let mut reservation = shared.budget.reservation();
    reservation.resize(head.memory())?;
    Ok((max_body, reservation))
}

impl Collecting {
    fn append(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        let needed = self.body.len() + bytes.len();
        if needed > self.max_body {
            return Err(DropReason::BodyTooLarge);
        }
        if needed > self.body.capacity() {
            // Doubled, so that a body is copied a bounded number of times; never beyond what it can need.
            let first = if self.head.framing() == BodyFraming::Chunked { 0 } else { FIRST_BODY_BYTES };
            let capacity = (self.body.capacity() * 2).max(first).min(self.max_body).max(needed);
            self.reservation.resize(self.head.memory() + capacity)?;
            self.body.reserve_exact(capacity - self.body.len());
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    fn take_trailers(&mut self, trailers: Vec<(Bytes, Bytes)>) -> Result<(), DropReason> {
        let text: usize = trailers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let memory = text + trailers.len() * size_of::<(Bytes, Bytes)>();
        self.reservation.resize(self.reservation.bytes() + memory)?;
        self.trailers = trailers;
        Ok(())
    }

    fn into_captured(self, flow: FlowKey) -> CapturedRequest {
        let Self { begun: Begun { ticket, timestamp_ns }, head, body, max_body: _, trailers, reservation } =
            self;
        CapturedRequest { ticket, flow, timestamp_ns, head, body: body.into(), trailers, reservation }
    }
}
