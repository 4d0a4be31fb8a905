//! How much of the same traffic leaves the kernel at which sample rate: cost is to follow the rate, not the traffic.

use anyhow::{Result, ensure};
use serde::Serialize;
use shadow_common::Counter;
use shadow_userspace::capture::{AttachMode, SampleRate};

use crate::{
    bench::{capture::Capture, traffic::Traffic},
    lab::{Family, Lab},
};

/// At 1 % so many percent of the events of 100 % may leave the kernel.
pub const MOST_AT_ONE_PERCENT: f64 = 2.0;

/// What left the kernel at one rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    /// The sample rate in percent.
    pub rate_percent: f64,
    /// Requests that were sent.
    pub requests: u32,
    /// Segments of the service port.
    pub matched: u64,
    /// Events: records written to the ring.
    pub records: u64,
    /// Payload bytes in them.
    pub bytes: u64,
}

impl Share {
    /// Sends the traffic, part after part, while the programs sample it at a rate.
    ///
    /// # Errors
    /// It can't be run, a record is lost, or the kernel's ledger doesn't balance.
    pub fn measure(lab: &Lab, attach: AttachMode, rate: SampleRate, traffic: &[Traffic]) -> Result<Self> {
        let capture = Capture::start(&lab.gateway, attach, rate)?;
        for part in traffic {
            part.run(&lab.client, lab.v1_address(Family::V4))?;
        }
        let (counters, drained) = capture.stop()?;
        let count = |counter| counters.get(counter);
        ensure!(counters.is_balanced(), "matched is not exported and skipped: {counters:?}");
        ensure!(count(Counter::RingFull) == 0, "the ring was full {} times", count(Counter::RingFull));
        let (records, bytes) = (count(Counter::Records), count(Counter::ExportedBytes));
        ensure!(
            (records, bytes) == (drained.records, drained.bytes),
            "{records} records of {bytes} bytes were written, and read were {drained:?}"
        );
        let requests = traffic.iter().map(|part| part.requests).sum();
        Ok(Self { rate_percent: rate.percent(), requests, matched: count(Counter::Matched), records, bytes })
    }

    /// Records and bytes in percent of another's.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no benchmark writes 2^52 bytes")]
    pub fn percent_of(&self, all: &Self) -> (f64, f64) {
        let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
        (percent(self.records, all.records), percent(self.bytes, all.bytes))
    }
}
