//! The request direction of a flow: segments of a run in, the run's requests to the sink.
//!
//! One reassembler, one decoder, one assembly. Keeps invariant 4: what the first two hold is reserved.

use super::{PipelineLimits, RequestSink, Shared, assembly::Assembly, run::CurrentRun};
use crate::{
    budget::{MemoryBudget, Reservation},
    capture::Segment,
    http::RequestDecoder,
    ledger::DropReason,
    tcp::{Reassembler, Seq, Standing, StreamEvent},
};

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) reassembler: Reassembler,
    pub(super) decoder: RequestDecoder,
    pub(super) assembly: Assembly,
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

impl Stream {
    pub(super) fn new(first: Seq, limits: &PipelineLimits, budget: &MemoryBudget) -> Self {
        Self {
            reassembler: Reassembler::new(first, limits.reassembly),
            decoder: RequestDecoder::new(limits.decoder),
            assembly: Assembly::None,
            held: budget.reservation(),
        }
    }

    /// Takes a segment of `run`.
    pub(super) fn push<S: RequestSink>(
        &mut self,
        segment: &Segment<'_>,
        run: &mut CurrentRun,
        shared: &mut Shared<S>,
    ) -> Fate {
        let Self { reassembler, decoder, assembly, held } = self;
        let mut fate = Fate::Goes;
        let placement = reassembler.push(segment, |event| {
            match event {
                StreamEvent::Data(bytes) => {
                    decoder.push(bytes, |event| assembly.event(event, segment, run, shared));
                }
                StreamEvent::Gap { .. } => fate = Fate::Lost(DropReason::Gap),
                StreamEvent::Conflict => {
                    shared.stats.overlaps_differing += 1;
                    fate = Fate::Lost(DropReason::Ambiguous);
                }
                StreamEvent::End(_) => fate = Fate::Ended,
            }
            // Which of two copies of a body is right doesn't matter where it goes nowhere.
            let settled = decoder.is_idle() || matches!(assembly, Assembly::Skipping);
            if settled { Standing::Settled } else { Standing::Open }
        });
        shared.stats.count_placement(placement);
        if fate == Fate::Goes && held.resize(reassembler.memory() + decoder.memory()).is_err() {
            fate = Fate::Lost(DropReason::MemoryLimit);
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
