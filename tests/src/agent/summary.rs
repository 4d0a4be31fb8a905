//! What the agent prints at its end, and whether it adds up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the agent prints at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The ledger of requests.
    pub requests: Requests,
    /// The copies of each route for each upstream.
    #[serde(default)]
    pub routes: Vec<RouteAccount>,
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
    /// Requests that were drawn and got no copy, by reason.
    #[serde(default)]
    pub passed: BTreeMap<String, u64>,
}

/// The copies that one route sends to one upstream: `sampled == mirrored + failed + dropped + in_flight`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteAccount {
    /// The route's name.
    pub route: String,
    /// The upstream's name.
    pub upstream: String,
    /// Copies.
    pub sampled: u64,
    /// Those that the upstream answered.
    pub mirrored: u64,
    /// Those that it did not answer, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Those that were not sent, or not to the end, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Those without an outcome.
    pub in_flight: u64,
}

impl RouteAccount {
    fn balances(&self) -> bool {
        let [failed, dropped] = [&self.failed, &self.dropped].map(|counts| counts.values().sum::<u64>());
        self.sampled == self.mirrored + failed + dropped + self.in_flight
    }
}

impl Summary {
    /// Whether requests, the accounts of the routes and kernel counters add up: as the agent says, and by our own sums.
    #[must_use]
    pub fn balances(&self) -> bool {
        let requests = &self.requests;
        let outcomes = requests.mirrored + self.failed() + self.dropped() + requests.in_flight;
        let kernel = self.kernel.get("balanced").and_then(serde_json::Value::as_bool);
        let own = requests.balanced && requests.sampled == outcomes && kernel == Some(true);
        own && self.routes_add_up()
    }

    /// Each account by itself, and all that was sent is in one of them.
    fn routes_add_up(&self) -> bool {
        let sum = |of: fn(&RouteAccount) -> u64| self.routes.iter().map(of).sum::<u64>();
        self.routes.iter().all(RouteAccount::balances)
            && sum(|account| account.mirrored) == self.requests.mirrored
            && sum(|account| account.failed.values().sum()) == self.failed()
            && sum(|account| account.dropped.values().sum()) <= self.dropped()
    }

    /// The account of a route's copies for an upstream.
    #[must_use]
    pub fn account(&self, route: &str, upstream: &str) -> Option<&RouteAccount> {
        self.routes.iter().find(|account| account.route == route && account.upstream == upstream)
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
