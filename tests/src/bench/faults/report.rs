//! What the benchmark of faults found: a table for people, JSON for programs, and a verdict.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::{CONNECTIONS, Latency, RATE, Round, Row, SECONDS, name};
use crate::bench::statistics::Spread;

/// What the agent may take, in bytes.
const MOST_MEMORY: u64 = 128 << 20;

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Where.
    pub machine: String,
    /// How often.
    pub rounds: u32,
    /// One for each fault.
    pub rows: Vec<Row>,
}

/// What goes for all lines of the table.
const NOTES: &str = "  \
  Medians of all rounds, (min-max). The ratios are those of real requests' latency with the agent, whose v2 has the
  fault, to the same load without it just before. Users and agent share this machine, so a ratio above 1 is the agent's
  work and the fault's. Outcomes are those of one round's copies.";

impl Report {
    /// Whether no user noticed an error, the agent stayed small, and every request is accounted for.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::passed)
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let title = format!("faults of v2, {} rounds, {}", self.rounds, self.machine);
        let load = format!(
            "  {RATE} requests per second over {CONNECTIONS} connections for {SECONDS} s: GETs, and as many POSTs of \
             16 KiB"
        );
        let head = format!(
            "  {:<24}{:>9}{:>23}{:>9}{:>23}{:>9}  {:<9}{}",
            "v2", "p50 µs", "with agent", "p99 µs", "with agent", "MiB", "", "outcomes"
        );
        let mut lines = vec![title, load, String::new(), head];
        lines.extend(self.rows.iter().map(Row::text));
        lines.extend([String::new(), NOTES.to_owned(), String::new()]);
        let verdict = if self.passed() { "ok" } else { "NOT SO" };
        lines.push(format!(
            "  no real request failed, less than {} MiB, every request accounted for: {verdict}",
            MOST_MEMORY >> 20
        ));
        lines.join("\n")
    }

    /// The report as one JSON object.
    ///
    /// # Errors
    /// Never: everything in it can be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&json!({
            "bench": "faults",
            "machine": self.machine,
            "rounds": self.rounds,
            "requests_per_second": RATE,
            "seconds": SECONDS,
            "passed": self.passed(),
            "faults": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        }))?)
    }
}

impl Round {
    fn passed(&self) -> bool {
        self.errors == 0 && self.balanced && self.peak < MOST_MEMORY
    }
}

impl Row {
    fn passed(&self) -> bool {
        !self.rounds.is_empty() && self.rounds.iter().all(Round::passed)
    }

    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure).collect())
    }

    fn ratio(&self, of: impl Fn(&Latency) -> f64) -> Spread {
        self.spread(|round| of(&round.with) / of(&round.without).max(1.0))
    }

    #[expect(clippy::cast_precision_loss, reason = "no agent takes 2^52 bytes")]
    fn mebibytes(&self) -> Spread {
        self.spread(|round| round.peak as f64 / f64::from(1 << 20))
    }

    fn text(&self) -> String {
        let ratio = |spread: Spread| format!("×{:.2} ({:.2}-{:.2})", spread.median, spread.min, spread.max);
        let outcomes = self.rounds.last().map_or(String::new(), outcomes);
        format!(
            "  {:<24}{:>9.0}{:>23}{:>9.0}{:>23}{:>9.0}  {:<9}{outcomes}",
            name(self.fault),
            self.spread(|round| round.without.p50).median,
            ratio(self.ratio(|latency| latency.p50)),
            self.spread(|round| round.without.p99).median,
            ratio(self.ratio(|latency| latency.p99)),
            self.mebibytes().max,
            if self.passed() { "ok" } else { "NOT SO" },
        )
    }

    fn json(&self) -> Value {
        json!({
            "v2": name(self.fault),
            "passed": self.passed(),
            "p50_microseconds_without": self.spread(|round| round.without.p50),
            "p50_microseconds_with": self.spread(|round| round.with.p50),
            "p50_ratio": self.ratio(|latency| latency.p50),
            "p99_microseconds_without": self.spread(|round| round.without.p99),
            "p99_microseconds_with": self.spread(|round| round.with.p99),
            "p99_ratio": self.ratio(|latency| latency.p99),
            "peak_mebibytes": self.mebibytes(),
            "real_errors": self.rounds.iter().map(|round| round.errors).collect::<Vec<_>>(),
            "outcomes": self.rounds.iter().map(|round| &round.outcomes).collect::<Vec<_>>(),
        })
    }
}

/// Those that happened, each with its count.
fn outcomes(round: &Round) -> String {
    let happened = |counts: &BTreeMap<String, u64>| -> Vec<String> {
        let counts = counts.iter().filter(|(_, count)| **count > 0);
        counts.map(|(reason, count)| format!("{reason} {count}")).collect()
    };
    let found = &round.outcomes;
    let mirrored = (found.mirrored > 0).then(|| format!("mirrored {}", found.mirrored));
    let all: Vec<String> =
        mirrored.into_iter().chain(happened(&found.failed)).chain(happened(&found.dropped)).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::Requests, fault::Fault};

    fn round(errors: usize, peak: u64, balanced: bool) -> Round {
        let outcomes = Requests {
            seen: 3,
            sampled: 3,
            mirrored: 1,
            mirrored_by_status: BTreeMap::new(),
            failed: BTreeMap::from([("timeout".to_owned(), 2), ("connect".to_owned(), 0)]),
            dropped: BTreeMap::new(),
            in_flight: 0,
            balanced,
            passed: BTreeMap::new(),
        };
        let without = Latency { p50: 100.0, p99: 200.0 };
        Round { without, with: Latency { p50: 150.0, p99: 200.0 }, errors, peak, outcomes, balanced }
    }

    #[test]
    fn the_verdict_is_about_users_memory_and_ledgers_but_not_about_time() {
        for (rounds, passed) in [
            (vec![round(0, MOST_MEMORY - 1, true), round(0, 1, true)], true),
            (vec![round(0, 1, true), round(1, 1, true)], false),
            (vec![round(0, MOST_MEMORY, true)], false),
            (vec![round(0, 1, false)], false),
            (vec![], false),
        ] {
            let rows = vec![Row { fault: Some(Fault::Late), rounds }];
            let report = Report { machine: String::new(), rounds: 1, rows };
            assert_eq!(report.passed(), passed, "{}", report.text());
            assert_eq!(report.text().contains("NOT SO"), !passed);
            let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
            assert_eq!((&json["bench"], &json["passed"]), (&json!("faults"), &json!(passed)));
        }
        assert!(!Report { machine: String::new(), rounds: 1, rows: Vec::new() }.passed());
    }

    #[test]
    fn a_line_shows_ratios_and_what_happened() {
        let line = Row { fault: None, rounds: vec![round(0, 10 << 20, true)] }.text();
        for part in ["v2 is well", "×1.50 (1.50-1.50)", "×1.00 (1.00-1.00)", "mirrored 1, timeout 2"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("connect"), "{line}");
    }
}
