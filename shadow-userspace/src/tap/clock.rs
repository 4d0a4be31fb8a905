//! From capture times to times of day.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};
use nix::time::{ClockId, clock_gettime};
use serde::{Serialize, Serializer};

use crate::tap::TapSource;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Where capture times begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    /// The Unix time then, in nanoseconds.
    unix_ns: u64,
}

impl Epoch {
    /// The source's. The kernel's capture times are those of the monotonic clock, a file's are Unix times.
    pub(super) fn of(source: &TapSource) -> Self {
        let unix_ns = match source {
            TapSource::Live(_) => now(ClockId::CLOCK_REALTIME).saturating_sub(now(ClockId::CLOCK_MONOTONIC)),
            TapSource::File { .. } => 0,
        };
        Self { unix_ns }
    }

    /// The time of day at this capture time.
    pub(super) fn time(self, at_ns: u64) -> Time {
        Time { unix_ns: self.unix_ns.saturating_add(at_ns) }
    }
}

/// What a clock shows, in nanoseconds. Every kernel has these two.
fn now(clock: ClockId) -> u64 {
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec()) * NS_PER_SECOND + part(time.tv_nsec())
}

/// A time of day. Shown as RFC 3339 has it, in UTC, with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    unix_ns: u64,
}

impl Time {
    fn timestamp(self) -> Timestamp {
        // All of a `u64` is within jiff's years.
        Timestamp::from_nanosecond(i128::from(self.unix_ns)).unwrap_or_default()
    }

    fn micros(self) -> u64 {
        self.unix_ns % NS_PER_SECOND / 1000
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // From whole microseconds, which jiff would round.
        let micros = self.unix_ns / 1000 * 1000;
        write!(f, "{:.6}", Self { unix_ns: micros }.timestamp())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Local times, `14:03:05.123456`. Remembers the last second's, since most exchanges share theirs with others.
#[derive(Debug)]
pub(super) struct LocalTimes {
    zone: TimeZone,
    second: Option<u64>,
    shown: String,
}

impl LocalTimes {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, second: None, shown: String::new() }
    }

    /// This time, for people.
    pub(super) fn show(&mut self, time: Time) -> impl fmt::Display {
        let second = time.unix_ns / NS_PER_SECOND;
        if self.second != Some(second) {
            self.second = Some(second);
            self.shown = self.zone.to_datetime(time.timestamp()).strftime("%H:%M:%S").to_string();
        }
        fmt::from_fn(move |f| write!(f, "{}.{:06}", self.shown, time.micros()))
    }
}

/// A span in milliseconds, to the microsecond.
pub(super) fn millis(span_ns: u64) -> f64 {
    // From whole microseconds, so that no digits appear that were never measured.
    (span_ns / 1000) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::capture::LiveOptions;

    #[test]
    fn a_files_times_are_unix_times() {
        let file = Epoch::of(&TapSource::File { path: PathBuf::from("x"), ports: Vec::new() });
        let time = file.time(1_795_575_637_123_456_999);
        assert_eq!(time.to_string(), "2026-11-25T03:00:37.123456Z");
        assert_eq!(file.time(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert!(file.time(u64::MAX).to_string().starts_with("2554-07-21T"));
        let mut times = LocalTimes::new(TimeZone::fixed(jiff::tz::offset(-5)));
        assert_eq!(times.show(time).to_string(), "22:00:37.123456");
        assert_eq!(times.show(file.time(1_795_575_637_000_001_000)).to_string(), "22:00:37.000001");
        assert_eq!(times.show(file.time(1_795_575_638_000_000_000)).to_string(), "22:00:38.000000");
    }

    #[test]
    fn live_times_are_those_of_the_wall_clock() {
        let live = Epoch::of(&TapSource::Live(LiveOptions::default()));
        let (shown, wall) = (live.time(now(ClockId::CLOCK_MONOTONIC)).unix_ns, now(ClockId::CLOCK_REALTIME));
        assert!(wall.abs_diff(shown) < 60 * NS_PER_SECOND, "{shown} {wall}");
    }

    #[test]
    fn spans_have_no_digits_that_were_not_measured() {
        assert_eq!((millis(1_234_999), millis(0), millis(999)), (1.234, 0.0, 0.0));
    }
}
