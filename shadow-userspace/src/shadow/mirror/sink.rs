//! The capture thread's end of mirroring: takes requests from the pipeline, plans their copies, hands them to upstreams.
//!
//! Every copy that a route wants has a ticket from here on, and every path settles it (invariant 2). It never waits for v2
//! (invariant 1), unless it was made [patient](ShadowSink::patient).

use std::{fmt, sync::Arc, time::Instant};

use bytes::Bytes;
use shadow_common::FlowKey;
use smallvec::SmallVec;

use crate::{
    budget::MemoryBudget,
    http::{BodyFraming, RequestHead},
    ledger::{DropReason, Outcome, Ticket},
    pipeline::{Admitted, CapturedRequest, RequestSink},
    route::{Decision, Dice},
    shadow::{
        copy::{self},
        mirror::{
            Mirror,
            job::{Duty, Job, JobStream, Shared, Stream, Streams},
            lane::Lane,
            patience::Patience,
        },
    },
};

/// Where the pipeline's requests go.
pub struct ShadowSink {
    mirror: Mirror,
    dice: Box<dyn FnMut() -> Dice + Send>,
    patience: Option<Patience>,
}

impl fmt::Debug for ShadowSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowSink").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// The copies that a request gets, at least one.
#[derive(Debug)]
pub struct Copies(SmallVec<[Planned; 1]>);

#[derive(Debug)]
struct Planned {
    lane: Arc<Lane>,
    ticket: Ticket,
}

impl ShadowSink {
    pub(in crate::shadow) fn new(mirror: Mirror, dice: impl FnMut() -> Dice + Send + 'static) -> Self {
        Self { mirror, dice: Box::new(dice), patience: None }
    }

    /// Lets requests wait, and with them the thread that delivers them, for room in the queues, as long as limits say
    /// and until half of `budget` is free, so that v2 sets the pace. For sources that lose nothing meanwhile.
    #[must_use]
    pub fn patient(self, budget: MemoryBudget) -> Self {
        let patience = Some(Patience::new(budget, self.mirror.clone()));
        Self { patience, ..self }
    }

    /// The tickets of the copies that the routes want, each with its lane.
    fn plan(&mut self, head: &RequestHead, flow: &FlowKey, ticket: Ticket) -> SmallVec<[Planned; 1]> {
        let plan = self.mirror.current();
        if let Err(reason) = copy::admit(head, &plan.guard) {
            ticket.settle(Outcome::Dropped(reason));
            return SmallVec::new();
        }
        match plan.table.decide(head, flow, (self.dice)()) {
            Decision::Pass(reason) => {
                self.mirror.ledger().pass(ticket, reason);
                SmallVec::new()
            }
            Decision::Copies(route, shadows) => {
                let lanes: SmallVec<[&Arc<Lane>; 2]> =
                    shadows.iter().filter_map(|&shadow| plan.lane(route, shadow)).collect();
                let tickets = self.mirror.ledger().route(ticket, lanes.iter().map(|lane| &lane.account));
                let planned = lanes.into_iter().zip(tickets);
                planned.map(|(lane, ticket)| Planned { lane: Arc::clone(lane), ticket }).collect()
            }
        }
    }

    fn wait_for_room(&self, request: &Shared, lane: &Lane) {
        if let Some(patience) = &self.patience {
            patience.wait_for_room(|| !lane.is_full() && lane.relay.has_room(&request.flow, request.bytes()));
        }
    }

    /// Why a request with this head gets no copy there now.
    fn refuses(&self, head: &RequestHead, lane: &Lane) -> Option<DropReason> {
        loop {
            let reason = lane.refuses(head, Instant::now())?;
            if !self.patience.as_ref().is_some_and(|patience| patience.waits_for(reason)) {
                return Some(reason);
            }
        }
    }

    /// None if the copy is aborted, or ended already.
    fn push_more(&self, stream: Stream, bytes: &Bytes) -> Option<Stream> {
        let mut waits = self.patience.as_ref().map(Patience::of_a_stream);
        stream.push(bytes, &mut || waits.as_mut().is_some_and(|waits| waits()))
    }
}

impl RequestSink for ShadowSink {
    type Copies = Copies;
    type Stream = Box<Streams>;

    fn admit(&mut self, head: &RequestHead, flow: &FlowKey, ticket: Ticket) -> Option<Admitted<Copies>> {
        let mut copies: SmallVec<[Planned; 1]> = SmallVec::new();
        for Planned { lane, ticket } in self.plan(head, flow, ticket) {
            match self.refuses(head, &lane) {
                Some(reason) => ticket.settle(Outcome::Dropped(reason)),
                None => copies.push(Planned { lane, ticket }),
            }
        }
        let max_body = copies.iter().map(|copy| copy.lane.max_body).max()?;
        let stream_above = stream_above(head, &copies);
        Some(Admitted { copies: Copies(copies), max_body, stream_above })
    }

    fn refuse(&mut self, copies: Copies, reason: DropReason) {
        for copy in copies.0 {
            copy.ticket.settle(Outcome::Dropped(reason));
        }
    }

    fn deliver(&mut self, request: CapturedRequest, copies: Copies) {
        let request = Arc::new(Shared::from(request));
        for Planned { lane, ticket } in copies.0 {
            self.wait_for_room(&request, &lane);
            let reason = if request.body.len() > lane.max_body {
                Some(DropReason::BodyTooLarge)
            } else {
                lane.is_full().then_some(DropReason::InFlightLimit)
            };
            match reason {
                Some(reason) => ticket.settle(Outcome::Dropped(reason)),
                None => push(&request, lane, None, Duty::new(ticket)),
            }
        }
    }

    fn begin(&mut self, request: CapturedRequest, copies: Copies) -> Option<Box<Streams>> {
        let length = match request.head.framing() {
            BodyFraming::Length(length) => Some(length),
            BodyFraming::Chunked | BodyFraming::None => None,
        };
        let begun = request.body.clone();
        let request = Arc::new(Shared::from(CapturedRequest { body: Bytes::new(), ..request }));
        let mut streams = Streams(SmallVec::new());
        for Planned { lane, ticket } in copies.0 {
            self.wait_for_room(&request, &lane);
            if lane.is_full() {
                ticket.settle(Outcome::Dropped(DropReason::InFlightLimit));
                continue;
            }
            let duty = Duty::new(ticket);
            // What was collected until now fits, unless the upstream's other streams leave no room.
            let buffer = lane.relay.options().stream_buffer.max(begun.len());
            let (stream, taken) = Stream::new(length, buffer, &lane, &duty);
            push(&request, lane, Some(taken), duty);
            streams.0.extend(self.push_more(stream, &begun));
        }
        (!streams.0.is_empty()).then(|| Box::new(streams))
    }

    fn chunk(&mut self, stream: &mut Box<Streams>, bytes: Bytes) -> bool {
        let streams = std::mem::take(&mut stream.0);
        stream.0.extend(streams.into_iter().filter_map(|one| self.push_more(one, &bytes)));
        !stream.0.is_empty()
    }

    /// Without fields that follow the body: none were announced, and others can't be sent.
    fn end(&mut self, stream: Box<Streams>, _trailers: Vec<(Bytes, Bytes)>) {
        stream.0.into_iter().for_each(Stream::finish);
    }

    fn abort(&mut self, stream: Box<Streams>, reason: DropReason) {
        stream.0.into_iter().for_each(|stream| stream.abort(reason));
    }
}

fn push(request: &Arc<Shared>, lane: Arc<Lane>, stream: Option<JobStream>, duty: Duty) {
    let (relay, load) = (Arc::clone(&lane.relay), lane.join());
    relay.push(Job { request: Arc::clone(request), lane, stream, duty, _load: load });
}

/// From what size on the body is streamed; none where a copy needs all of it first. Fields that follow a body can be
/// announced only by who knows them.
fn stream_above(head: &RequestHead, copies: &[Planned]) -> Option<usize> {
    let needs_all = |copy: &Planned| copy::reads_body(head, &copy.lane.policy.redaction);
    if head.header("trailer").is_some() || copies.iter().any(needs_all) {
        return None;
    }
    copies.iter().map(|copy| copy.lane.relay.options().stream_above).min()
}
