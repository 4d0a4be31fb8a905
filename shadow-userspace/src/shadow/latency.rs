//! How long v2 takes: takes the time of every answered copy, gives quantiles of the whole run and of the last
//! interval. Bounded memory, and a lock that is held for nanoseconds.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

/// Times of answered copies, from the start of sending (connecting included) to the answer's last byte.
#[derive(Debug)]
pub struct Latency {
    histograms: Mutex<Histograms>,
}

#[derive(Debug)]
struct Histograms {
    total: Histogram<u64>,
    interval: Histogram<u64>,
}

/// Quantiles of a set of copies; all zero if it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of the copies took no longer.
    pub p50: Duration,
    /// 99 of 100 copies took no longer.
    pub p99: Duration,
    /// The slowest copy.
    pub max: Duration,
}

impl Latency {
    /// Nothing recorded yet.
    #[must_use]
    pub fn new() -> Self {
        let empty = || {
            // Microseconds up to an hour in two digits: some 20 KiB, true to 1 %.
            Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("the bounds are valid")
        };
        Self { histograms: Mutex::new(Histograms { total: empty(), interval: empty() }) }
    }

    /// A copy was answered after `elapsed`.
    pub fn record(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let mut histograms = self.lock();
        histograms.total.saturating_record(micros);
        histograms.interval.saturating_record(micros);
    }

    /// Of every copy so far.
    #[must_use]
    pub fn total(&self) -> Quantiles {
        Quantiles::of(&self.lock().total)
    }

    /// Of the copies since the last call.
    #[must_use]
    pub fn take_interval(&self) -> Quantiles {
        let mut histograms = self.lock();
        let quantiles = Quantiles::of(&histograms.interval);
        histograms.interval.reset();
        quantiles
    }

    fn lock(&self) -> MutexGuard<'_, Histograms> {
        // A histogram is valid after every step, so a panic elsewhere doesn't spoil it.
        self.histograms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let quantile = |q| Duration::from_micros(histogram.value_at_quantile(q));
        // The upper end of a bucket may lie beyond the slowest copy.
        let max = Duration::from_micros(histogram.max());
        Self { p50: quantile(0.5).min(max), p99: quantile(0.99).min(max), max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_run_and_of_the_interval() {
        let latency = Latency::new();
        assert_eq!(latency.total(), Quantiles::default());
        (1..=100).for_each(|millis| latency.record(Duration::from_millis(millis)));
        let first = latency.take_interval();
        assert_eq!(first, latency.total());
        for (got, expected) in [(first.p50, 50.0), (first.p99, 99.0), (first.max, 100.0)] {
            assert!((got.as_secs_f64() * 1e3 / expected - 1.0).abs() < 0.01, "{got:?} for {expected} ms");
        }
        assert_eq!(latency.take_interval(), Quantiles::default());
        latency.record(Duration::from_secs(86_400));
        assert!(latency.total().max >= Duration::from_secs(3_500), "saturates");
    }
}
