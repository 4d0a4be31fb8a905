//! What the benchmark of the wire decoding found: a table for people, JSON for programs, and a verdict.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Row, corpus::Kind, float};

/// Small requests per second and core.
const LEAST_REQUESTS: f64 = 1_000_000.0;
/// Bytes of large bodies per second and core.
const LEAST_BYTES: f64 = 3e9;
/// Many flows against one.
const LEAST_INTERLEAVED: f64 = 0.5;
/// Bytes for an idle flow.
const MOST_IDLE: f64 = 1024.0;

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Where.
    pub machine: String,
    /// How often.
    pub rounds: u32,
    /// One for each capture.
    pub rows: Vec<Row>,
    /// Bytes that a flow takes which carries nothing.
    pub idle_flow_bytes: f64,
}

/// Something to be reached.
struct Goal {
    what: &'static str,
    found: f64,
    /// In the words of the table.
    shown: String,
    bound: f64,
    at_most: bool,
}

impl Goal {
    fn reached(&self) -> bool {
        if self.at_most { self.found <= self.bound } else { self.found >= self.bound }
    }

    fn text(&self) -> String {
        let verdict = if self.reached() { "ok" } else { "MISSED" };
        format!("  {:<46}{:<32}{verdict}", self.what, self.shown)
    }

    fn json(&self) -> Value {
        let bound = if self.at_most { "most" } else { "least" };
        json!({ "what": self.what, "found": self.found, bound: self.bound, "reached": self.reached() })
    }
}

impl Report {
    /// Whether all goals are reached.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.goals().iter().all(Goal::reached)
    }

    /// What isn't measured is missed.
    fn median(&self, kind: Kind, figure: impl Fn(&Row) -> f64) -> f64 {
        self.rows.iter().find(|row| row.kind == kind).map_or(0.0, figure)
    }

    fn goals(&self) -> Vec<Goal> {
        let requests = |kind| self.median(kind, |row| row.requests().median);
        let bytes = |kind| self.median(kind, |row| row.body_bytes().median);
        let (one, many) = (requests(Kind::Gets), requests(Kind::Interleaved));
        let share = if one > 0.0 { many / one } else { 0.0 };
        let at_least = |what, found, shown, bound| Goal { what, found, shown, bound, at_most: false };
        let gigabytes = |found: f64| format!("{:.2} GB/s, at least {:.0}", found / 1e9, LEAST_BYTES / 1e9);
        let [frames, offloaded] = [Kind::Posts, Kind::Offloaded].map(bytes);
        let million = format!("{:.2} M/s, at least {:.0}", one / 1e6, LEAST_REQUESTS / 1e6);
        let of_one = format!("{:.0} %, at least {:.0} %", share * 100.0, LEAST_INTERLEAVED * 100.0);
        vec![
            at_least("small requests", one, million, LEAST_REQUESTS),
            at_least("10,000 flows against one", share, of_one, LEAST_INTERLEAVED),
            at_least("bodies in frames of 1.5 KB", frames, gigabytes(frames), LEAST_BYTES),
            at_least("bodies in segments of 64 KB", offloaded, gigabytes(offloaded), LEAST_BYTES),
            Goal {
                what: "an idle flow",
                found: self.idle_flow_bytes,
                shown: format!("{:.0} B, at most {MOST_IDLE:.0}", self.idle_flow_bytes),
                bound: MOST_IDLE,
                at_most: true,
            },
        ]
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let title = format!("wire decoding on one core, {} rounds, {}", self.rounds, self.machine);
        let head = format!(
            "  {:<36}{:>10}{:>10}{:>30}{:>26}",
            "capture", "requests", "file MB", "M requests/s", "bodies GB/s"
        );
        let mut lines = vec![title, String::new(), head];
        lines.extend(self.rows.iter().map(Row::text));
        lines.extend([
            String::new(),
            "  Medians of all rounds, (min-max); the file is in the page cache.".to_owned(),
        ]);
        lines.push(String::new());
        lines.extend(self.goals().iter().map(Goal::text));
        lines.join("\n")
    }

    /// The report as one JSON object.
    ///
    /// # Errors
    /// Never: everything in it can be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&json!({
            "bench": "decode",
            "machine": self.machine,
            "rounds": self.rounds,
            "passed": self.passed(),
            "captures": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "idle_flow_bytes": self.idle_flow_bytes,
            "goals": self.goals().iter().map(Goal::json).collect::<Vec<_>>(),
        }))?)
    }
}

impl Row {
    fn text(&self) -> String {
        let spread = |spread: crate::bench::statistics::Spread, unit: f64| {
            let [median, min, max] = [spread.median, spread.min, spread.max].map(|figure| figure / unit);
            format!("{median:.3} ({min:.3}-{max:.3})")
        };
        let bodies = if self.counts.body_bytes > 0 { spread(self.body_bytes(), 1e9) } else { "-".to_owned() };
        format!(
            "  {:<36}{:>10}{:>10.1}{:>30}{bodies:>26}",
            self.kind.name(),
            self.counts.complete,
            float(self.file_bytes) / 1e6,
            spread(self.requests(), 1e6),
        )
    }

    fn json(&self) -> Value {
        json!({
            "capture": self.kind.name(),
            "requests": self.counts.complete,
            "body_bytes": self.counts.body_bytes,
            "file_bytes": self.file_bytes,
            "seconds": self.seconds,
            "requests_per_second": self.requests(),
            "body_bytes_per_second": self.body_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::decode::pass::Counts;

    /// A report of these rates: requests on one flow and on many, bytes of bodies; and of an idle flow.
    fn report(one: u64, many: u64, bytes: u64, idle_flow_bytes: f64) -> Report {
        let row = |kind, complete, body_bytes| {
            let counts = Counts { complete, body_bytes, ..Counts::default() };
            Row { kind, counts, file_bytes: 1, seconds: vec![1.0] }
        };
        let rows = vec![
            row(Kind::Gets, one, 0),
            row(Kind::Interleaved, many, 0),
            row(Kind::Posts, 1, bytes),
            row(Kind::Offloaded, 1, bytes),
        ];
        Report { machine: String::new(), rounds: 1, rows, idle_flow_bytes }
    }

    #[test]
    fn each_goal_can_be_missed() {
        const GIGABYTE: u64 = 1_000_000_000;
        for (report, missed) in [
            (report(1_000_000, 500_000, 3 * GIGABYTE, 1024.0), 0),
            (report(999_999, 500_000, 3 * GIGABYTE, 1024.0), 1),
            (report(2_000_000, 999_999, 3 * GIGABYTE, 1024.0), 1),
            (report(1_000_000, 500_000, 3 * GIGABYTE - 1, 1024.0), 2),
            (report(1_000_000, 500_000, 3 * GIGABYTE, 1025.0), 1),
            (Report { rows: Vec::new(), ..report(0, 0, 0, 1.0) }, 4),
        ] {
            assert_eq!(report.text().matches("MISSED").count(), missed, "{}", report.text());
            assert_eq!(report.passed(), missed == 0);
            let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
            assert_eq!((&json["bench"], &json["passed"]), (&json!("decode"), &json!(missed == 0)));
        }
    }
}
