//! How long v2 takes: takes the time of every answered copy, gives quantiles of the whole run and of the last
//! interval, and the whole run's counts in fixed buckets. Bounded memory, and a lock that is held for nanoseconds.

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
    /// Of all times, exact.
    sum: Duration,
}

/// The upper ends of the buckets of [`Buckets`].
pub const BOUNDS: [Duration; 15] = {
    let millis = Duration::from_millis;
    [
        Duration::from_micros(500),
        millis(1),
        Duration::from_micros(2_500),
        millis(5),
        millis(10),
        millis(25),
        millis(50),
        millis(100),
        millis(250),
        millis(500),
        millis(1_000),
        millis(2_500),
        millis(5_000),
        millis(10_000),
        millis(30_000),
    ]
};

/// Counts by duration. A time within 1 % of a bound may count on either side of it; count and sum are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Times above the bound before and up to the one of the same index of [`BOUNDS`].
    pub counts: [u64; BOUNDS.len()],
    /// Times above the last bound.
    pub above: u64,
    /// All times together.
    pub sum: Duration,
}

impl Buckets {
    /// How many times there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    fn of(histogram: &Histogram<u64>, sum: Duration) -> Self {
        let mut counts = [0; BOUNDS.len()];
        let (mut before, mut begin) = (0, 0);
        for (count, bound) in counts.iter_mut().zip(BOUNDS) {
            let end = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
            // The library counts whole steps of its own that begin within the range.
            let up_to = before + histogram.count_between(begin, end);
            *count = up_to - before;
            before = up_to;
            begin = histogram.next_non_equivalent(end);
        }
        Self { counts, above: histogram.len() - before, sum }
    }
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
        Self { histograms: Mutex::new(Histograms { total: empty(), interval: empty(), sum: Duration::ZERO }) }
    }

    /// A copy was answered after `elapsed`.
    pub fn record(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let mut histograms = self.lock();
        histograms.total.saturating_record(micros);
        histograms.interval.saturating_record(micros);
        histograms.sum = histograms.sum.saturating_add(elapsed);
    }

    /// Of every copy so far.
    #[must_use]
    pub fn total(&self) -> Quantiles {
        Quantiles::of(&self.lock().total)
    }

    /// Of every copy so far, counted in buckets.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        let histograms = self.lock();
        Buckets::of(&histograms.total, histograms.sum)
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

    #[test]
    fn every_time_is_in_one_bucket() {
        let latency = Latency::new();
        assert_eq!(latency.buckets(), Buckets::default());
        // Well inside of each bucket, and above the last.
        let inside = BOUNDS.map(|bound| bound.mul_f64(0.9));
        for (at, &time) in inside.iter().enumerate() {
            (0..=at).for_each(|_| latency.record(time));
        }
        latency.record(Duration::from_secs(31));
        latency.record(Duration::from_secs(86_400));
        let buckets = latency.buckets();
        assert_eq!(buckets.counts, std::array::from_fn(|at| at as u64 + 1));
        assert_eq!((buckets.above, buckets.count()), (2, (1..=15).sum::<u64>() + 2));
        let sum: Duration = inside.iter().zip(1..).map(|(&time, times)| time * times).sum();
        assert_eq!(buckets.sum, sum + Duration::from_secs(86_431));
    }

    #[test]
    fn no_time_is_counted_twice_or_lost_near_a_bound() {
        for bound in BOUNDS {
            let latency = Latency::new();
            let micros = u64::try_from(bound.as_micros()).unwrap();
            let near = micros * 98 / 100..=micros * 102 / 100;
            let times = near.clone().step_by(usize::try_from(micros / 400).unwrap().max(1));
            times.clone().for_each(|time| latency.record(Duration::from_micros(time)));
            let buckets = latency.buckets();
            assert_eq!(buckets.count(), times.count() as u64);
            let at = BOUNDS.iter().position(|&other| other == bound).unwrap();
            let below = buckets.counts[at] as f64 / buckets.count() as f64;
            assert!((0.2..0.8).contains(&below), "{below} of what is near {bound:?} is below");
        }
    }
}
