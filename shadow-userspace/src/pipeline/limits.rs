//! What the pipeline may hold, and for how long (invariant 4).

use std::time::Duration;

use crate::{http::DecoderLimits, tcp::ReassemblyLimits};

/// What the pipeline may hold, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineLimits {
    /// Flows followed at once.
    pub max_flows: usize,
    /// A flow without a segment for so long is forgotten. Longer than the idle timeouts of common servers and pools,
    /// because what was known of a connection is lost with it.
    pub idle_timeout: Duration,
    /// A hole is waited for so long. What the network lost is sent again after about a round trip, or after the
    /// retransmission timeout: at first up to 1 s, then twice that (RFC 6298). What the capture lost never comes.
    pub hole_timeout: Duration,
    /// Per direction of a flow.
    pub reassembly: ReassemblyLimits,
    /// Per request.
    pub decoder: DecoderLimits,
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self {
            max_flows: 65_536,
            idle_timeout: Duration::from_secs(600),
            hole_timeout: Duration::from_secs(3),
            reassembly: ReassemblyLimits::default(),
            decoder: DecoderLimits::default(),
        }
    }
}
