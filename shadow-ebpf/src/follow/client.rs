//! Segments to the service: where they lie in their flow, and where requests begin.

use aya_ebpf::{helpers::generated::bpf_get_prandom_u32, macros::map, maps::LruHashMap};
use shadow_common::{
    Config, Counter, FlowKey, ONLY_NEW, Resync, SampleBy,
    marks::{OPEN, SAMPLED, UNCONFIRMED},
    tcp_flags::{SYN, URG},
};

use super::first;
use crate::{
    config::is_active_port,
    counters::count,
    decision::Decision,
    flow::{FlowState, answer, flags, phase},
    head,
    packet::{Packet, Segment},
};

/// What the agent says of open runs.
#[map]
static RESYNC: LruHashMap<FlowKey, Resync> = LruHashMap::with_max_entries(65_536, 0);

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
pub(super) fn segment<P: Packet>(
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
        return if ends_it { state.current() } else { Decision::skip(Counter::Control) };
    }
    let end = at.wrapping_add(segment.payload_len);
    let place = match state.phase {
        phase::FRAMED | phase::CANDIDATE => in_framed(state, at, end),
        phase::OPEN => in_open(state, key, at, end),
        phase::FOREIGN if is_behind_answer(state, config, at) => Place::Start,
        phase::FOREIGN => Place::Skip(Counter::UnknownFlow),
        phase::OWN => Place::Skip(Counter::Own),
        phase::TLS => Place::Skip(Counter::Tls),
        phase::OTHER_PROTOCOL => Place::Skip(Counter::OtherProtocol),
        _ => Place::Skip(Counter::LeftAlone),
    };
    let decision = match place {
        Place::Start => begin(packet, segment, key, state, config, at),
        Place::Current => state.current(),
        Place::Beyond => beyond(key, state, config, end),
        Place::Skip(reason) => return Decision::skip(reason),
    };
    // Which byte an urgent pointer takes out of the stream is the receiver's choice (RFC 6093): no start is certain
    // after it.
    if segment.flags & URG != 0 {
        state.flags |= flags::LAST;
        if state.phase == phase::OPEN {
            state.phase = phase::LEFT_ALONE;
        }
    }
    decision
}

/// Whether a request may begin here of a flow without a known start.
#[inline(always)]
fn is_behind_answer(state: &FlowState, config: &Config, at: u32) -> bool {
    config.flags & ONLY_NEW == 0 && state.answered != 0 && at == state.answer_ack
}

#[inline(always)]
fn in_framed(state: &FlowState, at: u32, end: u32) -> Place {
    let ahead = at.wrapping_sub(state.next) as i32;
    // Bytes behind a candidate refute it, also if it says that it is the last.
    let is_last = state.flags & flags::LAST != 0 && state.phase == phase::FRAMED;
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
                state.lose();
                return Place::Skip(Counter::UnknownFlow);
            }
        }
    }
    if end.wrapping_sub(state.start) as i32 <= 0 {
        return Place::Skip(Counter::Repeated);
    }
    if end.wrapping_sub(state.next) as i32 > 0 {
        state.next = end;
        // It may be another request.
        if state.answered != answer::PIPELINED {
            state.answered = answer::AWAITED;
        }
    }
    Place::Current
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
    state.await_answer(segment.ack);
    if state.is_fresh()
        && let Some(decision) = first::classify(packet, segment, state)
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
            state.current()
        }
        _ if is_midlife => Decision::skip(Counter::UnknownFlow),
        _ => open(state, config, at, at.wrapping_add(segment.payload_len), sampled, threshold),
    }
}

/// A segment that the kernel can't place, but that begins in or behind the current run.
#[inline(always)]
fn beyond(key: &FlowKey, state: &mut FlowState, config: &Config, end: u32) -> Decision {
    if state.phase == phase::CANDIDATE {
        return state.refute();
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
        state.lose();
        return Decision::skip(Counter::Unsampled);
    }
    count(Counter::RunsOpened);
    state.flags &= !(flags::LAST | flags::ABANDONED);
    // A run that goes on has begun.
    if state.start != start {
        state.flags &= !flags::STARTED;
    }
    state.phase = phase::OPEN;
    state.start = start;
    state.next = end;
    state.mark = if sampled { SAMPLED | OPEN } else { OPEN };
    state.current()
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
