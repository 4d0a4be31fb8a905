//! Values of flags and of the file's keys: takes their text, gives durations and sizes.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use crate::capture::MIN_RING;

/// A text that is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    /// See [`duration`].
    #[error("{0:?} is no duration: give a whole number with a unit, such as 500ms, 10s or 2m")]
    Duration(String),
    /// See [`size`].
    #[error("{0:?} is no size: give a whole number of bytes, KiB, MiB or GiB, such as 65536 or 16MiB")]
    Size(String),
    /// See [`ring_size`].
    #[error("{0:?} is no ring size: give a power of two from 256KiB to 1GiB, such as 16MiB")]
    RingSize(String),
    /// See [`port`].
    #[error("{0:?} is no port: give a number from 1 to 65535")]
    Port(String),
    /// See [`count`].
    #[error("{0:?} is no limit: give a whole number from 1 to {max}", max = MAX_COUNT)]
    Count(String),
    /// See [`flag`].
    #[error("{0:?} is neither: give true or false")]
    Flag(String),
    /// See [`path`].
    #[error("no path: give that of a file")]
    Path,
}

/// The largest limit of things in flight, queued or followed. Far above what one node has, and far below where a
/// table of them could not be allocated.
const MAX_COUNT: u32 = 10_000_000;

/// A larger ring holds more than any agent catches up with.
const MAX_RING: u32 = 1 << 30;

/// More than zero: `500ms`, `10s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, ValueError> {
    parse(text, &[("ms", 1), ("s", 1000), ("m", 60_000)])
        .filter(|&millis| millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| ValueError::Duration(text.to_owned()))
}

/// More than zero: bytes, or `KiB`, `MiB`, `GiB`.
pub(crate) fn size(text: &str) -> Result<usize, ValueError> {
    parse(text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)])
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| ValueError::Size(text.to_owned()))
}

/// A size that the kernel takes for a ring buffer.
pub(crate) fn ring_size(text: &str) -> Result<u32, ValueError> {
    size(text)
        .ok()
        .and_then(|bytes| u32::try_from(bytes).ok())
        .filter(|bytes| bytes.is_power_of_two() && (MIN_RING..=MAX_RING).contains(bytes))
        .ok_or_else(|| ValueError::RingSize(text.to_owned()))
}

/// A TCP port.
pub(crate) fn port(text: &str) -> Result<u16, ValueError> {
    parse(text, &[("", 1)])
        .and_then(|port| u16::try_from(port).ok())
        .filter(|&port| port > 0)
        .ok_or_else(|| ValueError::Port(text.to_owned()))
}

/// A limit of how many.
pub(crate) fn count(text: &str) -> Result<u32, ValueError> {
    parse(text, &[("", 1)])
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=MAX_COUNT).contains(count))
        .ok_or_else(|| ValueError::Count(text.to_owned()))
}

/// A limit of how many, where none is a limit too.
pub(crate) fn count_or_none(text: &str) -> Result<u32, ValueError> {
    if text == "0" { Ok(0) } else { count(text) }
}

/// More than zero, in whole numbers.
pub(crate) fn positive(text: &str) -> Result<NonZeroU32, ValueError> {
    count(text).ok().and_then(NonZeroU32::new).ok_or_else(|| ValueError::Count(text.to_owned()))
}

/// A file.
pub(crate) fn path(text: &str) -> Result<PathBuf, ValueError> {
    if text.is_empty() || text.contains('\0') { Err(ValueError::Path) } else { Ok(text.into()) }
}

/// Yes or no.
pub(crate) fn flag(text: &str) -> Result<bool, ValueError> {
    text.parse().map_err(|_| ValueError::Flag(text.to_owned()))
}

/// Digits and a unit of the list, case ignored.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let &(_, factor) = units.iter().find(|(name, _)| unit.trim_start().eq_ignore_ascii_case(name))?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1 s", 1000), ("3S", 3000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "10", "s", "0s", "-1s", "+1s", "1.5s", "1h", "10 s s", "99999999999999999999s", "1e3ms"]
        {
            assert_eq!(duration(text), Err(ValueError::Duration(text.to_owned())));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("1", 1), ("65536", 65_536), ("16MiB", 16 << 20), ("64kib", 65_536), ("2 GiB", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "0", "0MiB", "MiB", "16MB", "16M", "-1", "1.5MiB", "18446744073709551616", "99999999999GiB"]
        {
            assert_eq!(size(text), Err(ValueError::Size(text.to_owned())));
        }
    }

    #[test]
    fn ring_sizes() {
        for (text, bytes) in [("262144", 262_144), ("16MiB", 16 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(ring_size(text), Ok(bytes), "{text}");
        }
        for text in ["0", "128KiB", "100000", "3MiB", "2GiB", "8GiB", "x"] {
            assert_eq!(ring_size(text), Err(ValueError::RingSize(text.to_owned())));
        }
    }

    #[test]
    fn ports_and_counts() {
        assert_eq!((port("1"), port("65535")), (Ok(1), Ok(65_535)));
        for text in ["", "0", "65536", "-1", "+80", "http", "80 81"] {
            assert_eq!(port(text), Err(ValueError::Port(text.to_owned())));
        }
        assert_eq!((count("1"), count("10000000")), (Ok(1), Ok(10_000_000)));
        for text in ["", "0", "10000001", "-1", "many"] {
            assert_eq!(count(text), Err(ValueError::Count(text.to_owned())));
        }
    }
}
