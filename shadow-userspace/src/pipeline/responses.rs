//! The response direction of a flow: the service's segments in, what is made of its responses out.
//!
//! Where a response begins is known from the request that it answers: its first segment acknowledges everything that the
//! service sent before. Keeps invariant 3: a response whose place isn't certain answers nothing, and missing bytes
//! are left out only where the framing goes on behind them. Keeps invariant 4: what is held is reserved.

use super::{
    PipelineLimits, Shared,
    assemble::{Assemble, At, Awaited},
    exchanges::asks_for_tunnel,
};
use crate::{
    budget::{MemoryBudget, Reservation},
    capture::Segment,
    http::{ResponseDecoder, ResponseEvent},
    ledger::DropReason,
    tcp::{End, Reassembler, Seq, Standing, StreamEvent},
};
use shadow_common::tcp_flags::{ACK, SYN, URG};

#[derive(Debug)]
pub(super) struct Responses {
    reassembler: Reassembler,
    decoder: ResponseDecoder,
    held: Reservation,
    place: Place,
    /// Since when the same byte is missing.
    hole_since_ns: Option<u64>,
    said: Said,
}

/// What the service said.
#[derive(Debug, Default)]
struct Said {
    /// It has every byte of the client's before this one.
    has: Option<Seq>,
    /// It declined the tunnel that was asked for last.
    declined: bool,
}

/// What is known of where the direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing, until a request comes when no other waits.
    Unknown,
    Known,
    /// Nothing, for good: behind a tunnel, or where several requests wait whose responses can't be told apart.
    Over,
}

/// What a step of the reassembler came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Goes,
    Gap(u32),
    Ended(End),
    Failed(DropReason),
    /// Bytes that answer no request.
    Surplus,
    Tunnel,
}

impl Responses {
    pub(super) fn new(limits: &PipelineLimits, budget: &MemoryBudget) -> Self {
        let reassembly = crate::tcp::ReassemblyLimits { history: 0, ..limits.reassembly };
        Self {
            reassembler: Reassembler::new(Seq(0), reassembly),
            decoder: ResponseDecoder::new(limits.decoder),
            held: budget.reservation(),
            place: Place::Unknown,
            hole_since_ns: None,
            said: Said::default(),
        }
    }

    /// Since when the same byte is missing.
    pub(super) fn hole_since_ns(&self) -> Option<u64> {
        self.hole_since_ns
    }

    /// Whether the service declined the tunnel that was asked for; says so once.
    pub(super) fn take_declined(&mut self) -> bool {
        std::mem::take(&mut self.said.declined)
    }

    /// A record of the client comes: it acknowledges what it has, and tells where the response to the request that begins
    /// with it will.
    pub(super) fn client_side<S, A: Assemble<S>>(
        &mut self,
        record: &Segment<'_>,
        assembly: &mut A,
        shared: &mut Shared<S>,
    ) {
        if !record.has(ACK) || self.place == Place::Over {
            return;
        }
        let ack = Seq(record.ack);
        if self.place == Place::Known {
            let at = At::new(&record.flow, record.timestamp_ns);
            let mut step = Step::Goes;
            let Self { reassembler, decoder, said, .. } = self;
            reassembler
                .acknowledged(ack, |event| take(event, &mut step, decoder, said, assembly, at, shared));
            if step != Step::Goes {
                self.go_on(step, at, assembly, shared);
            }
        }
        if self.place == Place::Unknown && record.payload_len > 0 && assembly.awaits().is_none() {
            self.begin(ack);
        }
    }

    /// Takes a segment of the service.
    pub(super) fn push<S, A: Assemble<S>>(
        &mut self,
        segment: &Segment<'_>,
        assembly: &mut A,
        shared: &mut Shared<S>,
    ) {
        if segment.has(ACK) && self.said.has.is_none_or(|has| Seq(segment.ack).is_after(has)) {
            self.said.has = Some(Seq(segment.ack));
        }
        // The request came with the SYN (RFC 7413), which acknowledges nothing.
        if self.place == Place::Unknown && segment.has(SYN) && segment.has(ACK) {
            self.begin(Seq(segment.first_seq()));
        }
        if self.place != Place::Known {
            return;
        }
        let at = At::new(&segment.flow, segment.timestamp_ns);
        let mut step = Step::Goes;
        let before = self.reassembler.next_seq();
        // Which byte an urgent pointer takes out of the stream is the receiver's choice (RFC 6093).
        if segment.has(URG) && segment.payload_len > 0 {
            step = Step::Failed(DropReason::Ambiguous);
        } else {
            let Self { reassembler, decoder, said, .. } = self;
            reassembler.push(segment, |event| take(event, &mut step, decoder, said, assembly, at, shared));
        }
        self.go_on(step, at, assembly, shared);
        if !self.reassembler.is_waiting() {
            self.hole_since_ns = None;
        } else if self.reassembler.next_seq() != before || self.hole_since_ns.is_none() {
            self.hole_since_ns = Some(at.ns);
        }
    }

    /// The missing bytes didn't come in time.
    pub(super) fn give_up<S, A: Assemble<S>>(
        &mut self,
        at: At<'_>,
        assembly: &mut A,
        shared: &mut Shared<S>,
    ) {
        self.hole_since_ns = None;
        let mut step = Step::Goes;
        let Self { reassembler, decoder, said, .. } = self;
        reassembler.give_up(|event| take(event, &mut step, decoder, said, assembly, at, shared));
        self.go_on(step, at, assembly, shared);
    }

    fn begin(&mut self, first: Seq) {
        self.reassembler.restart(first);
        self.decoder.reset();
        self.hole_since_ns = None;
        self.place = Place::Known;
    }

    /// Leaves out missing bytes as long as the framing goes on behind them.
    fn go_on<S, A: Assemble<S>>(
        &mut self,
        mut step: Step,
        at: At<'_>,
        assembly: &mut A,
        shared: &mut Shared<S>,
    ) {
        while let Step::Gap(bytes) = step {
            let Self { reassembler, decoder, said, .. } = self;
            let mut ends = false;
            if !decoder.skip(bytes.into(), |event| ends |= matches!(event, ResponseEvent::End)) {
                step = Step::Failed(DropReason::Gap);
                break;
            }
            assembly.response_hole(bytes.into(), at, shared);
            if ends {
                assembly.response(ResponseEvent::End, at, shared);
            }
            step = Step::Goes;
            reassembler.skip_gap(|event| take(event, &mut step, decoder, said, assembly, at, shared));
        }
        match step {
            Step::Goes | Step::Gap(_) => {
                if self.held.resize(self.reassembler.memory() + self.decoder.memory()).is_err() {
                    self.lose(DropReason::MemoryLimit, at, assembly, shared);
                }
            }
            Step::Ended(end) => {
                if end == End::Fin {
                    self.decoder.finish(|event| assembly.response(event, at, shared));
                }
                self.end(Place::Over, DropReason::Incomplete, at, assembly, shared);
            }
            Step::Failed(reason) => self.lose(reason, at, assembly, shared),
            Step::Surplus => self.end(Place::Unknown, DropReason::Incomplete, at, assembly, shared),
            Step::Tunnel => self.end(Place::Over, DropReason::Upgrade, at, assembly, shared),
        }
    }

    /// The response that is under way can't be followed to its end. If it is the only one that is awaited, the next
    /// request tells where its own begins.
    fn lose<S, A: Assemble<S>>(
        &mut self,
        reason: DropReason,
        at: At<'_>,
        assembly: &mut A,
        shared: &mut Shared<S>,
    ) {
        let place = if assembly.awaits_several() { Place::Over } else { Place::Unknown };
        self.end(place, reason, at, assembly, shared);
    }

    fn end<S, A: Assemble<S>>(
        &mut self,
        place: Place,
        reason: DropReason,
        at: At<'_>,
        assembly: &mut A,
        shared: &mut Shared<S>,
    ) {
        self.place = place;
        // Of a request that isn't followed any more.
        self.said.declined = false;
        self.reassembler.stop();
        self.decoder.reset();
        self.hole_since_ns = None;
        // Shrinking always succeeds.
        self.held.resize(0).ok();
        assembly.no_more_responses(reason, at, shared);
    }
}

/// Takes what the reassembler delivers. What comes again isn't compared.
fn take<S, A: Assemble<S>>(
    event: StreamEvent<'_>,
    step: &mut Step,
    decoder: &mut ResponseDecoder,
    said: &mut Said,
    assembly: &mut A,
    at: At<'_>,
    shared: &mut Shared<S>,
) -> Standing {
    if *step != Step::Goes {
        return Standing::Settled;
    }
    match event {
        StreamEvent::Data(mut input) => {
            while !input.is_empty() && *step == Step::Goes {
                // Nothing is answered before the service has a byte of it: this is a late part of an earlier response,
                // or one that nobody asked for.
                let is_begun = !decoder.is_idle();
                let has = |from| said.has.is_some_and(|has| has.is_after(from));
                let awaited = assembly.awaits().filter(|awaited| is_begun || has(awaited.from));
                let Some(Awaited { to, .. }) = awaited else {
                    *step = Step::Surplus;
                    break;
                };
                decoder.push(&mut input, to, |event| {
                    match event {
                        ResponseEvent::Tunnel => *step = Step::Tunnel,
                        ResponseEvent::Failed(reason) => *step = Step::Failed(reason),
                        ResponseEvent::End => said.declined = asks_for_tunnel(to),
                        _ => {}
                    }
                    assembly.response(event, at, shared);
                });
            }
        }
        StreamEvent::Gap { bytes } => *step = Step::Gap(bytes),
        StreamEvent::Conflict => {
            shared.stats.overlaps_differing += 1;
            *step = Step::Failed(DropReason::Ambiguous);
        }
        StreamEvent::End(end) => *step = Step::Ended(end),
    }
    Standing::Settled
}
