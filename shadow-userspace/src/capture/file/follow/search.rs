//! How a request start is found in a connection where none is known.
//!
//! Where no start is known, a client's segment that begins like a request is a *candidate*. What follows it in the run
//! is unconfirmed, until the service's next final answer begins. That confirms it if, before the candidate and after
//! the client's payload before it, the service began a final answer, which acknowledges everything before the
//! candidate; and if the new answer follows at once what the client had received then, and acknowledges exactly the one
//! request that the client has sent since. Any other answer refutes it, and is what the next candidate may rest on.
//!
//! An answer that begins before what was seen of the service when the client spoke last doesn't count. So what the
//! client had received includes all that was seen of the answer on which the candidate rests.

use shadow_common::{
    marks,
    tcp_flags::{ACK, SYN},
};

use super::{
    Context,
    candidate::Candidate,
    first::{self, Answer},
    flow::{Flow, Phase},
};
use crate::capture::{Seq, file::packet::Packet};

impl Flow {
    /// Takes a segment with payload of the client's.
    #[inline]
    pub(super) fn client_payload(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) {
        let seq = Seq(packet.seq.wrapping_add(u32::from(packet.flags & SYN != 0)));
        let end = seq + packet.payload_len;
        self.ends.is_established = true;
        match &mut self.phase {
            Phase::Known if context.is_strict && seq == Seq(self.run_start) => {
                if !first::may_be_http(packet.payload) {
                    self.phase = Phase::Left;
                }
            }
            Phase::Candidate(candidate) => candidate.take(seq, packet.payload, packet.payload_len),
            Phase::Lost => self.search(packet, seq, context),
            Phase::Known | Phase::Left => {}
        }
        if self.client_end.is_none_or(|known| end.is_after(known)) {
            self.client_end = Some(end);
            self.asked_at = match self.service_end {
                Some(end) if !Seq(packet.ack).is_after(end) => end,
                _ => Seq(packet.ack),
            };
            self.answered = None;
        }
    }

    /// No request start is known: perhaps this is one.
    #[cold]
    fn search(&mut self, packet: &Packet<'_>, seq: Seq, context: &mut Context<'_>) {
        // The service says best what it has; else nothing that was seen before is new.
        let is_acknowledged = self.answered == Some(seq);
        let is_new = self.client_end.is_none_or(|end| !seq.is_before(end));
        if !(is_acknowledged || is_new) || !first::is_request(packet.payload, context.is_strict) {
            return;
        }
        // If the service had less, or more, bytes between are missing that may be a head, and these its body.
        let is_provable = is_acknowledged && packet.flags & ACK != 0;
        let mut candidate = Candidate::new(seq, Seq(packet.ack), is_provable, context.permits);
        candidate.take(seq, packet.payload, packet.payload_len);
        context.stats.candidates += 1;
        self.phase = Phase::Candidate(Box::new(candidate));
        self.run_start = seq.0;
        // The client spoke just now, also if this lies before what was taken for the end: an answer of before that
        // comes again is no proof.
        self.client_end = None;
    }

    /// Takes a segment with payload of the service's; gives its mark, if it isn't that of any other in the run.
    #[inline]
    pub(super) fn service_payload(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) -> Option<u8> {
        let seq = Seq(packet.seq);
        let end = seq + packet.payload_len;
        let mark = match first::answer(packet.payload) {
            Some(_) if self.client_end.is_some() && seq.is_before(self.asked_at) => None,
            Some(answer) => self.answer(answer, packet, context),
            None => None,
        };
        if self.service_end.is_none_or(|known| end.is_after(known)) {
            self.service_end = Some(end);
        }
        mark
    }

    /// An answer begins, that isn't one of before the client's last payload.
    fn answer(&mut self, answer: Answer, packet: &Packet<'_>, context: &mut Context<'_>) -> Option<u8> {
        let seq = Seq(packet.seq);
        if answer == Answer::Interim {
            self.answered = None;
            if let Phase::Candidate(candidate) = &mut self.phase
                && candidate.answer == seq
            {
                candidate.answer += packet.payload_len;
            }
            return None;
        }
        self.answered = Some(Seq(packet.ack));
        let Phase::Candidate(candidate) = &self.phase else { return None };
        let is_proof = candidate.answer == seq && candidate.is_request_until(Seq(packet.ack));
        if is_proof {
            context.stats.confirmed += 1;
            self.phase = Phase::Known;
            return Some(marks::SAMPLED | marks::CONFIRMED);
        }
        context.stats.refuted += 1;
        self.phase = Phase::Lost;
        Some(marks::REFUTED)
    }
}
