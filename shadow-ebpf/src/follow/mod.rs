//! Follows the framing of every flow of a service port, and draws where a request begins. One function for XDP and TC,
//! over one flow map.
//!
//! It may see a segment twice, once in XDP and once in TC, or because it was sent again: a segment whose place is known
//! changes nothing the second time.

mod client;
mod first;
mod service;

use shadow_common::{
    Config, Counter, Direction, FlowKey, ONLY_NEW,
    tcp_flags::{ACK, FIN, RST, SYN},
};

use crate::{
    config::is_service_port,
    counters::count,
    decision::Decision,
    flow::{FLOWS, FlowState, flags, phase, state},
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
    let Some(state) = state(key) else { return unknown(packet, segment, key, is_request, config) };
    // The service's FIN is half a close, and a repeated SYN is no news.
    let is_news =
        if is_request { is_new || segment.flags & (FIN | RST) != 0 } else { segment.flags & RST != 0 };
    let tells = is_news && state.flags & flags::TOLD != 0;
    let decision = if is_request {
        client::segment(packet, segment, key, state, config)
    } else {
        service::segment(packet, segment, state, config)
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

/// A connection may begin, unless its SYN is sent again; says which.
#[inline(always)]
fn opened(segment: &Segment, key: &FlowKey) -> bool {
    let told = match state(key) {
        Some(state) if state.isn == segment.seq && is_known(state) => return false,
        Some(state) => state.flags & flags::TOLD,
        None => 0,
    };
    count(Counter::FlowsSeen);
    // Without an entry the flow is as one that is met in mid-life.
    let _ = FLOWS.insert(key, FlowState::connecting(segment.seq, told), 0);
    true
}

/// Whether the connection's first sequence number is known.
#[inline(always)]
fn is_known(state: &FlowState) -> bool {
    state.phase != phase::FOREIGN || state.flags & flags::CONNECTING != 0
}

/// A segment of a flow that nothing is known of. Behind an answer a request start may be found next.
#[inline(always)]
fn unknown<P: Packet>(
    packet: &P,
    segment: &Segment,
    key: &FlowKey,
    is_request: bool,
    config: &Config,
) -> Decision {
    if config.flags & ONLY_NEW != 0 {
        return Decision::skip(Counter::UnknownFlow);
    }
    let ends = segment.flags & (SYN | FIN | RST) != 0;
    // Where both ends use a service port only a SYN says who is the client, and what is an answer.
    let is_sure = !is_service_port(key.client_port);
    if !is_request && !ends && is_sure && service::is_final(packet, segment) {
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
