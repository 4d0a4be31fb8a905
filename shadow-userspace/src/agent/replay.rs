//! A capture file as the source of requests: takes its segments, gives them at the capture's pace.
//!
//! The spacing is the capture's, divided by the speed, counted from the first segment, so that no delay adds up. Where
//! the capture's time goes back, it is counted from there.

use std::{
    fmt,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    agent::capture_thread::{Drained, Source},
    capture::{
        CaptureError, Note, Segment,
        file::{FileError, FileSource, FileStats, Input},
    },
};

/// What `replay` reads, and how fast.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The capture file.
    pub input: Input,
    /// Service ports; none: any whose stream begins like HTTP.
    pub ports: Vec<u16>,
    /// How fast.
    pub speed: Speed,
}

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was captured; more than 0.
    Times(f64),
    /// As fast as v2 takes the copies.
    Max,
}

/// A text that is no speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no speed: give 1x for the capture's own, another factor such as 10x or 0.5x, or max")]
pub struct SpeedError(String);

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        let factor = text.strip_suffix(['x', 'X']).and_then(|factor| factor.parse::<f64>().ok());
        let factor = factor.filter(|factor| (0.001..=1e6).contains(factor));
        factor.map(Self::Times).ok_or_else(|| SpeedError(text.to_owned()))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(factor) => write!(f, "{factor}x"),
            Self::Max => f.write_str("full speed"),
        }
    }
}

/// The file being replayed.
#[derive(Debug)]
pub(super) struct Replay {
    file: FileSource,
    speed: Speed,
    /// None before the first segment.
    pace: Option<Pace>,
    /// A segment that isn't due yet.
    held: Option<Held>,
    is_over: bool,
}

/// What segments are counted from.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// When the first was captured.
    first_ns: u64,
    /// When it was handed out.
    began: Instant,
    /// When the latest was captured.
    latest_ns: u64,
}

/// What goes back by more isn't late, but of another capture, or clock.
const REORDERING: Duration = Duration::from_secs(1);

/// A segment with its payload.
#[derive(Debug)]
struct Held {
    segment: Segment<'static>,
    payload: Vec<u8>,
}

impl Replay {
    pub(super) fn open(options: &ReplayOptions) -> Result<Self, FileError> {
        let file = FileSource::open(&options.input, &options.ports)?;
        Ok(Self { file, speed: options.speed, pace: None, held: None, is_over: false })
    }
}

/// How long it is until a segment with this time is due.
fn until_due(pace: &mut Option<Pace>, speed: Speed, timestamp_ns: u64) -> Duration {
    let Speed::Times(factor) = speed else { return Duration::ZERO };
    let anew = Pace { first_ns: timestamp_ns, began: Instant::now(), latest_ns: timestamp_ns };
    let pace = pace.get_or_insert(anew);
    if Duration::from_nanos(pace.latest_ns.saturating_sub(timestamp_ns)) > REORDERING {
        *pace = anew;
    }
    pace.latest_ns = pace.latest_ns.max(timestamp_ns);
    let since = Duration::from_nanos(timestamp_ns.saturating_sub(pace.first_ns)).as_secs_f64();
    let due = Duration::try_from_secs_f64(since / factor).unwrap_or(Duration::MAX);
    due.saturating_sub(pace.began.elapsed())
}

impl Source for Replay {
    /// Hands out one segment at most: the next may depend on what the pipeline says of it.
    fn drain(&mut self, wait: Duration, each: &mut dyn FnMut(&Segment<'_>)) -> Result<Drained, CaptureError> {
        if self.is_over {
            return Ok(Drained::Over);
        }
        if let Some(held) = &self.held {
            let left = until_due(&mut self.pace, self.speed, held.segment.timestamp_ns);
            thread::sleep(left.min(wait));
            if left <= wait {
                each(&Segment { payload: &held.payload, ..held.segment });
                self.held = None;
            }
            return Ok(Drained::Handed(usize::from(self.held.is_none())));
        }
        let Some(segment) = self.file.next()? else {
            self.is_over = true;
            return Ok(Drained::Over);
        };
        if until_due(&mut self.pace, self.speed, segment.timestamp_ns).is_zero() {
            each(&segment);
            return Ok(Drained::Handed(1));
        }
        let payload = segment.payload.to_vec();
        self.held = Some(Held { segment: Segment { payload: &[], ..segment }, payload });
        Ok(Drained::Handed(0))
    }

    fn detach(&mut self) {
        self.is_over = true;
    }

    fn tell(&mut self, notes: &mut dyn Iterator<Item = Note>) {
        notes.for_each(|note| self.file.tell(&note));
    }

    fn can_wait(&self) -> bool {
        self.speed == Speed::Max
    }

    fn tells_time(&self) -> bool {
        true
    }

    fn file_stats(&self) -> Option<FileStats> {
        Some(*self.file.stats())
    }

    fn requests_lost(&mut self) -> Result<u64, CaptureError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
