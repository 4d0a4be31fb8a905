//! The final summary: takes every count of the run, gives a table to read or one JSON object.
//!
//! Both show the two ledgers and whether they balance (invariant 2).

mod json;
mod text;

use std::{
    io::{self, Write},
    time::Duration,
};

use shadow_common::Counter;

use crate::{
    agent::SummaryFormat,
    capture::{KernelCounters, file::FileStats},
    ledger::{Outcomes, Snapshot},
    pipeline::FlowStats,
    shadow::mirror::latency::Quantiles,
};

/// Everything that was counted.
pub(super) struct Summary {
    /// The ledger, closed.
    pub(super) requests: Snapshot,
    /// The kernel's ledger, read once after detaching; `None` if the source was not the kernel.
    pub(super) kernel: Option<KernelCounters>,
    /// What became of the packets of the capture file, if they come from one.
    pub(super) file: Option<FileStats>,
    /// What became of the flows.
    pub(super) flows: FlowStats,
    /// How long answered copies took.
    pub(super) latency: Quantiles,
    /// Connections opened to v2.
    pub(super) connections: u64,
    /// What was attached where.
    pub(super) attachment: String,
    /// How long the run was.
    pub(super) elapsed: Duration,
}

impl Summary {
    /// Prints it on stdout.
    pub(super) fn print(&self, format: SummaryFormat) {
        let text = match format {
            SummaryFormat::Text => self.text(),
            SummaryFormat::Json => format!("{}\n", self.json()),
        };
        if let Err(error) = io::stdout().write_all(text.as_bytes()) {
            tracing::warn!(%error, "can't print the summary");
        }
    }

    fn seen(&self) -> u64 {
        seen(self.kernel.as_ref(), self.flows.requests_framed)
    }

    /// Every reason for which a request got no copy, with its count.
    fn passed(&self) -> Vec<(&'static str, u64)> {
        self.requests.passed_by_reason().map(|(reason, count)| (reason.label(), count)).collect()
    }

    /// Whether every sampled request has an outcome.
    fn balanced(&self) -> bool {
        self.requests.in_flight() == 0
    }
}

/// Every status class with its count.
fn by_status(outcomes: &Outcomes) -> [(&'static str, u64); 6] {
    let [other, informational, success, redirection, client, server] = outcomes.mirrored_by_class;
    [
        ("1xx", informational),
        ("2xx", success),
        ("3xx", redirection),
        ("4xx", client),
        ("5xx", server),
        ("other", other),
    ]
}

/// Every reason of failure with its count.
fn failed(outcomes: &Outcomes) -> Vec<(&'static str, u64)> {
    outcomes.failed_by_reason().map(|(reason, count)| (reason.label(), count)).collect()
}

/// Every reason for dropping with its count.
fn dropped(outcomes: &Outcomes) -> Vec<(&'static str, u64)> {
    outcomes.dropped_by_reason().map(|(reason, count)| (reason.label(), count)).collect()
}

/// Requests in the sample or not: those that the kernel framed, and those that it left to the pipeline.
pub(super) fn seen(kernel: Option<&KernelCounters>, framed_here: u64) -> u64 {
    kernel.map_or(0, |kernel| kernel.get(Counter::RequestsFramed) + kernel.get(Counter::UnframedLost))
        + framed_here
}

/// The names and values of statistics, whatever they are.
fn fields(statistics: &impl serde::Serialize) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(statistics) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests;
