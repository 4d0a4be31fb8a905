//! Follows the framing of every flow of a service port, and draws where a request begins. One function for XDP and TC, over
//! one flow map.
//!
//! It may see a segment twice, once in XDP and once in TC, or because it was sent again: a segment whose place is known
//! changes nothing the second time.

use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use shadow_common::{
    Config, Counter, Direction, FlowKey, Resync, SampleBy,
    marks::{CONFIRMED, OPEN, REFUTED, SAMPLED, UNCONFIRMED},
    tcp_flags::{ACK, FIN, RST, SYN, URG},
};

use crate::{
    decision::Decision,
    flow::{FlowState, flags, phase, state},
    head,
    maps::{FLOWS, RESYNC, count, is_active_port},
    packet::{Packet, Segment},
};

/// Decides about a segment, and moves its flow on.
#[inline(always)]
pub fn decide<P: Packet>(
    packet: &P,
    segment: &Segment,
    key: &FlowKey,
    direction: Direction,
    config: &Config,
) -> Decision {
    let is_control = segment.flags & (SYN | FIN | RST) != 0;
    if segment.payload_len == 0 && !is_control {
        return Decision::skip(Counter::Empty);
    }
    let is_request = matches!(direction, Direction::ToService);
    let is_syn = is_request && segment.flags & (SYN | ACK) == SYN;
    let is_new = is_syn && opened(segment, key);
    let Some(state) = state(key) else { return unknown(packet, segment, key, is_request) };
    // The service's FIN is half a close, and a repeated SYN is no news.
    let is_news =
        if is_request { is_new || segment.flags & (FIN | RST) != 0 } else { segment.flags & RST != 0 };
    let tells = is_news && state.flags & flags::TOLD != 0;
    let decision = if is_request {
        from_client(packet, segment, key, state, config)
    } else {
        from_service(packet, segment, state, config)
    };
    if is_control {
        finish(segment, key, state, is_request);
        // Of a flow that it knows the agent hears how it goes on.
        if tells && decision.skipped().is_some() {
            return Decision::export(0, 0);
        }
    }
    decision
}

/// A connection begins, unless its SYN is sent again; says which.
#[inline(always)]
fn opened(segment: &Segment, key: &FlowKey) -> bool {
    let told = match state(key) {
        Some(state) if state.isn == segment.seq && state.phase != phase::FOREIGN => return false,
        Some(state) => state.flags & flags::TOLD,
        None => 0,
    };
    count(Counter::FlowsSeen);
    // Without an entry the flow is as one that is met in mid-life.
    let _ = FLOWS.insert(key, FlowState::opened(segment.seq, told), 0);
    true
}

/// A segment of a flow that nothing is known of. An answer's payload is where a request start may be found next.
#[inline(always)]
fn unknown<P: Packet>(packet: &P, segment: &Segment, key: &FlowKey, is_request: bool) -> Decision {
    let ends = segment.flags & (SYN | FIN | RST) != 0;
    if !is_request && !ends && !is_interim(packet, segment) {
        let mut met = FlowState::met(phase::FOREIGN, 0);
        met.answered = 1;
        met.answer_ack = segment.ack;
        let _ = FLOWS.insert(key, met, 0);
    }
    Decision::skip(Counter::UnknownFlow)
}

/// What an evicted entry costs an active flow, a finished one shouldn't.
#[inline(always)]
fn finish(segment: &Segment, key: &FlowKey, state: &mut FlowState, is_request: bool) {
    let both = flags::FIN_FROM_CLIENT | flags::FIN_FROM_SERVICE;
    if segment.flags & FIN != 0 {
        state.flags |= if is_request { flags::FIN_FROM_CLIENT } else { flags::FIN_FROM_SERVICE };
        if state.flags & both == both {
            let _ = FLOWS.remove(key);
        }
    }
}

/// Where the first payload byte of a client's segment lies in its flow.
enum Place {
    /// Exactly where a request begins.
    Start,
    /// Within the current run.
    Current,
    /// Behind the current run, after bytes that weren't seen; or it begins in it and reaches over its end.
    Beyond,
    /// Known to be not worth a look.
    Skip(Counter),
}

#[inline(always)]
fn from_client<P: Packet>(
    packet: &P,
    segment: &Segment,
    key: &FlowKey,
    state: &mut FlowState,
    config: &Config,
) -> Decision {
    let at = segment.seq.wrapping_add((segment.flags & SYN != 0) as u32);
    if segment.payload_len == 0 {
        // FIN or RST behind the bytes of a run belong to it.
        let is_run = (state.phase == phase::FRAMED || state.phase == phase::OPEN) && state.mark != 0;
        let ends_it = segment.flags & SYN == 0 && is_run;
        return if ends_it { current(state) } else { Decision::skip(Counter::Control) };
    }
    let end = at.wrapping_add(segment.payload_len);
    let place = match state.phase {
        phase::FRAMED | phase::CANDIDATE => in_framed(state, at, end),
        phase::OPEN => in_open(state, key, at, end),
        phase::FOREIGN if state.answered != 0 && at == state.answer_ack => Place::Start,
        phase::FOREIGN => Place::Skip(Counter::UnknownFlow),
        phase::OWN => Place::Skip(Counter::Own),
        phase::TLS => Place::Skip(Counter::Tls),
        phase::OTHER_PROTOCOL => Place::Skip(Counter::OtherProtocol),
        _ => Place::Skip(Counter::LeftAlone),
    };
    let decision = match place {
        Place::Start => begin(packet, segment, key, state, config, at),
        Place::Current => current(state),
        Place::Beyond => beyond(key, state, config, end),
        Place::Skip(reason) => return Decision::skip(reason),
    };
    // Which byte an urgent pointer takes out of the stream is the receiver's choice (RFC 6093): no start is certain after it.
    if segment.flags & URG != 0 {
        state.flags |= flags::LAST;
        if state.phase == phase::OPEN {
            state.phase = phase::LEFT_ALONE;
        }
    }
    decision
}

#[inline(always)]
fn in_framed(state: &FlowState, at: u32, end: u32) -> Place {
    let ahead = at.wrapping_sub(state.next) as i32;
    let is_last = state.flags & flags::LAST != 0;
    if ahead >= 0 && is_last {
        Place::Skip(Counter::AfterLast)
    } else if ahead == 0 && state.phase == phase::FRAMED {
        Place::Start
    } else if ahead >= 0 {
        Place::Beyond
    } else if end.wrapping_sub(state.start) as i32 <= 0 {
        Place::Skip(Counter::Repeated)
    } else if end.wrapping_sub(state.next) as i32 <= 0 || is_last {
        Place::Current
    } else {
        Place::Beyond
    }
}

#[inline(always)]
fn in_open(state: &mut FlowState, key: &FlowKey, at: u32, end: u32) -> Place {
    // SAFETY: the agent may write the note meanwhile; half of one names no run, or a place that isn't there.
    if let Some(note) = unsafe { RESYNC.get(key) }
        && note.run == state.start
    {
        match note.what {
            // Only if nothing behind that place was exported: the agent would have drawn for it already.
            Resync::RESUME if note.next == at && state.next == at => {
                count(Counter::RunsResumed);
                state.phase = phase::FRAMED;
                return Place::Start;
            }
            Resync::RESUME => {}
            Resync::LEAVE => {
                state.phase = phase::LEFT_ALONE;
                return Place::Skip(Counter::LeftAlone);
            }
            _ => {
                lose(state);
                return Place::Skip(Counter::UnknownFlow);
            }
        }
    }
    if end.wrapping_sub(state.start) as i32 <= 0 {
        return Place::Skip(Counter::Repeated);
    }
    if end.wrapping_sub(state.next) as i32 > 0 {
        state.next = end;
    }
    Place::Current
}

/// No request start is known any more.
#[inline(always)]
pub fn lose(state: &mut FlowState) {
    state.phase = phase::FOREIGN;
    state.mark = 0;
    state.answered = 0;
}

/// A segment of the current run.
#[inline(always)]
fn current(state: &FlowState) -> Decision {
    if state.mark == 0 {
        Decision::skip(Counter::Unsampled)
    } else {
        Decision::export(state.mark, state.start)
    }
}

/// A request begins at the segment's first byte.
#[inline(always)]
fn begin<P: Packet>(
    packet: &P,
    segment: &Segment,
    key: &FlowKey,
    state: &mut FlowState,
    config: &Config,
    at: u32,
) -> Decision {
    let is_midlife = state.phase == phase::FOREIGN;
    state.answered = 0;
    if state.is_fresh()
        && let Some(decision) = classify(packet, segment, state)
    {
        return decision;
    }
    let framing = head::read(packet, segment);
    let (sampled, threshold) = draw(key, config);
    state.flags &= !(flags::LAST | flags::ABANDONED | flags::STARTED);
    match framing {
        // One request, and perhaps not all of it yet.
        Some(framing) if framing.len >= segment.payload_len => {
            count(Counter::RequestsFramed);
            if framing.is_last {
                state.flags |= flags::LAST;
            }
            state.start = at;
            state.next = at.wrapping_add(framing.len);
            state.mark = if sampled { SAMPLED } else { 0 };
            state.phase = phase::FRAMED;
            if is_midlife {
                count(Counter::MidlifeTaken);
                state.phase = phase::CANDIDATE;
                state.mark = if sampled { SAMPLED | UNCONFIRMED } else { 0 };
            }
            current(state)
        }
        _ if is_midlife => Decision::skip(Counter::UnknownFlow),
        _ => open(state, config, at, at.wrapping_add(segment.payload_len), sampled, threshold),
    }
}

/// A segment that the kernel can't place, but that begins in or behind the current run.
#[inline(always)]
fn beyond(key: &FlowKey, state: &mut FlowState, config: &Config, end: u32) -> Decision {
    if state.phase == phase::CANDIDATE {
        return refute(state);
    }
    if state.mark & SAMPLED != 0 && state.flags & flags::ABANDONED == 0 {
        let start = state.start;
        return open(state, config, start, end, true, 1);
    }
    let (sampled, threshold) = draw(key, config);
    let next = state.next;
    open(state, config, next, end, sampled, threshold)
}

/// The agent frames what begins at `start`, unless nothing of it can be in the sample.
#[inline(always)]
fn open(
    state: &mut FlowState,
    config: &Config,
    start: u32,
    end: u32,
    sampled: bool,
    threshold: u64,
) -> Decision {
    let by_request = config.sample_by == SampleBy::Request as u32;
    if !sampled && (threshold == 0 || !by_request) {
        lose(state);
        return Decision::skip(Counter::Unsampled);
    }
    count(Counter::RunsOpened);
    state.flags &= !(flags::LAST | flags::ABANDONED | flags::STARTED);
    state.phase = phase::OPEN;
    state.start = start;
    state.next = end;
    state.mark = if sampled { SAMPLED | OPEN } else { OPEN };
    current(state)
}

/// Whether the next request of the flow is in the sample, and the threshold that decided.
#[inline(always)]
fn draw(key: &FlowKey, config: &Config) -> (bool, u64) {
    let threshold = if is_active_port(key.service_port) { config.threshold() } else { 0 };
    // SAFETY: takes nothing.
    let random = unsafe { bpf_get_prandom_u32() };
    let drawn = SampleBy::draw(config.sample_by, key, config.seed, random);
    (u64::from(drawn) < threshold, threshold)
}

/// What the connection's first bytes are, if they are no HTTP/1.
#[inline(always)]
fn classify<P: Packet>(packet: &P, segment: &Segment, state: &mut FlowState) -> Option<Decision> {
    let first: [u8; 2] = packet.load(segment.payload_offset as usize)?;
    // A one-byte segment ends before the second is read.
    if first[0] == 0x16 && segment.payload_len > 1 && first[1] == 3 {
        count(Counter::FlowsTls);
        state.phase = phase::TLS;
        return Some(Decision::skip(Counter::Tls));
    }
    let preface =
        segment.payload_len >= 8 && packet.load(segment.payload_offset as usize) == Some(*b"PRI * HT");
    if preface {
        count(Counter::FlowsHttp2);
        count(Counter::RunsOpened);
        // Whole: header compression needs every byte. The agent samples its streams.
        state.phase = phase::OPEN;
        state.next = state.start.wrapping_add(segment.payload_len);
        state.mark = SAMPLED | OPEN;
        return Some(current(state));
    }
    let may_begin_request =
        first[0].is_ascii_graphic() || first[0] == b'\r' || (first[0] == 0x16 && segment.payload_len == 1);
    if !may_begin_request {
        count(Counter::FlowsOther);
        state.phase = phase::OTHER_PROTOCOL;
        return Some(Decision::skip(Counter::OtherProtocol));
    }
    None
}

#[inline(always)]
fn from_service<P: Packet>(
    packet: &P,
    segment: &Segment,
    state: &mut FlowState,
    config: &Config,
) -> Decision {
    if segment.payload_len == 0 {
        return Decision::skip(if state.phase == phase::OWN { Counter::Own } else { Counter::Control });
    }
    match state.phase {
        phase::FRAMED | phase::OPEN => {
            if state.mark != 0 && config.flags & shadow_common::EXPORT_RESPONSES != 0 {
                return current(state);
            }
            Decision::skip(Counter::Response)
        }
        phase::FOREIGN => {
            if !is_interim(packet, segment) {
                state.answered = 1;
                state.answer_ack = segment.ack;
            }
            Decision::skip(Counter::UnknownFlow)
        }
        phase::CANDIDATE => answered(packet, segment, state),
        phase::OWN => Decision::skip(Counter::Own),
        phase::TLS => Decision::skip(Counter::Tls),
        phase::OTHER_PROTOCOL => Decision::skip(Counter::OtherProtocol),
        _ => Decision::skip(Counter::LeftAlone),
    }
}

/// The service sends payload while a request start that was taken in mid-life waits for its confirmation: that is the
/// beginning of a final answer which acknowledges exactly the request. Otherwise the start may have been body bytes.
#[inline(always)]
fn answered<P: Packet>(packet: &P, segment: &Segment, state: &mut FlowState) -> Decision {
    if is_interim(packet, segment) {
        return Decision::skip(Counter::Response);
    }
    if segment.ack != state.next || !is_response(packet, segment) {
        let decision = refute(state);
        state.answered = 1;
        state.answer_ack = segment.ack;
        return decision;
    }
    count(Counter::MidlifeConfirmed);
    state.phase = phase::FRAMED;
    if state.mark == 0 {
        return Decision::skip(Counter::Response);
    }
    state.mark = SAMPLED;
    Decision::export(CONFIRMED, state.start)
}

/// A start that was taken in mid-life was none, or can't be told to have been one.
#[inline(always)]
fn refute(state: &mut FlowState) -> Decision {
    let was_exported = state.mark != 0;
    lose(state);
    if was_exported { Decision::export(REFUTED, state.start) } else { Decision::skip(Counter::UnknownFlow) }
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
