//! Requests with their responses: decoder events of both directions in, the parts of exchanges to the sink.
//!
//! Requests wait in the order in which they were sent, and responses come in the same. Keeps invariant 2: every request
//! of the sample is begun once, told its end once, and finished. Keeps invariant 4: the heads of requests that wait are
//! reserved, and so many requests wait at most.

use std::fmt::Debug;

use smallvec::SmallVec;

use super::{
    ExchangeEvent, ExchangeSink, Shared,
    assemble::{Assemble, At, Awaited},
    run::{CurrentRun, Draw},
};
use crate::{
    budget::Reservation,
    http::{RequestEvent, RequestHead, ResponseEvent, ResponseTo},
    ledger::DropReason,
    tcp::Seq,
};

/// Requests of a flow that may wait for their responses. More are pipelined by nobody.
const MAX_WAITING: usize = 256;

/// A flow's requests that are not over; of each, what the sink keeps.
#[derive(Debug)]
pub struct Exchanges<E> {
    /// In the order of their requests. Of all but the last the request is over; of all but the first no response came.
    waiting: SmallVec<[Waiting<E>; 1]>,
    /// Whether so many waited that it isn't known any more whom a response answers.
    overflowed: bool,
}

impl<E> Default for Exchanges<E> {
    fn default() -> Self {
        Self { waiting: SmallVec::new(), overflowed: false }
    }
}

#[derive(Debug)]
struct Waiting<E> {
    /// None if it isn't in the sample.
    exchange: Option<E>,
    to: ResponseTo,
    /// See [`Awaited::from`].
    from: Seq,
    request: Request,
    response: Response,
    /// For its head.
    held: Option<Reservation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Under way.
    Open,
    /// Dropped; its end is awaited.
    Skipped,
    /// Complete, but whether it began where it seemed to is not known yet.
    Held {
        /// When its last byte was captured.
        ns: u64,
    },
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    Awaited,
    Begun,
    Over,
}

/// Whether what follows the request on its connection depends on the response.
pub(super) fn asks_for_tunnel(to: ResponseTo) -> bool {
    matches!(to, ResponseTo::Connect | ResponseTo::Upgrade)
}

impl<E: Debug, S: ExchangeSink<Exchange = E>> Assemble<S> for Exchanges<E> {
    const RESPONSES: bool = true;

    fn request(&mut self, event: RequestEvent<'_>, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) {
        match event {
            RequestEvent::Start => self.begin(at, run, shared),
            RequestEvent::Head(head) => self.take_head(head, at, shared),
            RequestEvent::Body(bytes) => self.request_part(ExchangeEvent::RequestBody(bytes), at, shared),
            RequestEvent::Trailers(fields) => {
                self.request_part(ExchangeEvent::RequestTrailers(fields), at, shared);
            }
            RequestEvent::End if run.is_confirmed() => self.end_request(Ok(()), at, shared),
            RequestEvent::End => {
                if let Some(last) = self.waiting.last_mut() {
                    let is_wanted = last.request == Request::Open;
                    last.request = if is_wanted { Request::Held { ns: at.ns } } else { Request::Over };
                }
            }
            RequestEvent::Failed(reason) => self.end_request(Err(reason), at, shared),
            RequestEvent::NotHttp1(protocol) => shared.stats.count_protocol(protocol),
        }
    }

    fn drop_open(&mut self, reason: DropReason, at: At<'_>, shared: &mut Shared<S>) -> bool {
        let Some(last) = self.waiting.last().map(|last| last.request) else { return false };
        let reason = match last {
            Request::Over => return false,
            Request::Held { .. } if reason != DropReason::Shutdown => DropReason::Unconfirmed,
            _ => reason,
        };
        self.end_request(Err(reason), at, shared);
        // What comes next from the service may answer something else.
        if reason == DropReason::Unconfirmed
            && let Some(last) = self.waiting.pop()
        {
            finish(last, shared);
        }
        true
    }

    fn leave_out(&mut self, at: At<'_>, shared: &mut Shared<S>) {
        self.skip_request(DropReason::Gap, at, shared);
    }

    fn is_wanted(&self) -> bool {
        self.waiting.last().is_some_and(|last| last.request == Request::Open)
    }

    fn drop_unseen(at: At<'_>, reason: DropReason, shared: &mut Shared<S>) {
        let mut exchange = shared.sink.begin(at.flow, at.ns);
        shared.sink.part(&mut exchange, ExchangeEvent::RequestEnd(Err(reason)), at.ns);
        shared.sink.finish(exchange);
    }

    fn confirm(&mut self, at: At<'_>, shared: &mut Shared<S>) {
        if let Some(Waiting { request: Request::Held { ns }, .. }) = self.waiting.last() {
            self.end_request(Ok(()), At { ns: *ns, ..at }, shared);
        }
    }

    fn awaits(&self) -> Option<Awaited> {
        let first = self.waiting.first().filter(|first| first.response != Response::Over)?;
        Some(Awaited { to: first.to, from: first.from })
    }

    fn awaits_several(&self) -> bool {
        self.waiting.len() > 1
    }

    fn response(&mut self, event: ResponseEvent<'_>, at: At<'_>, shared: &mut Shared<S>) {
        let Some(first) = self.waiting.first_mut() else { return };
        let part = match event {
            ResponseEvent::Interim(head) => ExchangeEvent::Interim(head),
            ResponseEvent::Head(head) => {
                first.response = Response::Begun;
                ExchangeEvent::ResponseHead(head)
            }
            ResponseEvent::Body(bytes) => ExchangeEvent::ResponseBody(bytes),
            ResponseEvent::Trailers(fields) => ExchangeEvent::ResponseTrailers(fields),
            ResponseEvent::Tunnel => {
                shared.stats.tunnels += 1;
                return self.end_response(Ok(()), at, shared);
            }
            ResponseEvent::End => return self.end_response(Ok(()), at, shared),
            ResponseEvent::Failed(reason) => return self.end_response(Err(reason), at, shared),
        };
        first.tell(part, at, shared);
    }

    fn response_hole(&mut self, bytes: u64, at: At<'_>, shared: &mut Shared<S>) {
        if let Some(first) = self.waiting.first_mut() {
            first.tell(ExchangeEvent::ResponseHole(bytes), at, shared);
        }
    }

    fn no_more_responses(&mut self, reason: DropReason, at: At<'_>, shared: &mut Shared<S>) {
        for waiting in std::mem::take(&mut self.waiting) {
            let mut waiting = waiting;
            waiting.end_response(Err(reason), at, shared);
            self.keep_or_finish(waiting, shared);
        }
    }
}

impl<E> Exchanges<E> {
    fn begin<S: ExchangeSink<Exchange = E>>(
        &mut self,
        at: At<'_>,
        run: &mut CurrentRun,
        shared: &mut Shared<S>,
    ) where
        E: Debug,
    {
        // Bytes that follow a request that isn't confirmed speak against it.
        self.drop_open(DropReason::Unconfirmed, at, shared);
        if self.waiting.len() >= MAX_WAITING {
            self.no_more_responses(DropReason::MemoryLimit, at, shared);
            self.overflowed = true;
        }
        let (exchange, request) = match shared.draw(at, run) {
            Draw::Sampled => (Some(shared.sink.begin(at.flow, at.ns)), Request::Open),
            Draw::Disagrees => {
                Self::drop_unseen(at, DropReason::Ambiguous, shared);
                (None, Request::Skipped)
            }
            Draw::Passed | Draw::Ignored => (None, Request::Skipped),
        };
        let response = if self.overflowed { Response::Over } else { Response::Awaited };
        let to = ResponseTo::Unknown;
        self.waiting.push(Waiting { exchange, to, from: at.from, request, response, held: None });
    }

    fn take_head<S: ExchangeSink<Exchange = E>>(
        &mut self,
        head: RequestHead,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) where
        E: Debug,
    {
        let Some(last) = self.waiting.last_mut() else { return };
        last.to = match head.method() {
            "HEAD" => ResponseTo::Head,
            "CONNECT" => ResponseTo::Connect,
            _ if head.asks_for_upgrade() => ResponseTo::Upgrade,
            _ => ResponseTo::Other,
        };
        if last.request != Request::Open {
            return;
        }
        let mut held = shared.budget.reservation();
        if held.resize(head.memory()).is_err() {
            return self.skip_request(DropReason::MemoryLimit, at, shared);
        }
        last.held = Some(held);
        last.tell(ExchangeEvent::RequestHead(head), at, shared);
    }

    /// A part of the request that is under way, unless it was dropped.
    fn request_part<S: ExchangeSink<Exchange = E>>(
        &mut self,
        part: ExchangeEvent<'_>,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        if let Some(last) = self.waiting.last_mut().filter(|last| last.request == Request::Open) {
            last.tell(part, at, shared);
        }
    }

    /// Drops the request that is under way and awaits its end.
    fn skip_request<S: ExchangeSink<Exchange = E>>(
        &mut self,
        reason: DropReason,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        if let Some(last) = self.waiting.last_mut().filter(|last| last.request == Request::Open) {
            last.tell(ExchangeEvent::RequestEnd(Err(reason)), at, shared);
            last.request = Request::Skipped;
        }
    }

    /// The last request is over.
    fn end_request<S: ExchangeSink<Exchange = E>>(
        &mut self,
        end: Result<(), DropReason>,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        let Some(mut last) = self.waiting.pop() else { return };
        if matches!(last.request, Request::Open | Request::Held { .. }) {
            last.tell(ExchangeEvent::RequestEnd(end), at, shared);
        }
        last.request = Request::Over;
        self.keep_or_finish(last, shared);
    }

    /// The first response is over.
    fn end_response<S: ExchangeSink<Exchange = E>>(
        &mut self,
        end: Result<(), DropReason>,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        let Some(first) = self.waiting.first_mut() else { return };
        first.end_response(end, at, shared);
        if first.request == Request::Over {
            finish(self.waiting.remove(0), shared);
        }
    }

    /// Puts the last one back, unless both its directions are over.
    fn keep_or_finish<S: ExchangeSink<Exchange = E>>(&mut self, last: Waiting<E>, shared: &mut Shared<S>) {
        if last.request == Request::Over && last.response == Response::Over {
            finish(last, shared);
        } else {
            self.waiting.push(last);
        }
    }
}

impl<E> Waiting<E> {
    fn tell<S: ExchangeSink<Exchange = E>>(
        &mut self,
        part: ExchangeEvent<'_>,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        if let Some(exchange) = &mut self.exchange {
            shared.sink.part(exchange, part, at.ns);
        }
    }

    fn end_response<S: ExchangeSink<Exchange = E>>(
        &mut self,
        end: Result<(), DropReason>,
        at: At<'_>,
        shared: &mut Shared<S>,
    ) {
        if self.response == Response::Begun {
            self.tell(ExchangeEvent::ResponseEnd(end), at, shared);
        }
        self.response = Response::Over;
    }
}

fn finish<E, S: ExchangeSink<Exchange = E>>(waiting: Waiting<E>, shared: &mut Shared<S>) {
    if let Some(exchange) = waiting.exchange {
        shared.sink.finish(exchange);
    }
}
