//! What the demo found: for people, for programs, and as a verdict.

use anyhow::Result;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::{agent::Summary, compare::Verdict, load};

/// How many errors of a kind are shown; more say no more.
const SHOWN: usize = 10;

/// What happened.
#[derive(Debug)]
pub struct Report {
    /// Requests asked for.
    pub requests: u32,
    /// Connections asked for.
    pub connections: u32,
    /// The rate asked for.
    pub sample_rate: String,
    /// The load that nobody watched.
    pub without_agent: load::Report,
    /// The load that was mirrored.
    pub with_agent: load::Report,
    /// The agent's summary.
    pub summary: Summary,
    /// Requests that v2 received.
    pub copies: usize,
    /// Copies against requests.
    pub verdict: Verdict,
    /// Whether no program of the agent was left in the kernel.
    pub clean: bool,
}

impl Report {
    /// Every check by its name.
    fn checks(&self) -> Vec<(&'static str, bool)> {
        let right = |load: &load::Report| load.correct == self.requests && load.errors.is_empty();
        let mut checks = vec![
            ("every real response was right", right(&self.without_agent) && right(&self.with_agent)),
            ("the ledger balances", self.summary.balances()),
            ("every copy is exactly a request that was sent", self.verdict.wrong.is_empty()),
            ("no program was left in the kernel", self.clean),
        ];
        if self.takes_all() && self.summary.failed() + self.summary.dropped() == 0 {
            checks.push(("every request was copied", self.verdict.missing.is_empty()));
        }
        checks
    }

    fn takes_all(&self) -> bool {
        self.sample_rate.trim_end_matches('%').parse() == Ok(100.0) && self.sample_rate.ends_with('%')
    }

    /// Whether all checks hold.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks().iter().all(|&(_, holds)| holds)
    }

    /// The report as one JSON object.
    ///
    /// # Errors
    /// Never: everything in it can be written.
    pub fn json(&self) -> Result<String> {
        let checks = self.checks().into_iter().map(|(name, holds)| (name.to_owned(), json!(holds)));
        Ok(serde_json::to_string(&json!({
            "passed": self.passed(),
            "checks": Value::Object(checks.collect()),
            "requests": self.requests,
            "connections": self.connections,
            "sample_rate": self.sample_rate,
            "real": { "without_agent": real(&self.without_agent), "with_agent": real(&self.with_agent) },
            "v2": {
                "received": self.copies,
                "exact": self.verdict.exact,
                "not_received": self.verdict.missing.len(),
                "wrong": self.verdict.wrong.iter().take(SHOWN).collect::<Vec<_>>(),
                "hosts": self.verdict.hosts,
            },
            "agent": self.summary,
        }))?)
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut line = |name: &str, value: String| lines.push(format!("  {name:<22} {value}"));
        let requests = &self.summary.requests;
        line("requests", format!("{} over {} keep-alive connections", self.requests, self.connections));
        line("sample rate", format!("{}, attached {}", self.sample_rate, plain(&self.summary.attachment)));
        line("real responses right", format!("{} of {}", self.with_agent.correct, self.with_agent.sent));
        line("copies v2 received", format!("{}, exact {}", self.copies, self.verdict.exact));
        for (host, count) in &self.verdict.hosts {
            line("Host at v2", format!("{host} ({count})"));
        }
        line(
            "ledger",
            format!(
                "seen {}, sampled {} = mirrored {} + failed {} + dropped {} + in flight {}",
                requests.seen,
                requests.sampled,
                requests.mirrored,
                reasons(self.summary.failed(), &requests.failed),
                reasons(self.summary.dropped(), &requests.dropped),
                requests.in_flight
            ),
        );
        line("real, without agent", latency(&self.without_agent.latency));
        line("real, with agent", latency(&self.with_agent.latency));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        line("", format!("(client, v1, v2 and agent share {cores} cores)"));
        lines.push(String::new());
        for (name, holds) in self.checks() {
            lines.push(format!("  {}  {name}", if holds { "ok  " } else { "FAIL" }));
        }
        let errors =
            self.without_agent.errors.iter().chain(&self.with_agent.errors).chain(&self.verdict.wrong);
        lines.extend(errors.take(SHOWN).map(|error| format!("        {error}")));
        lines.join("\n")
    }
}

fn reasons(total: u64, by_reason: &std::collections::BTreeMap<String, u64>) -> String {
    let named: Vec<String> = by_reason
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if named.is_empty() { total.to_string() } else { format!("{total} ({})", named.join(", ")) }
}

fn latency(histogram: &Histogram<u64>) -> String {
    format!("p50 {:.2} ms, p99 {:.2} ms", quantile(histogram, 0.5), quantile(histogram, 0.99))
}

#[expect(clippy::cast_precision_loss, reason = "a minute in microseconds is exact in an f64")]
fn quantile(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

fn real(load: &load::Report) -> Value {
    json!({
        "sent": load.sent,
        "correct": load.correct,
        "errors": load.errors.iter().take(SHOWN).collect::<Vec<_>>(),
        "p50_ms": quantile(&load.latency, 0.5),
        "p99_ms": quantile(&load.latency, 0.99),
    })
}

/// A string without its quotes, anything else as it is written.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
