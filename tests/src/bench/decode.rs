//! The benchmark of the wire decoding: how fast one core turns a capture file into exchanges, and what an idle flow
//! costs.
//!
//! [`corpus`] writes the captures, which the page cache then holds, [`mod@pass`] reads one from its first packet to its
//! last and only counts what comes out, [`report`] judges.

pub mod corpus;
pub mod pass;
mod report;

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    bench::{Rounds, machine, statistics::Spread},
    tap,
};
use corpus::{Corpus, IDLE_FLOWS, Kind};
use pass::{Counts, pass, resident};
use report::Report;

/// What was measured of one capture.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub kind: Kind,
    /// What came out of it, the same in every round.
    pub counts: Counts,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Seconds for a pass.
    pub seconds: Vec<f64>,
}

/// Runs it and says whether the goals are reached.
///
/// # Errors
/// Captures can't be written, or what comes out of one isn't what went in.
pub fn run(options: &Rounds) -> Result<bool> {
    let directory = tap::directory()?;
    // Once it is on one core, it sees no other.
    let machine = machine();
    pin()?;
    // First, while the heap is small: memory that was used and freed would hide what flows need.
    let idle_flow_bytes = idle_flow(directory.path())?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        rows.push(measure(kind, directory.path(), options.rounds)?);
    }
    let report = Report { machine, rounds: options.rounds, rows, idle_flow_bytes };
    if options.json {
        eprintln!("{}", report.text());
        println!("{}", report.json()?);
    } else {
        println!("{}", report.text());
    }
    Ok(report.passed())
}

/// Whole passes over one capture.
fn measure(kind: Kind, directory: &Path, rounds: u32) -> Result<Row> {
    eprintln!("{}: writing the capture", kind.name());
    let corpus = Corpus::write(kind, directory)?;
    eprintln!("{}: {rounds} rounds", kind.name());
    let mut row = Row { kind, counts: Counts::default(), file_bytes: corpus.file_bytes, seconds: Vec::new() };
    // One more than asked for: the first brings the file into the page cache.
    for round in 0..=rounds {
        let start = Instant::now();
        row.counts = pass(&corpus.path)?;
        if round > 0 {
            row.seconds.push(start.elapsed().as_secs_f64());
        }
        corpus.check(&row.counts).with_context(|| kind.name().to_owned())?;
    }
    // Captures are large: one at a time.
    std::fs::remove_file(&corpus.path)?;
    Ok(row)
}

/// Bytes of memory that an idle flow takes: the process with [`IDLE_FLOWS`] of them, less what it has with a few.
fn idle_flow(directory: &Path) -> Result<f64> {
    eprintln!("idle flows: writing the captures");
    let small = Corpus::idle(100, directory, "few.pcap")?;
    let large = Corpus::idle(IDLE_FLOWS, directory, "idle.pcap")?;
    small.check(&pass(&small.path)?)?;
    let before = resident()?;
    let counts = pass(&large.path)?;
    large.check(&counts)?;
    std::fs::remove_file(&large.path)?;
    ensure!(counts.resident_bytes > before, "flows take no memory: this measures nothing");
    Ok(float(counts.resident_bytes - before) / f64::from(IDLE_FLOWS))
}

/// Keeps this thread on one core, the last that it may use: interrupts are often on the first.
fn pin() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let last = (0..CpuSet::count()).rev().find(|&core| allowed.is_set(core).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("no core may be used")?)?;
    sched_setaffinity(this, &one).context("keep to one core")
}

impl Row {
    /// Requests per second.
    #[must_use]
    pub fn requests(&self) -> Spread {
        self.per_second(self.counts.complete)
    }

    /// Bytes of request bodies per second.
    #[must_use]
    pub fn body_bytes(&self) -> Spread {
        self.per_second(self.counts.body_bytes)
    }

    fn per_second(&self, count: u64) -> Spread {
        Spread::of(self.seconds.iter().map(|seconds| float(count) / seconds).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
