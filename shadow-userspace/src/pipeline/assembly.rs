//! The request that is being put together on a flow: decoder events in, a [`CapturedRequest`](super::CapturedRequest), or
//! the parts of a large one, to the sink.
//!
//! Keeps invariant 2: a ticket is opened where a request of the sample begins, and goes with its head to the sink or is
//! settled as dropped. Any other request is followed to its end all the same, so that those after it are found. Keeps
//! invariant 3: nothing is begun whose start is in doubt, and what was begun is aborted if a byte is.

use super::{
    RequestSink, Shared,
    assemble::{Assemble, At, Awaited},
    collecting::{self, Collecting},
    run::{CurrentRun, Draw},
};
use crate::{
    http::{RequestEvent, RequestHead, ResponseEvent},
    ledger::{DropReason, Outcome, Ticket},
};

/// How far a flow's current request is; the sink keeps a `C` of one that it admitted, and a `T` of one that it began to
/// send.
#[derive(Debug, Default)]
pub enum Assembly<C, T> {
    /// Between requests.
    #[default]
    None,
    /// In its head.
    Begun(Begun),
    /// Its head is there and admitted.
    Collecting(Box<Collecting<C>>),
    /// Its copies are on their way; the rest goes after them.
    Streaming(Streaming<T>),
    /// It was dropped, or is not in the sample; its end is awaited.
    Skipping,
    /// It is complete, but whether it began where it seemed to is not known yet.
    Held(Box<Collecting<C>>),
}

#[derive(Debug)]
pub struct Begun {
    ticket: Ticket,
    timestamp_ns: u64,
}

#[derive(Debug)]
pub struct Streaming<T> {
    stream: T,
    trailers: Vec<(bytes::Bytes, bytes::Bytes)>,
}

impl<S: RequestSink> Assemble<S> for Assembly<S::Copies, S::Stream> {
    const RESPONSES: bool = false;

    fn request(&mut self, event: RequestEvent<'_>, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) {
        match event {
            RequestEvent::Start => self.begin(at, run, shared),
            RequestEvent::Head(head) => self.take_head(head, at, shared),
            RequestEvent::Body(bytes) => self.take_body(bytes, at, run, shared),
            RequestEvent::Trailers(fields) => match self {
                Self::Collecting(request) => {
                    if let Err(reason) = request.take_trailers(fields) {
                        self.skip(reason, shared);
                    }
                }
                Self::Streaming(streaming) => streaming.trailers = fields,
                _ => {}
            },
            RequestEvent::End => self.complete(at, run, shared),
            RequestEvent::Failed(reason) => {
                self.give_up(reason, shared);
            }
            RequestEvent::NotHttp1(protocol) => shared.stats.count_protocol(protocol),
        }
    }

    fn drop_open(&mut self, reason: DropReason, _at: At<'_>, shared: &mut Shared<S>) -> bool {
        self.give_up(reason, shared)
    }

    fn leave_out(&mut self, _at: At<'_>, shared: &mut Shared<S>) {
        self.skip(DropReason::Gap, shared);
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
            Self::Held(request) => deliver(*request, at, shared),
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

impl<C, T> Assembly<C, T> {
    /// Drops the request if there is one that wasn't dropped yet; says whether one was under way at all. One that is
    /// complete lacks nothing but its confirmation.
    fn give_up<S: RequestSink<Copies = C, Stream = T>>(
        &mut self,
        reason: DropReason,
        shared: &mut Shared<S>,
    ) -> bool {
        match std::mem::take(self) {
            Self::None => return false,
            Self::Begun(begun) => begun.ticket.settle(Outcome::Dropped(reason)),
            Self::Collecting(request) => shared.sink.refuse(request.copies, reason),
            Self::Streaming(streaming) => shared.sink.abort(streaming.stream, reason),
            Self::Held(request) => {
                let at_stop = reason == DropReason::Shutdown;
                let reason = if at_stop { reason } else { DropReason::Unconfirmed };
                shared.sink.refuse(request.copies, reason);
            }
            Self::Skipping => {}
        }
        true
    }

    /// Drops the request and awaits its end.
    fn skip<S: RequestSink<Copies = C, Stream = T>>(&mut self, reason: DropReason, shared: &mut Shared<S>) {
        self.give_up(reason, shared);
        *self = Self::Skipping;
    }

    fn begin<S: RequestSink<Copies = C, Stream = T>>(
        &mut self,
        at: At<'_>,
        run: &mut CurrentRun,
        shared: &mut Shared<S>,
    ) {
        // Bytes that follow a request that isn't confirmed speak against it.
        self.give_up(DropReason::Unconfirmed, shared);
        *self = match shared.draw(at, run) {
            Draw::Sampled => Self::Begun(Begun { ticket: shared.ledger.open(), timestamp_ns: at.ns }),
            Draw::Disagrees => {
                shared.ledger.drop_unseen(1, DropReason::Ambiguous);
                Self::Skipping
            }
            Draw::Passed | Draw::Ignored => Self::Skipping,
        };
    }

    fn take_head<S: RequestSink<Copies = C, Stream = T>>(
        &mut self,
        head: RequestHead,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        let tunnel = tunnel(&head);
        shared.stats.tunnels += u64::from(tunnel.is_some());
        let Self::Begun(begun) = std::mem::replace(self, Self::Skipping) else { return };
        if let Some(reason) = tunnel {
            return begun.ticket.settle(Outcome::Dropped(reason));
        }
        let Some(admitted) = shared.sink.admit(&head, at.flow, begun.ticket) else { return };
        let mut reservation = shared.budget.reservation();
        match reservation.resize(head.memory()) {
            Ok(()) => {
                let collecting = Collecting::new(begun.timestamp_ns, head, admitted, reservation);
                *self = Self::Collecting(Box::new(collecting));
            }
            Err(exceeded) => shared.sink.refuse(admitted.copies, exceeded.into()),
        }
    }

    fn take_body<S: RequestSink<Copies = C, Stream = T>>(
        &mut self,
        bytes: &[u8],
        at: At<'_>,
        run: &CurrentRun,
        shared: &mut Shared<S>,
    ) {
        match self {
            Self::Collecting(request) => match request.append(bytes) {
                Ok(()) if request.is_large() && run.is_confirmed() => self.stream(at, shared),
                Ok(()) => {}
                Err(reason) => self.skip(reason, shared),
            },
            Self::Streaming(streaming) => match collecting::part(bytes, &shared.budget) {
                Ok(part) => {
                    if !shared.sink.chunk(&mut streaming.stream, part) {
                        *self = Self::Skipping;
                    }
                }
                Err(exceeded) => self.skip(exceeded.into(), shared),
            },
            _ => {}
        }
    }

    /// Its copies begin, if it is being collected.
    fn stream<S: RequestSink<Copies = C, Stream = T>>(&mut self, at: At<'_>, shared: &mut Shared<S>) {
        *self = match std::mem::replace(self, Self::Skipping) {
            Self::Collecting(request) => {
                let (begun, copies) = request.into_begun(*at.flow, &shared.budget);
                let stream = shared.sink.begin(begun, copies);
                stream.map_or(Self::Skipping, |stream| {
                    Self::Streaming(Streaming { stream, trailers: Vec::new() })
                })
            }
            other => other,
        };
    }

    fn complete<S: RequestSink<Copies = C, Stream = T>>(
        &mut self,
        at: At<'_>,
        run: &CurrentRun,
        shared: &mut Shared<S>,
    ) {
        match std::mem::take(self) {
            Self::Collecting(request) if run.is_confirmed() => deliver(*request, at, shared),
            Self::Collecting(request) => *self = Self::Held(request),
            Self::Streaming(Streaming { stream, trailers }) => shared.sink.end(stream, trailers),
            _ => {}
        }
    }
}

fn deliver<S: RequestSink>(request: Collecting<S::Copies>, at: At<'_>, shared: &mut Shared<S>) {
    let (request, copies) = request.into_captured(*at.flow);
    shared.sink.deliver(request, copies);
}

/// The reason not to mirror a request that asks for a tunnel.
fn tunnel(head: &RequestHead) -> Option<DropReason> {
    if head.method() == "CONNECT" {
        Some(DropReason::Connect)
    } else {
        head.asks_for_upgrade().then_some(DropReason::Upgrade)
    }
}
