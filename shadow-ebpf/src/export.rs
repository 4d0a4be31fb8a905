//! TC `export`: copies the segments of sampled requests into the ring.
//!
//! The ledger's kernel half (invariant 2): every segment of a service port is counted once as `Matched` and once more
//! as exported or as skipped with its reason.

use aya_ebpf::{helpers::generated::bpf_ktime_get_ns, programs::TcContext};
use aya_log_ebpf::warn;
use shadow_common::{
    Config, Counter, Direction, FlowKey, RecordHeader, WAKE,
    marks::{ANSWERED, LOST, OPEN, SAMPLED},
    tcp_flags,
};

use crate::{
    config::config,
    counters::{add, add_numbered, count},
    decision::Decision,
    flow::{self, FLOWS, FlowState, flags, phase},
    follow,
    packet::{self, Segment},
    record,
    tag::Tag,
};

/// Looks at one packet and exports it if its request is in the sample.
#[inline(always)]
pub fn export(ctx: &TcContext) {
    count(side(ctx));
    let config = config();
    let tagged = tag_of(ctx, &config);
    if let Some(decision) = tagged {
        count(Counter::TagUsed);
        // The tags that end it here spare TC the parsing.
        if decision.is_other() {
            return count(Counter::OtherPort);
        }
        if let Some(reason) = decision.skipped() {
            return skip(reason);
        }
    }
    let segment = match packet::parse(ctx) {
        Ok(segment) => segment,
        Err(reason) => return count(reason),
    };
    let Some(segment) = segment.put_down() else { return };
    let Some((key, direction)) = flow::orient(segment) else { return count(Counter::OtherPort) };
    if config.own_mark != 0 && mark(ctx) == config.own_mark {
        own(segment, &key);
        return skip(Counter::Own as u32);
    }
    let decision = match tagged {
        Some(decision) => decision,
        None => follow::decide(ctx, segment, &key, direction, &config),
    };
    let Some(decision) = decision.put_down() else { return };
    match decision.skipped() {
        Some(reason) => skip(reason),
        None => chosen(ctx, segment, &key, direction, &config, decision),
    }
}

/// Remembers a flow as the agent's own: what comes back on it, and what another hook sees of it, carries no mark.
#[inline(always)]
fn own(segment: &Segment, key: &FlowKey) {
    let is_known = flow::state(key).is_some_and(|state| state.phase == phase::OWN);
    if !is_known {
        let _ = FLOWS.insert(key, FlowState::met(phase::OWN, segment.seq), 0);
    }
}

/// Exports a segment that was chosen.
#[inline(always)]
fn chosen(
    ctx: &TcContext,
    segment: &Segment,
    key: &FlowKey,
    direction: Direction,
    config: &Config,
    decision: Decision,
) {
    let state = flow::state(key);
    let flow_flags = state.as_ref().map_or(0, |state| state.flags);
    let is_current = state.as_ref().is_some_and(|state| state.start == decision.request_seq);
    if flow_flags & flags::ABANDONED != 0 && is_current {
        return skip(Counter::RingFull as u32);
    }
    count(Counter::Matched);
    let is_answer = decision.mark() & ANSWERED != 0;
    let has_payload = decision.mark() & (SAMPLED | OPEN) != 0;
    let lost = if flow_flags & flags::LOST != 0 { LOST } else { 0 };
    let header = RecordHeader {
        // SAFETY: takes nothing, reads a clock.
        timestamp_ns: unsafe { bpf_ktime_get_ns() },
        flow: *key,
        seq: segment.seq,
        ack: segment.ack,
        payload_len: if has_payload { segment.payload_len } else { 0 },
        captured_len: 0,
        // With half a close an answer is no news of the connection's end.
        flags: if is_answer { segment.flags & !tcp_flags::FIN } else { segment.flags },
        direction: direction as u8,
        mark: decision.mark() | lost,
        reserved: 0,
        request_seq: decision.request_seq,
        reserved2: 0,
    };
    let result = record::write(ctx, header, segment, config.flags & WAKE != 0);
    if let Some(state) = state {
        note(state, &header, result, is_current);
    }
    if is_answer && matches!(result, Counter::Exported) {
        return count(Counter::Answered);
    }
    if add(result, 1) == 0 && matches!(result, Counter::RingFull) {
        warn!(ctx, "the ring is full: the agent is behind, or --ring-size is too small");
    }
}

/// What the flow remembers of an export.
#[inline(always)]
fn note(state: &mut FlowState, header: &RecordHeader, result: Counter, is_current: bool) {
    let is_of_run = header.mark & (SAMPLED | OPEN) != 0;
    if matches!(result, Counter::Exported) {
        state.flags &= !flags::LOST;
        if is_of_run && is_current {
            state.flags |= flags::STARTED;
        }
        // News of a connection's end, or of the next on its ports: with that the agent forgets the flow.
        let forgets = !is_of_run && header.flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST) != 0;
        if forgets {
            state.flags &= !flags::TOLD;
        } else {
            state.flags |= flags::TOLD;
        }
        return;
    }
    // Nothing of the request is missing without it.
    if header.mark & ANSWERED != 0 {
        return;
    }
    let is_known = is_current && state.flags & flags::STARTED != 0;
    // The run may begin within the segment, behind the end of another request.
    let is_start = header.direction == Direction::ToService as u8
        && header.request_seq.wrapping_sub(header.seq) < header.payload_len;
    if header.mark & SAMPLED != 0 && is_start && !is_known && matches!(result, Counter::RingFull) {
        count(Counter::RequestsLost);
        if header.mark & OPEN != 0 {
            count(Counter::UnframedLost);
        }
    }
    state.flags |= flags::LOST;
    if is_current {
        // Without this part the request is worth nothing; of an open run the next start isn't known either.
        state.flags |= flags::ABANDONED;
        if state.phase == phase::OPEN || state.phase == phase::CANDIDATE {
            state.lose();
        }
    }
}

/// The decision that XDP left in front of the packet, if it did.
#[inline(always)]
fn tag_of(ctx: &TcContext, config: &Config) -> Option<Decision> {
    // SAFETY: reads two fields of the context that the verifier turns into packet pointers.
    let (start, end) = unsafe { ((*ctx.skb.skb).data_meta as usize, (*ctx.skb.skb).data as usize) };
    if start + size_of::<Tag>() > end {
        return None;
    }
    // SAFETY: the metadata area holds a Tag, checked just above; it is 4-byte aligned by the kernel.
    let tag = unsafe { *(start as *const Tag) };
    tag.decision(config)
}

/// Which way the packet goes: what was received remembers by which device, also when it is forwarded.
#[inline(always)]
fn side(ctx: &TcContext) -> Counter {
    // SAFETY: plain fields of the context.
    let (came_by, at) = unsafe { ((*ctx.skb.skb).ingress_ifindex, (*ctx.skb.skb).ifindex) };
    if came_by == at { Counter::IngressSeen } else { Counter::EgressSeen }
}

#[inline(always)]
fn mark(ctx: &TcContext) -> u32 {
    // SAFETY: a plain field of the context.
    unsafe { (*ctx.skb.skb).mark }
}

/// A segment of a service port that isn't exported.
#[inline(always)]
fn skip(reason: u32) {
    count(Counter::Matched);
    add_numbered(reason, 1);
}
