//! What became of flows and segments that the ledger, which counts requests, can't tell.

use crate::{http::Protocol, tcp::Placement};

/// Counters since the start; `flows_open` is a number of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FlowStats {
    /// Requests that began in runs whose end the kernel can't tell, in the sample or not.
    pub requests_framed: u64,
    /// Those of them that are not in the sample.
    pub requests_passed: u64,
    /// Flows in the table now.
    pub flows_open: u64,
    /// Flows taken into the table.
    pub flows_total: u64,
    /// Flows not followed because the table was full; one that goes on counts again with each of its runs.
    pub flows_refused: u64,
    /// Flows forgotten because they were idle.
    pub flows_evicted: u64,
    /// Flows whose addresses and ports were used again before their end was seen.
    pub flows_reused: u64,
    /// Open runs with missing or contradicting bytes between requests: what they had from there on isn't known.
    pub flows_lost: u64,
    /// Flows that became a tunnel, or may have: CONNECT and Upgrade.
    pub tunnels: u64,
    /// Flows that speak HTTP/2 with prior knowledge.
    pub http2: u64,
    /// Flows that speak TLS.
    pub tls: u64,
    /// Flows that speak something else.
    pub other_protocol: u64,
    /// Segments with payload of flows that aren't in the table, and that begin no run.
    pub unknown_segments: u64,
    /// Segments ahead of a hole.
    pub reordered_segments: u64,
    /// Segments without a new byte.
    pub repeated_segments: u64,
    /// Segments too far from the expected sequence number to belong to their flow.
    pub out_of_window_segments: u64,
    /// Overlapping segments that differ.
    pub overlaps_differing: u64,
    /// Holes that were not filled in time.
    pub holes_timed_out: u64,
    /// Request-side payload bytes that were not looked at, because their flow isn't followed any more (after its last
    /// request, a failure, or in another protocol), or their run isn't.
    pub ignored_bytes: u64,
}

impl FlowStats {
    pub(super) fn count_protocol(&mut self, protocol: Protocol) {
        match protocol {
            Protocol::Http2 => self.http2 += 1,
            Protocol::Tls => self.tls += 1,
            Protocol::Other => self.other_protocol += 1,
        }
    }

    pub(super) fn count_placement(&mut self, placement: Placement) {
        match placement {
            Placement::InOrder | Placement::AfterEnd => {}
            Placement::Ahead => self.reordered_segments += 1,
            Placement::Repeated => self.repeated_segments += 1,
            Placement::OutOfWindow => self.out_of_window_segments += 1,
        }
    }
}
