//! What an agent says of itself in `/api/status` and `/api/routes`. The keys are an interface: `ctl` and scripts read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::{Outcomes, Snapshot};

/// How an agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since it began.
    pub uptime_seconds: f64,
    /// What is attached where, or what is replayed.
    pub attachment: String,
    /// No new request is taken.
    pub paused: bool,
    /// What the kernel samples now; none: the requests come from elsewhere.
    pub sampling: Option<SamplingStatus>,
    /// The configuration file; none: flags alone.
    pub config: Option<String>,
    /// The last time that the configuration was to be read again.
    pub last_reload: Option<ReloadStatus>,
    /// What became of requests.
    pub requests: RequestsStatus,
    /// The upstreams in the configuration's order.
    pub upstreams: Vec<UpstreamStatus>,
    /// Capabilities that the process still has, such as `CAP_NET_RAW`; none: not known.
    pub capabilities: Option<Vec<String>>,
}

/// What the kernel samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SamplingStatus {
    /// `request`, `connection` or `client-ip`.
    pub by: String,
    /// The share in percent, 0 to 100: the highest that a route needs.
    pub percent: f64,
}

/// How reading the configuration again ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReloadStatus {
    /// How long ago.
    pub seconds_ago: f64,
    /// Why the old configuration stayed; none: the new one runs.
    pub error: Option<String>,
}

/// The ledger. `drawn == routed + Σpassed + dropped before routing + undecided`, and
/// `sampled == mirrored + Σfailed + Σdropped + in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestsStatus {
    /// Requests on the service ports, in the sample or not.
    pub seen: u64,
    /// Requests that the kernel sampled.
    pub drawn: u64,
    /// Those of them that got one copy or more.
    pub routed: u64,
    /// Those that got none, by reason; reasons that didn't happen are left out.
    pub passed: BTreeMap<String, u64>,
    /// Those whose head isn't complete yet.
    pub undecided: u64,
    /// Copies, and requests that ended before they had any.
    pub sampled: u64,
    /// Answered by v2.
    pub mirrored: u64,
    /// Not answered, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Not sent, or not to the end, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Without an outcome yet.
    pub in_flight: u64,
}

/// How an upstream is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether copies are sent to it.
    pub breaker: BreakerState,
    /// Copies on their way.
    pub in_flight: u64,
    /// Copies that wait for a place.
    pub queued: u64,
    /// Connections opened since the start.
    pub connections_opened: u64,
}

/// Whether copies are sent to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// They are.
    #[default]
    Closed,
    /// It failed too often: they are dropped.
    Open,
    /// One is let through, to see.
    Probing,
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// What it matches, in a line for people.
    pub matches: String,
    /// What requests share that are sampled alike: `request`, `connection`, `client-ip`, `header NAME` or `cookie NAME`.
    pub sample_by: String,
    /// Where its copies go.
    pub shadows: Vec<ShadowStatus>,
}

/// Where a route's copies go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShadowStatus {
    /// The upstream's name.
    pub upstream: String,
    /// The share of the route's requests in percent, as it is now.
    pub percent: f64,
    /// Copies so far.
    pub sampled: u64,
    /// Answered by v2.
    pub mirrored: u64,
    /// Not answered.
    pub failed: u64,
    /// Not sent, or not to the end.
    pub dropped: u64,
    /// Without an outcome yet.
    pub in_flight: u64,
}

impl RequestsStatus {
    /// From the ledger, and from what was `seen` on the service ports.
    #[must_use]
    pub fn new(seen: u64, ledger: &Snapshot) -> Self {
        let happened = |counts: &mut dyn Iterator<Item = (&'static str, u64)>| {
            counts.filter(|&(_, count)| count > 0).map(|(label, count)| (label.to_owned(), count)).collect()
        };
        Self {
            seen,
            drawn: drawn(ledger),
            routed: ledger.routed,
            passed: happened(&mut ledger.passed_by_reason().map(|(reason, count)| (reason.label(), count))),
            undecided: ledger.unrouted.in_flight(),
            sampled: ledger.sampled,
            mirrored: ledger.mirrored(),
            failed: happened(&mut ledger.failed_by_reason().map(|(reason, count)| (reason.label(), count))),
            dropped: happened(&mut ledger.dropped_by_reason().map(|(reason, count)| (reason.label(), count))),
            in_flight: ledger.in_flight(),
        }
    }
}

impl ShadowStatus {
    /// Of copies to `upstream` that ended so.
    #[must_use]
    pub fn new(upstream: impl Into<String>, percent: f64, outcomes: &Outcomes) -> Self {
        Self {
            upstream: upstream.into(),
            percent,
            sampled: outcomes.sampled,
            mirrored: outcomes.mirrored(),
            failed: outcomes.failed(),
            dropped: outcomes.dropped(),
            in_flight: outcomes.in_flight(),
        }
    }
}

/// Requests that the kernel sampled: those that still are undecided or ended so, and those that are no more.
pub(super) fn drawn(ledger: &Snapshot) -> u64 {
    let passed: u64 = ledger.passed_by_reason().map(|(_, count)| count).sum();
    ledger.unrouted.sampled + ledger.routed + passed
}
