//! Everything that `/metrics` shows, at one moment.

use std::time::Duration;

use crate::{
    admin::status::BreakerState, capture::KernelCounters, ledger::Snapshot, pipeline::FlowStats,
    shadow::mirror::latency::Buckets,
};

/// All counts, gauges and histograms of an agent.
#[derive(Clone, Debug, Default)]
pub struct MetricsSample {
    /// Requests on the service ports, in the sample or not.
    pub seen: u64,
    /// What became of those that were drawn.
    pub requests: Snapshot,
    /// The kernel's counters; none: the requests come from elsewhere.
    pub kernel: Option<KernelCounters>,
    /// What the kernel programs cost, if that is known.
    pub programs: Vec<ProgramSample>,
    /// The ring between kernel and agent, if there is one.
    pub ring: Option<Fill>,
    /// What became of the flows.
    pub flows: FlowStats,
    /// Memory for all captured requests together.
    pub memory: Fill,
    /// The upstreams.
    pub upstreams: Vec<UpstreamSample>,
    /// From a real request's last byte to the first byte of its answer; none: not measured.
    pub real_latency: Option<Buckets>,
    /// Times that the configuration was read again and ran.
    pub reloads_ok: u64,
    /// Times that it was invalid and the old one stayed.
    pub reloads_failed: u64,
    /// No new request is taken.
    pub paused: bool,
}

/// How full something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Bytes used.
    pub used: u64,
    /// Bytes that it can hold.
    pub limit: u64,
}

/// A kernel program, by the kernel's own account, which it keeps while `kernel.bpf_stats_enabled` is 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramSample {
    /// Its name.
    pub program: String,
    /// Times that it ran.
    pub runs: u64,
    /// How long it ran, all runs together.
    pub time: Duration,
}

/// An upstream.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSample {
    /// Its name.
    pub name: String,
    /// Whether copies are sent to it.
    pub breaker: BreakerState,
    /// Copies that wait for a place.
    pub queued: u64,
    /// Bytes of heads and bodies that wait for a place.
    pub queued_bytes: u64,
    /// Connections opened since the start.
    pub connections_opened: u64,
    /// From the start of sending a copy to the last byte of its answer.
    pub latency: Buckets,
}
