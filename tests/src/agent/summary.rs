//! What the agent prints at its end, and whether it adds up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the agent prints at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The ledger of requests.
    pub requests: Requests,
    /// The kernel's counters, and whether they add up.
    pub kernel: BTreeMap<String, serde_json::Value>,
    /// Latency and connections of v2.
    pub shadow: serde_json::Value,
    /// How it was attached.
    pub attachment: serde_json::Value,
    /// What else it says.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// The ledger: `sampled == mirrored + failed + dropped + in_flight`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requests {
    /// Requests that the agent decoded.
    pub seen: u64,
    /// Those taken into the sample.
    pub sampled: u64,
    /// Those that v2 answered.
    pub mirrored: u64,
    /// The same by the class of v2's status.
    #[serde(default)]
    pub mirrored_by_status: BTreeMap<String, u64>,
    /// Those that v2 did not answer, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Those that were not sent, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Those without an outcome.
    pub in_flight: u64,
    /// Whether the agent says that it adds up.
    pub balanced: bool,
}

impl Summary {
    /// Whether requests and kernel counters add up: as the agent says, and by our own sum.
    #[must_use]
    pub fn balances(&self) -> bool {
        let requests = &self.requests;
        let outcomes = requests.mirrored + self.failed() + self.dropped() + requests.in_flight;
        let kernel = self.kernel.get("balanced").and_then(serde_json::Value::as_bool);
        requests.balanced && requests.sampled == outcomes && kernel == Some(true)
    }

    /// All failures.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.requests.failed.values().sum()
    }

    /// All drops.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.requests.dropped.values().sum()
    }
}
