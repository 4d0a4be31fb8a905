//! What the benchmark of the kernel programs found: a table for people, JSON for programs, and a verdict.

use anyhow::Result;
use serde_json::{Value, json};

use super::Row;
use crate::bench::{
    cost::{Role, Sample, Size},
    machine,
    share::{MOST_AT_ONE_PERCENT, Share},
    statistics::{Hooks, Spread, Usage},
};

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// How often.
    pub rounds: u32,
    /// What the programs took.
    pub rows: Vec<Row>,
    /// What left the kernel, by rising rate, the last at 100 %.
    pub shares: Vec<Share>,
}

/// What goes for all lines of the table.
const NOTES: &str = "  \
  Medians of all rounds, (min-max); packets are those of one round. Nothing is subtracted: the lines `empty programs`
  say what measuring takes by itself. XDP sees what clients send: requests, and ACKs of answers. TC sees both
  directions: answers and ACKs of requests too. 64 KB: POSTs of 1 MiB, which TC alone and generic XDP see in packets of
  up to 61 KB; native XDP turns that off on veth, so it and TC behind it see frames of 1514 bytes.
  ns/request: all programs, for all packets of a request and its answer. core: their share of one processor, while the
  load, the service and the ring's reader keep the machine as busy as it can be.";

impl Report {
    /// Whether at 1 % as few events leave the kernel as should.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.at_one_percent().is_some_and(|percent| percent <= MOST_AT_ONE_PERCENT)
    }

    /// Events at 1 % in percent of those at 100 %.
    fn at_one_percent(&self) -> Option<f64> {
        let one = self.shares.iter().find(|share| (share.rate_percent - 1.0).abs() < f64::EPSILON)?;
        Some(one.percent_of(self.shares.last()?).0)
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines =
            vec![format!("kernel programs, {} rounds, {}", self.rounds, machine()), String::new()];
        lines.push(format!(
            "  {:<12}{:<22}{:>20}{:>9}{:>22}{:>9}{:>11}{:>8}",
            "attached",
            "traffic",
            "XDP ns/packet",
            "packets",
            "TC ns/packet",
            "packets",
            "ns/request",
            "core"
        ));
        let mut mode = "";
        for row in &self.rows {
            if mode != row.mode.name {
                lines.push(String::new());
                mode = row.mode.name;
            }
            lines.push(row.text());
        }
        lines.extend([String::new(), NOTES.to_owned(), String::new()]);
        lines.extend(self.shares_text());
        lines.join("\n")
    }

    fn shares_text(&self) -> Vec<String> {
        let Some(all) = self.shares.last() else { return Vec::new() };
        let title = format!("events that leave the kernel for the same {} requests", all.requests);
        let heads = ["sampled", "matched", "records", "of 100 %", "bytes", "of 100 %"];
        let head: String = heads.iter().map(|head| format!("{head:>12}")).collect();
        let mut lines = vec![title, head];
        for share in &self.shares {
            let (records, bytes) = share.percent_of(all);
            lines.push(format!(
                "{:>10} %{:>12}{:>12}{records:>10.2} %{:>12}{bytes:>10.2} %",
                share.rate_percent, share.matched, share.records, share.bytes
            ));
        }
        let found = self.at_one_percent().unwrap_or(f64::NAN);
        let verdict = if self.passed() { "ok" } else { "TOO MANY" };
        lines.push(format!(
            "  at 1 %: {found:.2} % of the events, at most {MOST_AT_ONE_PERCENT} % allowed: {verdict}"
        ));
        lines
    }

    /// The report as one JSON object.
    ///
    /// # Errors
    /// Never: everything in it can be written.
    pub fn json(&self) -> Result<String> {
        let shares = self.shares.iter().map(|share| {
            let (records, bytes) = share.percent_of(self.shares.last().unwrap_or(share));
            json!({ "counted": share, "records_percent_of_all": records, "bytes_percent_of_all": bytes })
        });
        Ok(serde_json::to_string_pretty(&json!({
            "bench": "kernel",
            "machine": machine(),
            "rounds": self.rounds,
            "passed": self.passed(),
            "cost": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "share": shares.collect::<Vec<_>>(),
            "most_records_at_one_percent": MOST_AT_ONE_PERCENT,
        }))?)
    }
}

impl Row {
    fn text(&self) -> String {
        let (xdp, xdp_packets) = self.hook_text(|hooks| hooks.xdp.as_ref());
        let (tc, tc_packets) = self.hook_text(|hooks| Some(&hooks.tc));
        let traffic = traffic(self.role, self.size);
        let full: u64 = self.samples.iter().map(|sample| sample.ring_full).sum();
        let full = if full > 0 { format!("  the ring was full {full} times") } else { String::new() };
        format!(
            "  {:<12}{traffic:<22}{xdp:>20}{xdp_packets:>9}{tc:>22}{tc_packets:>9}{:>11.0}{:>6.2} %{full}",
            self.mode.name,
            self.spread(per_request).median,
            self.spread(core_percent).median,
        )
    }

    /// A hook's columns: time per packet, and packets.
    fn hook_text(&self, hook: impl Fn(&Hooks) -> Option<&Usage>) -> (String, String) {
        let Some((time, packets)) = self.hook(hook) else { return ("-".to_owned(), "-".to_owned()) };
        let Spread { median, min, max, .. } = time;
        (format!("{median:.0} ({min:.0}-{max:.0})"), format!("{:.0}", packets.median))
    }

    fn hook(&self, hook: impl Fn(&Hooks) -> Option<&Usage>) -> Option<(Spread, Spread)> {
        let usage: Option<Vec<&Usage>> = self.samples.iter().map(|sample| hook(&sample.hooks)).collect();
        let usage = usage?;
        let of = |figure: &dyn Fn(&Usage) -> f64| Spread::of(usage.iter().copied().map(figure).collect());
        Some((of(&Usage::nanoseconds_per_packet), of(&|usage| float(usage.packets))))
    }

    fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(figure).collect())
    }

    fn json(&self) -> Value {
        let hook = |name: &str, hook: &dyn Fn(&Hooks) -> Option<&Usage>| {
            let program = &hook(&self.samples.first()?.hooks)?.program;
            let (time, packets) = self.hook(hook)?;
            Some(
                json!({ "hook": name, "program": program, "nanoseconds_per_packet": time, "packets": packets }),
            )
        };
        let hooks = [hook("xdp", &|hooks| hooks.xdp.as_ref()), hook("tc", &|hooks| Some(&hooks.tc))];
        json!({
            "attached": self.mode.name,
            "traffic": traffic(self.role, self.size),
            "programs": hooks.into_iter().flatten().collect::<Vec<_>>(),
            "nanoseconds_per_request": self.spread(per_request),
            "core_percent": self.spread(core_percent),
            "requests": self.spread(|sample| f64::from(sample.requests)),
            "exported_segments": self.spread(|sample| float(sample.exported)),
            "exported_bytes": self.spread(|sample| float(sample.bytes)),
            "ring_full": self.spread(|sample| float(sample.ring_full)),
        })
    }
}

fn traffic(role: Role, size: Size) -> String {
    let size = match size {
        Size::Small => "64 B",
        Size::Frame => "1.5 KB",
        Size::Bulk => "64 KB",
    };
    let role = match role {
        Role::Empty => "empty programs",
        Role::NotMatched => "not matched",
        Role::Unsampled => "unsampled",
        Role::Sampled => "sampled",
        Role::Timed => "sampled, timed",
    };
    format!("{size}, {role}")
}

fn per_request(sample: &Sample) -> f64 {
    sample.hooks.time().as_secs_f64() * 1e9 / f64::from(sample.requests.max(1))
}

fn core_percent(sample: &Sample) -> f64 {
    sample.hooks.time().as_secs_f64() * 100.0 / sample.elapsed.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of as many events at 1 % and at 100 %.
    fn report(at_one: u64, at_all: u64) -> Report {
        let share =
            |rate_percent, records| Share { rate_percent, requests: 1, matched: 1, records, bytes: 1 };
        Report { rounds: 1, rows: Vec::new(), shares: vec![share(1.0, at_one), share(100.0, at_all)] }
    }

    #[test]
    fn the_verdict_is_about_events_at_one_percent() {
        for (at_one, passed, words) in
            [(0, true, "0.00 %"), (20, true, "2.00 %"), (21, false, "2.10 %"), (1000, false, "100.00 %")]
        {
            let report = report(at_one, 1000);
            let end = if passed { "allowed: ok" } else { "allowed: TOO MANY" };
            assert_eq!(report.passed(), passed, "{at_one} of 1000");
            assert!(report.text().contains(&format!("at 1 %: {words}")) && report.text().ends_with(end));
            let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
            assert_eq!((&json["passed"], &json["bench"]), (&json!(passed), &json!("kernel")));
        }
    }

    #[test]
    fn what_was_not_measured_has_not_passed() {
        assert!(!Report { rounds: 1, rows: Vec::new(), shares: Vec::new() }.passed());
    }
}
