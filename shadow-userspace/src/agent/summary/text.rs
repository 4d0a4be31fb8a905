//! The summary as a table to read.

use std::fmt::{Display, Write};

use serde::Serialize;
use shadow_common::{Counter, CounterKind};

use super::{Summary, by_status, dropped, failed, fields};
use crate::{agent::progress::InMillis, capture::KernelCounters};

impl Summary {
    pub(super) fn text(&self) -> String {
        let mut table = Table::default();
        self.add_requests(&mut table);
        self.add_routes(&mut table);
        if let Some(kernel) = &self.kernel {
            add_kernel(&mut table, kernel);
        }
        if let Some(file) = &self.file {
            table.row("file", happened(file));
        }
        table.row("flows", happened(&self.flows));
        table.row("v2 latency", InMillis(&self.latency));
        table.row("v2 connections", format_args!("{} opened", self.connections));
        table.row("attachment", &self.attachment);
        table.row("time", format_args!("{:.1} s", self.elapsed.as_secs_f64()));
        table.text
    }

    fn add_requests(&self, table: &mut Table) {
        let requests = &self.requests;
        let verdict = if self.balanced() { "" } else { "  NOT BALANCED" };
        table.row("requests", format_args!("{} seen, {} sampled{verdict}", self.seen(), requests.sampled));
        table.row("  mirrored", account(requests.mirrored(), by_status(requests)));
        table.row("  failed", account(requests.failed(), failed(requests)));
        table.row("  dropped", account(requests.dropped(), dropped(requests)));
        if requests.in_flight() > 0 {
            table.row("  in flight", requests.in_flight());
        }
        let passed = self.passed();
        let sum: u64 = passed.iter().map(|(_, count)| count).sum();
        if sum > 0 {
            table.row("  passed", account(sum, passed));
        }
    }

    /// Where copies went, if there was more than one way.
    fn add_routes(&self, table: &mut Table) {
        let copies = &self.requests.copies;
        if copies.len() < 2 {
            return;
        }
        table.row("routes", format_args!("{} ways to an upstream", copies.len()));
        for copy in copies {
            let of = &copy.outcomes;
            let (sampled, mirrored, failed, dropped) = (of.sampled, of.mirrored(), of.failed(), of.dropped());
            table.row(
                &format!("  {} to {}", copy.route, copy.upstream),
                format_args!("{sampled} sampled, {mirrored} mirrored, {failed} failed, {dropped} dropped"),
            );
        }
    }
}

/// Statistics without those that are zero.
fn happened(statistics: &impl Serialize) -> String {
    let happened = fields(statistics).into_iter().filter(|(_, value)| *value != 0);
    let shown: Vec<_> = happened.map(|(name, value)| format!("{name} {value}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn add_kernel(table: &mut Table, kernel: &KernelCounters) {
    let verdict = if kernel.is_balanced() { "" } else { "  NOT BALANCED" };
    table.row("kernel", format_args!("{} segments matched{verdict}", kernel.get(Counter::Matched)));
    for (name, kind) in [("  exported", CounterKind::Exported), ("  skipped", CounterKind::Skipped)] {
        let counts = || kernel.of(kind).map(|(counter, count)| (counter.label(), count));
        table.row(name, account(counts().map(|(_, count)| count).sum(), counts()));
    }
}

/// A sum and what it is made of, without what didn't happen.
fn account(sum: u64, parts: impl IntoIterator<Item = (&'static str, u64)>) -> String {
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|&(_, count)| count > 0)
        .map(|(label, count)| format!("{label} {count}"))
        .collect();
    if parts.is_empty() { sum.to_string() } else { format!("{sum} ({})", parts.join(", ")) }
}

/// Rows of a name and what there is to say.
#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn row(&mut self, name: &str, value: impl Display) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{name:<15} {value}");
    }
}
