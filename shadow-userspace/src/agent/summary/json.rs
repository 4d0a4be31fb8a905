//! The summary as one JSON object. Its keys are an interface: scripts and tests read them.

use serde::{Serialize, Serializer};

use shadow_common::COUNTERS;

use super::{Summary, by_status, dropped, failed, fields};
use crate::{
    capture::{KernelCounters, file::FileStats},
    ledger::{CopySnapshot, Outcomes},
};

#[derive(Serialize)]
struct Document {
    requests: Requests,
    routes: Vec<Route>,
    kernel: Kernel,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileStats>,
    flows: serde_json::Map<String, serde_json::Value>,
    shadow: Shadow,
    attachment: String,
    seconds: f64,
}

#[derive(Serialize)]
struct Requests {
    seen: u64,
    #[serde(flatten)]
    outcomes: Account,
    balanced: bool,
    passed: Pairs,
}

/// The copies of one route for one upstream.
#[derive(Serialize)]
struct Route {
    route: String,
    upstream: String,
    #[serde(flatten)]
    outcomes: Account,
}

#[derive(Serialize)]
struct Account {
    sampled: u64,
    mirrored: u64,
    mirrored_by_status: Pairs,
    failed: Pairs,
    dropped: Pairs,
    in_flight: u64,
}

#[derive(Serialize)]
struct Kernel {
    #[serde(flatten)]
    counters: Pairs,
    balanced: bool,
}

#[derive(Serialize)]
struct Shadow {
    latency_ms: LatencyMs,
    connections: u64,
}

#[derive(Serialize)]
struct LatencyMs {
    p50: f64,
    p99: f64,
    max: f64,
}

/// An object whose keys stay in their order.
struct Pairs(Vec<(&'static str, u64)>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl Summary {
    pub(super) fn json(&self) -> String {
        // From whole microseconds, so that no digits appear that were never measured.
        let millis = |duration: std::time::Duration| duration.as_micros() as f64 / 1e3;
        let document = Document {
            requests: Requests {
                seen: self.seen(),
                outcomes: (&*self.requests).into(),
                balanced: self.balanced(),
                passed: Pairs(self.passed()),
            },
            routes: self.requests.copies.iter().map(Route::from).collect(),
            kernel: self.kernel.clone().unwrap_or_default().into(),
            file: self.file,
            flows: fields(&self.flows),
            shadow: Shadow {
                latency_ms: LatencyMs {
                    p50: millis(self.latency.p50),
                    p99: millis(self.latency.p99),
                    max: millis(self.latency.max),
                },
                connections: self.connections,
            },
            attachment: self.attachment.clone(),
            seconds: self.elapsed.as_secs_f64(),
        };
        // Strings, integers and finite floats under string keys: nothing that JSON can't say.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

impl From<&CopySnapshot> for Route {
    fn from(copy: &CopySnapshot) -> Self {
        Self {
            route: copy.route.to_string(),
            upstream: copy.upstream.to_string(),
            outcomes: (&copy.outcomes).into(),
        }
    }
}

impl From<&Outcomes> for Account {
    fn from(outcomes: &Outcomes) -> Self {
        Self {
            sampled: outcomes.sampled,
            mirrored: outcomes.mirrored(),
            mirrored_by_status: Pairs(by_status(outcomes).to_vec()),
            failed: Pairs(failed(outcomes)),
            dropped: Pairs(dropped(outcomes)),
            in_flight: outcomes.in_flight(),
        }
    }
}

impl From<KernelCounters> for Kernel {
    fn from(kernel: KernelCounters) -> Self {
        let counters = COUNTERS.iter().map(|&counter| (counter.label(), kernel.get(counter))).collect();
        Self { counters: Pairs(counters), balanced: kernel.is_balanced() }
    }
}
