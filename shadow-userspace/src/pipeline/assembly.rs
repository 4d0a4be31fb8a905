//! The request that is being put together on a flow: decoder events in, a [`CapturedRequest`] to the sink.
//!
//! Keeps invariant 2: a ticket is opened where a request of the sample begins, and goes with it to the sink or is
//! settled as dropped. Any other request is followed to its end all the same, so that those after it are found.

use bytes::Bytes;
use shadow_common::FlowKey;

use super::{
    CapturedRequest, RequestSink, Shared,
    assemble::{Assemble, At, Awaited},
    run::{CurrentRun, Draw},
};
use crate::{
    budget::{BudgetExceeded, Reservation},
    http::{BodyFraming, RequestEvent, RequestHead, ResponseEvent},
    ledger::{DropReason, Outcome, Ticket},
};

/// How far a flow's current request is.
#[derive(Debug, Default)]
pub enum Assembly {
    /// Between requests.
    #[default]
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
pub struct Begun {
    ticket: Ticket,
    timestamp_ns: u64,
}

#[derive(Debug)]
pub struct Collecting {
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

impl<S: RequestSink> Assemble<S> for Assembly {
    const RESPONSES: bool = false;

    fn request(&mut self, event: RequestEvent<'_>, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) {
        match event {
            RequestEvent::Start => self.begin(at, run, shared),
            RequestEvent::Head(head) => self.take_head(head, shared),
            RequestEvent::Body(bytes) => self.collect(|request| request.append(bytes)),
            RequestEvent::Trailers(trailers) => self.collect(|request| request.take_trailers(trailers)),
            RequestEvent::End => match std::mem::take(self) {
                Self::Collecting(request) if run.is_confirmed() => {
                    shared.sink.deliver(request.into_captured(*at.flow));
                }
                Self::Collecting(request) => *self = Self::Held(request),
                _ => {}
            },
            RequestEvent::Failed(reason) => {
                self.give_up(reason);
            }
            RequestEvent::NotHttp1(protocol) => shared.stats.count_protocol(protocol),
        }
    }

    fn drop_open(&mut self, reason: DropReason, _at: At<'_>, _shared: &mut Shared<S>) -> bool {
        self.give_up(reason)
    }

    fn leave_out(&mut self, _at: At<'_>, _shared: &mut Shared<S>) {
        self.give_up(DropReason::Gap);
        *self = Self::Skipping;
    }

    fn is_wanted(&self) -> bool {
        !matches!(self, Self::Skipping)
    }

    fn drop_unseen(_at: At<'_>, reason: DropReason, shared: &mut Shared<S>) {
        shared.ledger.drop_unseen(1, reason);
    }

    /// Delivers the run's request if that is complete.
    fn confirm(&mut self, at: At<'_>, shared: &mut Shared<S>) {
        match std::mem::take(self) {
            Self::Held(request) => shared.sink.deliver(request.into_captured(*at.flow)),
            other => *self = other,
        }
    }

    fn awaits(&self) -> Option<Awaited> {
        None
    }

    fn awaits_several(&self) -> bool {
        false
    }

    fn response(&mut self, _event: ResponseEvent<'_>, _at: At<'_>, _shared: &mut Shared<S>) {}

    fn response_hole(&mut self, _bytes: u64, _at: At<'_>, _shared: &mut Shared<S>) {}

    fn no_more_responses(&mut self, _reason: DropReason, _at: At<'_>, _shared: &mut Shared<S>) {}
}

impl Assembly {
    /// Drops the request if there is one that wasn't dropped yet; says whether one was under way at all. One that is
    /// complete lacks nothing but its confirmation.
    fn give_up(&mut self, reason: DropReason) -> bool {
        match std::mem::take(self) {
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

    fn begin<S>(&mut self, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) {
        // Bytes that follow a request that isn't confirmed speak against it.
        self.give_up(DropReason::Unconfirmed);
        *self = match shared.draw(at, run) {
            Draw::Sampled => Self::Begun(Begun { ticket: shared.ledger.open(), timestamp_ns: at.ns }),
            Draw::Disagrees => {
                shared.ledger.drop_unseen(1, DropReason::Ambiguous);
                Self::Skipping
            }
            Draw::Passed | Draw::Ignored => Self::Skipping,
        };
    }

    fn take_head<S: RequestSink>(&mut self, head: RequestHead, shared: &mut Shared<S>) {
        let tunnel = tunnel(&head);
        shared.stats.tunnels += u64::from(tunnel.is_some());
        let Self::Begun(begun) = std::mem::replace(self, Self::Skipping) else { return };
        match tunnel.map_or(Ok(()), Err).and_then(|()| admit(&head, shared)) {
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
            self.give_up(reason);
            *self = Self::Skipping;
        }
    }
}

/// The reason not to mirror a request that asks for a tunnel.
fn tunnel(head: &RequestHead) -> Option<DropReason> {
    if head.method() == "CONNECT" {
        Some(DropReason::Connect)
    } else {
        head.asks_for_upgrade().then_some(DropReason::Upgrade)
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
