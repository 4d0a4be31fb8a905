//! Reads the ring: records to [`Segment`]s, in batches.
//!
//! While records come, the reader looks by itself every [`BATCH`], and no record wakes anybody: under load the cost of
//! waking is paid per batch and not per packet. Only when it has been quiet for a while does it ask to be woken.

use std::{
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use shadow_common::ring_bytes;

use crate::capture::{CaptureError, Control, RecordError, Segment, parse_record};

/// Time between two looks at the ring while there is something in it. A copy may wait so long.
const BATCH: Duration = Duration::from_millis(2);

/// So long without a record, and the reader goes to sleep.
const QUIET: Duration = Duration::from_millis(20);

/// Records handed out per call at most, so that the caller's other duties aren't starved.
const MAX_RECORDS: usize = 4096;

/// The ring and its reader.
pub struct Ring {
    ring: RingBuf<MapData>,
    control: Control,
    /// When the last record was taken.
    last_record: Option<Instant>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    /// The ring that `control` belongs to.
    pub(super) fn new(ring: RingBuf<MapData>, control: Control) -> Self {
        Self { ring, control, last_record: None }
    }

    /// Waits up to `timeout` for records and hands those that are there to `each`, up to a few thousand; says how
    /// many it handed out.
    ///
    /// # Errors
    /// If the ring can't be waited for.
    pub(super) fn drain(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(&Segment<'_>),
    ) -> Result<usize, CaptureError> {
        self.wait(timeout)?;
        let mut handed = 0;
        while handed < MAX_RECORDS {
            let Some(parsed) = self.take(|parsed| parsed.map(|segment| each(&segment))) else { break };
            if let Err(error) = parsed {
                tracing::error!("{error}");
            }
            handed += 1;
        }
        if handed > 0 {
            self.last_record = Some(Instant::now());
        }
        Ok(handed)
    }

    /// Hands the next record to `look`, if there is one, without waiting.
    pub fn take<R>(&mut self, look: impl FnOnce(Result<Segment<'_>, RecordError>) -> R) -> Option<R> {
        let record = self.ring.next()?;
        let result = look(parse_record(&record));
        let bytes = ring_bytes(record.len());
        drop(record);
        self.control.ring_taken(bytes);
        Some(result)
    }

    fn wait(&self, timeout: Duration) -> Result<(), CaptureError> {
        if timeout.is_zero() {
            return Ok(());
        }
        if self.last_record.is_some_and(|last| last.elapsed() < QUIET) {
            thread::sleep(BATCH.min(timeout));
            return Ok(());
        }
        self.control.set_wake(true)?;
        // What was written before the programs knew of it is seen by this very call.
        let result = self.sleep(timeout);
        self.control.set_wake(false)?;
        result
    }

    /// Until there is a record.
    fn sleep(&self, timeout: Duration) -> Result<(), CaptureError> {
        let mut ready = [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(CaptureError::Wait(errno.into())),
        }
    }
}
