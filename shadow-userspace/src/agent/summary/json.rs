//! The summary as one JSON object. Its keys are an interface: scripts and tests read them.

use serde::{Serialize, Serializer};

use shadow_common::COUNTERS;

use super::{Summary, fields};
use crate::capture::{KernelCounters, file::FileStats};

#[derive(Serialize)]
struct Document {
    requests: Requests,
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
    sampled: u64,
    mirrored: u64,
    mirrored_by_status: Pairs,
    failed: Pairs,
    dropped: Pairs,
    in_flight: u64,
    balanced: bool,
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
                sampled: self.requests.sampled,
                mirrored: self.requests.mirrored(),
                mirrored_by_status: Pairs(self.by_status().to_vec()),
                failed: Pairs(self.failed()),
                dropped: Pairs(self.dropped()),
                in_flight: self.requests.in_flight(),
                balanced: self.balanced(),
            },
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

impl From<KernelCounters> for Kernel {
    fn from(kernel: KernelCounters) -> Self {
        let counters = COUNTERS.iter().map(|&counter| (counter.label(), kernel.get(counter))).collect();
        Self { counters: Pairs(counters), balanced: kernel.is_balanced() }
    }
}
