//! The request direction of a flow: segments of a run in, what is made of the run's requests out.
//!
//! One reassembler, one decoder, one assembly. Keeps invariant 3 where bytes are missing: within a body of known length
//! they cost that request and nothing else, anywhere else the place is lost. Keeps invariant 4: what is held is reserved.

use super::{
    PipelineLimits, Shared,
    assemble::{Assemble, At},
    run::CurrentRun,
};
use crate::{
    budget::{MemoryBudget, Reservation},
    capture::Segment,
    http::RequestDecoder,
    ledger::DropReason,
    tcp::{Reassembler, Seq, Standing, StreamEvent},
};

#[derive(Debug)]
pub(super) struct Stream<A> {
    pub(super) reassembler: Reassembler,
    pub(super) decoder: RequestDecoder,
    pub(super) assembly: A,
    /// For what the reassembler and the decoder hold.
    held: Reservation,
}

/// Whether the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Goes,
    Ended,
    Lost(DropReason),
}

/// What a step of the reassembler came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done(Fate),
    /// So many bytes are missing.
    Gap(u32),
}

impl<A> Stream<A> {
    pub(super) fn new(first: Seq, limits: &PipelineLimits, budget: &MemoryBudget) -> Self
    where
        A: Default,
    {
        Self {
            reassembler: Reassembler::new(first, limits.reassembly),
            decoder: RequestDecoder::new(limits.decoder),
            assembly: A::default(),
            held: budget.reservation(),
        }
    }

    /// Takes a segment of `run`.
    pub(super) fn push<S>(
        &mut self,
        segment: &Segment<'_>,
        run: &mut CurrentRun,
        shared: &mut Shared<S>,
    ) -> Fate
    where
        A: Assemble<S>,
    {
        let from = self.reassembler.next_seq();
        let at = At { from, ..At::new(&segment.flow, segment.timestamp_ns) };
        let mut step = Step::Done(Fate::Goes);
        let Self { reassembler, decoder, assembly, .. } = self;
        let placement =
            reassembler.push(segment, |event| take(event, &mut step, decoder, assembly, at, run, shared));
        shared.stats.count_placement(placement);
        self.go_on(step, at, run, shared)
    }

    /// The service has every byte before `ack`.
    pub(super) fn acknowledged<S>(
        &mut self,
        ack: Seq,
        at: At<'_>,
        run: &mut CurrentRun,
        shared: &mut Shared<S>,
    ) -> Fate
    where
        A: Assemble<S>,
    {
        let mut step = Step::Done(Fate::Goes);
        let Self { reassembler, decoder, assembly, .. } = self;
        let at = At { from: reassembler.next_seq(), ..at };
        reassembler.acknowledged(ack, |event| take(event, &mut step, decoder, assembly, at, run, shared));
        if step == Step::Done(Fate::Goes) { Fate::Goes } else { self.go_on(step, at, run, shared) }
    }

    /// The missing bytes didn't come in time.
    pub(super) fn give_up<S>(&mut self, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) -> Fate
    where
        A: Assemble<S>,
    {
        let mut step = Step::Done(Fate::Goes);
        let Self { reassembler, decoder, assembly, .. } = self;
        let at = At { from: reassembler.next_seq(), ..at };
        reassembler.give_up(|event| take(event, &mut step, decoder, assembly, at, run, shared));
        self.go_on(step, at, run, shared)
    }

    /// Leaves out missing bytes as long as what follows them has its place.
    fn go_on<S>(&mut self, mut step: Step, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>) -> Fate
    where
        A: Assemble<S>,
    {
        let Self { reassembler, decoder, assembly, held } = self;
        let fate = loop {
            match step {
                Step::Done(fate) => break fate,
                Step::Gap(bytes) if !decoder.can_skip(bytes.into()) => break Fate::Lost(DropReason::Gap),
                Step::Gap(bytes) => {
                    assembly.leave_out(at, shared);
                    decoder.skip(bytes.into(), |event| assembly.request(event, at, run, shared));
                    step = Step::Done(Fate::Goes);
                    reassembler.skip_gap(|event| take(event, &mut step, decoder, assembly, at, run, shared));
                }
            }
        };
        if fate == Fate::Goes && held.resize(reassembler.memory() + decoder.memory()).is_err() {
            return Fate::Lost(DropReason::MemoryLimit);
        }
        fate
    }

    /// Whether every byte seen belongs to a request that is complete.
    pub(super) fn is_idle(&self) -> bool {
        self.decoder.is_idle() && !self.reassembler.is_waiting()
    }

    /// Begins anew with a request at `first`.
    pub(super) fn restart(&mut self, first: Seq) {
        self.reassembler.restart(first);
        self.decoder.reset();
    }

    /// Follows the run no further, and gives back what it held. A request that is complete stays.
    pub(super) fn stop(&mut self) {
        self.reassembler.stop();
        self.decoder.reset();
        // Shrinking always succeeds.
        self.held.resize(0).ok();
    }
}

/// Takes what the reassembler delivers. What comes again matters while a request is under way: its framing, and its body
/// if it is wanted.
fn take<S, A: Assemble<S>>(
    event: StreamEvent<'_>,
    step: &mut Step,
    decoder: &mut RequestDecoder,
    assembly: &mut A,
    at: At<'_>,
    run: &mut CurrentRun,
    shared: &mut Shared<S>,
) -> Standing {
    *step = match event {
        StreamEvent::Data(bytes) => {
            decoder.push(bytes, |event| assembly.request(event, at, run, shared));
            let matters = assembly.is_wanted() || !decoder.can_skip(0);
            return if decoder.is_idle() || !matters { Standing::Settled } else { Standing::Open };
        }
        StreamEvent::Gap { bytes } => Step::Gap(bytes),
        StreamEvent::Conflict => {
            shared.stats.overlaps_differing += 1;
            Step::Done(Fate::Lost(DropReason::Ambiguous))
        }
        StreamEvent::End(_) => Step::Done(Fate::Ended),
    };
    Standing::Settled
}
