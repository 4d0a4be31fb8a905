//! A flow: which one a segment belongs to, and what is remembered of it.

use aya_ebpf::{macros::map, maps::LruHashMap};
use shadow_common::{Counter, Direction, FlowKey, marks, tcp_flags};

use crate::{config::is_service_port, decision::Decision, packet::Segment};

/// Flows by key. Least recently used ones make room, so a flood of SYNs costs samples, not memory.
#[map]
pub static FLOWS: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(65_536, 0);

/// What is remembered of a flow. The two directions may be on two CPUs, so each changes as little as it can: in the steady
/// state segments from the service write nothing. What one loses of the other costs samples, not truth: the agent drops
/// what it can't place.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FlowState {
    /// The client's initial sequence number: tells a retransmitted SYN from a new connection on the same ports.
    pub isn: u32,
    /// Where the current run begins.
    pub start: u32,
    /// Framed: where the next request begins. Open: one past the last byte that was exported.
    pub next: u32,
    /// Without a known start: what the last answer acknowledged. In a run: where the answer begins that was reported.
    pub answer_ack: u32,
    /// What the client acknowledged where the last request began.
    pub request_ack: u32,
    /// One of [`phase`].
    pub phase: u8,
    /// The current run's [`shadow_common::marks`]; 0 if it isn't exported.
    pub mark: u8,
    /// Bits of [`flags`].
    pub flags: u8,
    /// Without a known start: 1 if the last answer that the service began is a final one, and no request start was looked
    /// for since. In a run: one of [`answer`].
    pub answered: u8,
}

/// How far a flow can be followed.
pub mod phase {
    /// No request start is known.
    pub const FOREIGN: u8 = 0;
    /// The current request ends at `next`, where the following one begins.
    pub const FRAMED: u8 = 1;
    /// A request start was taken in mid-life, as [`FRAMED`], and waits for its confirmation.
    pub const CANDIDATE: u8 = 2;
    /// The agent frames the run.
    pub const OPEN: u8 = 3;
    /// A flow of the agent's own.
    pub const OWN: u8 = 4;
    pub const TLS: u8 = 5;
    pub const OTHER_PROTOCOL: u8 = 6;
    /// The agent wants no more of it.
    pub const LEFT_ALONE: u8 = 7;
}

/// What is known of the answer to the last request that began.
pub mod answer {
    /// None of it was seen.
    pub const AWAITED: u8 = 0;
    /// What came can't be told to be its beginning.
    pub const UNKNOWN: u8 = 1;
    /// The agent was told when it began.
    pub const REPORTED: u8 = 2;
    /// The client pipelines: which answer is whose isn't followed.
    pub const PIPELINED: u8 = 3;
}

/// Bits of [`FlowState::flags`].
pub mod flags {
    /// The agent has heard of the flow.
    pub const TOLD: u8 = 1;
    /// A record was lost since the agent last heard of the flow.
    pub const LOST: u8 = 2;
    /// A part of the current request was lost: the rest isn't worth exporting.
    pub const ABANDONED: u8 = 4;
    /// The current request is the connection's last.
    pub const LAST: u8 = 8;
    pub const FIN_FROM_CLIENT: u8 = 16;
    pub const FIN_FROM_SERVICE: u8 = 32;
    /// A part of the current run was exported: the agent counts its first request.
    pub const STARTED: u8 = 64;
    /// The client's SYN was seen, and the service's consent is awaited. The phase is [`FOREIGN`](super::phase::FOREIGN).
    pub const CONNECTING: u8 = 128;
}

impl FlowState {
    /// A connection whose first byte comes after `isn`.
    #[inline(always)]
    const fn opened(isn: u32, flags: u8) -> Self {
        let first = isn.wrapping_add(1);
        Self {
            isn,
            start: first,
            next: first,
            answer_ack: 0,
            request_ack: 0,
            phase: phase::FRAMED,
            mark: 0,
            flags,
            answered: 0,
        }
    }

    /// A connection that the client asks for with a SYN of this number. Anybody can send one: also within a connection,
    /// from behind a packet filter, or for somebody else. The service's SYN that acknowledges it makes it a connection.
    #[inline(always)]
    pub const fn connecting(isn: u32, told: u8) -> Self {
        Self { phase: phase::FOREIGN, ..Self::opened(isn, told | flags::CONNECTING) }
    }

    /// The service accepts the connection, and has none of its bytes yet.
    #[inline(always)]
    pub fn accept(&mut self, ack: u32) {
        let first = self.isn.wrapping_add(1);
        if self.flags & flags::CONNECTING != 0 && self.phase == phase::FOREIGN && ack == first {
            self.flags &= !flags::CONNECTING;
            (self.start, self.next, self.mark, self.phase) = (first, first, 0, phase::FRAMED);
        }
    }

    /// A connection without a known request start, or the agent's own.
    #[inline(always)]
    pub const fn met(phase: u8, isn: u32) -> Self {
        Self { phase, isn, ..Self::opened(0, 0) }
    }

    /// No request start is known any more.
    #[inline(always)]
    pub fn lose(&mut self) {
        self.phase = phase::FOREIGN;
        self.mark = 0;
        self.answered = 0;
    }

    /// What is decided about a segment of the current run.
    #[inline(always)]
    pub fn current(&self) -> Decision {
        if self.mark == 0 {
            Decision::skip(Counter::Unsampled)
        } else {
            Decision::export(self.mark, self.start)
        }
    }

    /// A start that was taken in mid-life was none, or can't be told to have been one.
    #[inline(always)]
    pub fn refute(&mut self) -> Decision {
        let was_exported = self.mark != 0;
        self.lose();
        if was_exported {
            Decision::export(marks::REFUTED, self.start)
        } else {
            Decision::skip(Counter::UnknownFlow)
        }
    }

    /// A request begins with a segment that acknowledges `ack`. If that is no more than where the last one began, then
    /// the client didn't wait for that one's answer.
    #[inline(always)]
    pub fn await_answer(&mut self, ack: u32) {
        let is_behind_request = self.phase == phase::FRAMED && self.request_ack == ack;
        let pipelines = is_behind_request || self.answered == answer::PIPELINED;
        self.answered = if pipelines { answer::PIPELINED } else { answer::AWAITED };
        self.request_ack = ack;
    }

    /// Nothing of its first request was seen yet.
    #[inline(always)]
    pub const fn is_fresh(&self) -> bool {
        self.phase == phase::FRAMED && self.next == self.isn.wrapping_add(1)
    }
}

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

/// The flow's state.
#[inline(always)]
pub fn state(key: &FlowKey) -> Option<&'static mut FlowState> {
    // SAFETY: the pointer comes from a successful lookup. The entry may be changed by another CPU, field by field, or be
    // used again for another flow meanwhile: at worst a segment is sampled wrongly, and the agent drops what it can't
    // place.
    FLOWS.get_ptr_mut(key).map(|state| unsafe { &mut *state })
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
