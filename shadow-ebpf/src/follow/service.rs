//! Segments from the service: its answers tell where a flow is that is met in mid-life.

use shadow_common::{
    Config, Counter, EXPORT_RESPONSES, REPORT_ANSWERS,
    marks::{ANSWERED, CONFIRMED, SAMPLED},
    tcp_flags::{ACK, FIN, RST, SYN},
};

use crate::{
    counters::count,
    decision::Decision,
    flow::{FlowState, answer, flags, phase},
    packet::{Packet, Segment},
};

#[inline(always)]
pub(super) fn segment<P: Packet>(
    packet: &P,
    segment: &Segment,
    state: &mut FlowState,
    config: &Config,
) -> Decision {
    if segment.flags & (SYN | ACK | RST) == SYN | ACK {
        state.accept(segment.ack);
    }
    let is_followed = state.phase == phase::FRAMED || state.phase == phase::OPEN;
    let is_exported = is_followed && state.mark != 0 && config.flags & EXPORT_RESPONSES != 0;
    if segment.payload_len == 0 {
        // A response may end with it.
        if is_exported && segment.flags & (SYN | FIN | RST) == FIN {
            return state.current();
        }
        return Decision::skip(if state.phase == phase::OWN { Counter::Own } else { Counter::Control });
    }
    match state.phase {
        phase::FRAMED | phase::OPEN if is_exported => state.current(),
        phase::FRAMED | phase::OPEN => begins_answer(packet, segment, state, config),
        phase::FOREIGN => {
            // Only where an answer begins is it known for a final one. Behind an interim one, of which anything else
            // may be a part, a body may follow.
            if is_response(packet, segment) {
                state.answered = u8::from(!is_interim(packet, segment));
                state.answer_ack = segment.ack;
            }
            Decision::skip(Counter::UnknownFlow)
        }
        phase::CANDIDATE => answered(packet, segment, state, config),
        phase::OWN => Decision::skip(Counter::Own),
        phase::TLS => Decision::skip(Counter::Tls),
        phase::OTHER_PROTOCOL => Decision::skip(Counter::OtherProtocol),
        _ => Decision::skip(Counter::LeftAlone),
    }
}

/// Where the answer to a sampled request begins, that is told if it is asked for; the payload stays where it is.
#[inline(always)]
fn begins_answer<P: Packet>(
    packet: &P,
    segment: &Segment,
    state: &mut FlowState,
    config: &Config,
) -> Decision {
    let is_wanted = config.flags & REPORT_ANSWERS != 0
        && state.mark & SAMPLED != 0
        && state.flags & flags::ABANDONED == 0
        && segment.flags & (SYN | RST) == 0;
    let is_repeated = state.answered == answer::REPORTED && state.answer_ack == segment.seq;
    if !is_wanted || !(state.answered == answer::AWAITED || is_repeated) || is_interim(packet, segment) {
        return Decision::skip(Counter::Response);
    }
    // It came early, or the rest of an earlier answer did.
    if segment.ack != state.next || !is_response(packet, segment) {
        state.answered = answer::UNKNOWN;
        return Decision::skip(Counter::Response);
    }
    state.answered = answer::REPORTED;
    state.answer_ack = segment.seq;
    Decision::export(ANSWERED, state.start)
}

/// The service sends payload while a request start that was taken in mid-life waits for its confirmation: that is the
/// beginning of a final answer which acknowledges exactly the request. Otherwise the start may have been body bytes.
#[inline(always)]
fn answered<P: Packet>(packet: &P, segment: &Segment, state: &mut FlowState, config: &Config) -> Decision {
    if is_interim(packet, segment) {
        return Decision::skip(Counter::Response);
    }
    let is_answer = is_response(packet, segment);
    if segment.ack != state.next || !is_answer {
        let decision = state.refute();
        state.answered = u8::from(is_answer);
        state.answer_ack = segment.ack;
        return decision;
    }
    count(Counter::MidlifeConfirmed);
    state.phase = phase::FRAMED;
    state.answered = answer::UNKNOWN;
    if state.mark == 0 {
        return Decision::skip(Counter::Response);
    }
    state.mark = SAMPLED;
    // With SAMPLED its payload goes with it.
    let payload = if config.flags & EXPORT_RESPONSES != 0 { SAMPLED } else { 0 };
    Decision::export(CONFIRMED | payload, state.start)
}

/// Whether the payload begins as a response does.
#[inline(always)]
fn is_response<P: Packet>(packet: &P, segment: &Segment) -> bool {
    segment.payload_len >= 10 && packet.load(segment.payload_offset as usize) == Some(*b"HTTP/1.")
}

/// Whether the payload begins as an interim response does (RFC 9110 section 15.2): the final one is still to come.
#[inline(always)]
fn is_interim<P: Packet>(packet: &P, segment: &Segment) -> bool {
    let status: Option<[u8; 2]> = packet.load(segment.payload_offset as usize + 8);
    is_response(packet, segment) && status == Some(*b" 1")
}

/// Whether the payload begins as a final response does.
#[inline(always)]
pub(super) fn is_final<P: Packet>(packet: &P, segment: &Segment) -> bool {
    is_response(packet, segment) && !is_interim(packet, segment)
}
