//! One pass over a capture file: everything that `tap` does but filtering, hashing and printing.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use shadow_common::FlowKey;
use shadow_userspace::{
    budget::MemoryBudget,
    capture::file::{FileSource, Input},
    ledger::{DropReason, Ledger},
    pipeline::{ExchangeEvent, ExchangePipeline, ExchangeSink, PipelineLimits, Sampler},
    tap::read_file,
};

/// More than the benchmark has.
const MAX_FLOWS: usize = 200_000;

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that began.
    pub requests: u64,
    /// Those that were complete.
    pub complete: u64,
    /// Answers that were complete.
    pub responses: u64,
    /// Bytes of request bodies.
    pub body_bytes: u64,
    /// What the process held at the end of the file, before anything was forgotten.
    pub resident_bytes: u64,
}

/// Decodes a capture file of service port 8080 from its first packet to its last.
///
/// # Errors
/// It can't be read.
pub fn pass(path: &Path) -> Result<Counts> {
    let mut source = FileSource::open(&Input::Path(path.to_owned()), &[8080])?;
    let limits = PipelineLimits { max_flows: MAX_FLOWS, ..PipelineLimits::default() };
    let (ledger, budget) = (Ledger::new(), MemoryBudget::new(256 << 20));
    let mut pipeline = ExchangePipeline::new(limits, ledger, budget, Sampler::all(), CountingSink::default());
    read_file(&mut source, &mut pipeline, |_| true)?;
    let resident_bytes = resident()?;
    pipeline.finish(DropReason::Incomplete);
    Ok(Counts { resident_bytes, ..pipeline.sink().counts })
}

/// Counts, and looks at nothing.
#[derive(Debug, Default)]
pub struct CountingSink {
    /// So far.
    pub counts: Counts,
}

impl ExchangeSink for CountingSink {
    type Exchange = ();

    fn begin(&mut self, _: &FlowKey, _: u64) {
        self.counts.requests += 1;
    }

    fn part(&mut self, (): &mut (), part: ExchangeEvent<'_>, _: u64) {
        match part {
            ExchangeEvent::RequestBody(bytes) => self.counts.body_bytes += bytes.len() as u64,
            ExchangeEvent::RequestEnd(Ok(())) => self.counts.complete += 1,
            ExchangeEvent::ResponseEnd(Ok(())) => self.counts.responses += 1,
            _ => {}
        }
    }

    fn finish(&mut self, (): ()) {}
}

/// Bytes of memory that this process has (proc(5), `VmRSS`).
///
/// # Errors
/// There is no /proc.
pub fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("VmRSS")? * 1024)
}
