//! The verdict on a segment's flow: one function for XDP and TC, over one flow map.

use shadow_common::{Config, Counter, Direction, FlowKey, PAUSED, Verdict, tcp_flags};

use crate::{
    maps::{FLOWS, FlowState, count, is_service_port},
    packet::{Packet, Segment},
};

/// The flow that a segment belongs to, and which way the segment goes; `None` if neither port is a service port.
#[inline(always)]
pub fn orient(segment: &Segment) -> Option<(FlowKey, Direction)> {
    match (is_service_port(segment.dest_port), is_service_port(segment.source_port)) {
        (false, false) => None,
        (true, false) => Some((to_service(segment), Direction::ToService)),
        (false, true) => Some((from_service(segment), Direction::FromService)),
        // Both ends use a service port. The SYN says who is the client; later segments go by the entry it made.
        (true, true) => {
            let is_to_service = if segment.flags & tcp_flags::SYN != 0 {
                segment.flags & tcp_flags::ACK == 0
            } else {
                FLOWS.get_ptr(to_service(segment)).is_some()
            };
            if is_to_service {
                Some((to_service(segment), Direction::ToService))
            } else {
                Some((from_service(segment), Direction::FromService))
            }
        }
    }
}

/// Looks up the flow's verdict, or decides it where the segment is the client's SYN.
#[inline(always)]
pub fn verdict<P: Packet>(
    packet: &P,
    segment: &Segment,
    key: &FlowKey,
    direction: Direction,
    config: &Config,
) -> Verdict {
    let known = FLOWS.get_ptr(key).map(|state| {
        // SAFETY: the pointer comes from a successful lookup; both fields are read once. An entry may be reused for
        // another flow meanwhile, which at worst samples one segment wrongly: the reassembler drops what it can't place.
        unsafe { *state }
    });
    let is_syn = segment.flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN;
    let is_new = is_syn && direction == Direction::ToService;
    let sampled = match known {
        Some(state) if !is_new || state.isn == segment.seq => state.sampled != 0,
        None if !is_new => return Verdict::Unknown,
        _ => open(key, segment.seq, config),
    };
    if sampled {
        return Verdict::Sampled;
    }
    if direction == Direction::ToService && segment.payload_len > 0 && begins_request(packet, segment) {
        count(Counter::UnsampledRequests);
    }
    Verdict::Unsampled
}

/// Decides about a new flow and remembers it.
#[inline(always)]
fn open(key: &FlowKey, isn: u32, config: &Config) -> bool {
    let sampled =
        config.flags & PAUSED == 0 && u64::from(key.sample_hash(config.seed)) < config.sample_threshold;
    let state = FlowState { isn, sampled: u32::from(sampled) };
    if FLOWS.insert(key, state, 0).is_err() {
        // Without an entry the flow's next segment is `Unknown`, so nothing of it is exported.
        return false;
    }
    count(Counter::FlowsSeen);
    if sampled {
        count(Counter::FlowsSampled);
    }
    sampled
}

/// Whether the payload begins with one of the usual method tokens. For the estimate of unsampled requests only.
#[inline(always)]
fn begins_request<P: Packet>(packet: &P, segment: &Segment) -> bool {
    let Some(word) = packet.load::<[u8; 4]>(segment.payload_offset as usize) else { return false };
    matches!(&word, b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"PATC" | b"OPTI" | b"TRAC" | b"CONN")
}

#[inline(always)]
fn to_service(segment: &Segment) -> FlowKey {
    FlowKey {
        client_addr: segment.source_addr,
        service_addr: segment.dest_addr,
        client_port: segment.source_port,
        service_port: segment.dest_port,
    }
}

#[inline(always)]
fn from_service(segment: &Segment) -> FlowKey {
    FlowKey {
        client_addr: segment.dest_addr,
        service_addr: segment.source_addr,
        client_port: segment.dest_port,
        service_port: segment.source_port,
    }
}
