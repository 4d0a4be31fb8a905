//! The two directions of a flow tell each other: acknowledgements, and what an answer says of what was requested.

use shadow_common::tcp_flags::ACK;

use super::{After, Flow, Phase};
use crate::{
    capture::Segment,
    pipeline::{
        Shared,
        assemble::{Assemble, At},
        run::Place,
        stream::Fate,
    },
    tcp::Seq,
};

impl<A> Flow<A> {
    /// A record of the client acknowledges responses, and may begin a request.
    pub(super) fn tell_responses<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>)
    where
        A: Assemble<S>,
    {
        if let Some(responses) = &mut self.responses {
            responses.client_side(record, &mut self.stream.assembly, shared);
        }
    }

    /// A record of the service acknowledges requests, and may be a part of a response.
    pub(super) fn service_side<S>(&mut self, record: &Segment<'_>, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        if record.has(ACK)
            && self.phase == Phase::Followed
            && self.acknowledged(Seq(record.ack), record, shared) == After::Remove
        {
            return After::Remove;
        }
        let Some(responses) = &mut self.responses else { return After::Keep };
        responses.push(record, &mut self.stream.assembly, shared);
        self.heed_declined();
        self.after_responses()
    }

    /// A record of the client was taken: if answers are measured, that is since the end of their requests.
    pub(super) fn measure<S>(&mut self, record: &Segment<'_>, shared: &Shared<S>) {
        let begun = self.run.take_begun_count();
        if shared.first_bytes.is_none() {
            return;
        }
        let is_complete = self.stream.is_idle() && !self.run.awaits_first();
        let complete = is_complete.then(|| self.stream.reassembler.next_seq());
        self.first_byte.get_or_insert_default().request(record, begun, complete);
    }

    /// The service began an answer, of which nothing else is told.
    pub(super) fn answered<S>(&mut self, record: &Segment<'_>, shared: &Shared<S>) {
        if let (Some(first_bytes), Some(first_byte)) = (&shared.first_bytes, &mut self.first_byte)
            && self.run.place(record.run) == Place::Current
            && let Some(passed) = first_byte.answered(record)
        {
            first_bytes.record(passed);
        }
    }

    /// Whether the flow is over now that responses came.
    pub(super) fn after_responses<S>(&self) -> After
    where
        A: Assemble<S>,
    {
        if self.leaving && self.stream.assembly.awaits().is_none() { After::Remove } else { After::Keep }
    }

    /// Requests go on behind one that asked for a tunnel, if the service declined.
    pub(super) fn heed_declined(&mut self) {
        if let Some(responses) = &mut self.responses
            && self.stream.decoder.is_switching()
            && responses.take_declined()
        {
            self.stream.decoder.go_on();
        }
    }

    /// The service has every byte before `ack`: what the capture doesn't have of them is lost.
    fn acknowledged<S>(&mut self, ack: Seq, record: &Segment<'_>, shared: &mut Shared<S>) -> After
    where
        A: Assemble<S>,
    {
        let at = At::new(&record.flow, record.timestamp_ns);
        let before = self.stream.reassembler.next_seq();
        let fate = self.stream.acknowledged(ack, at, &mut self.run, shared);
        if fate == Fate::Goes && self.stream.reassembler.next_seq() == before {
            return After::Keep;
        }
        self.heed(fate, before, at.ns, shared)
    }
}
