//! A connection's first bytes: what it speaks.

use shadow_common::{
    Counter,
    marks::{OPEN, SAMPLED},
};

use crate::{
    counters::count,
    decision::Decision,
    flow::{FlowState, phase},
    packet::{Packet, Segment},
};

/// What the connection's first bytes are, if they are no HTTP/1.
#[inline(always)]
pub(super) fn classify<P: Packet>(packet: &P, segment: &Segment, state: &mut FlowState) -> Option<Decision> {
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
        return Some(state.current());
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
