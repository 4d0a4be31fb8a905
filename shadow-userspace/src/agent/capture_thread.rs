//! The capture thread: takes segments from the source, feeds the pipeline, owns both.
//!
//! It never waits for v2 (invariant 1). However it ends, the source is detached: in order, or by being dropped.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use shadow_common::Counter;
use tokio::sync::oneshot;

use crate::{
    capture::{CaptureError, Live, Note, Segment, file::FileStats},
    ledger::DropReason,
    pipeline::{FlowStats, Pipeline, RequestSink},
};

/// How long one look at the ring waits at most: so late are a stop and the pipeline's timeouts noticed.
const WAIT: Duration = Duration::from_millis(100);

/// How often the source is asked what it lost.
const LOSSES_PERIOD: Duration = Duration::from_secs(1);

/// What the capture thread reads from.
pub(crate) trait Source: Send + 'static {
    /// Waits up to `wait` for segments, and hands some of those that are there to `each`. Notes about them are told
    /// before the next call.
    fn drain(&mut self, wait: Duration, each: &mut dyn FnMut(&Segment<'_>)) -> Result<Drained, CaptureError>;

    /// See [`Live::detach`].
    fn detach(&mut self);

    /// Passes on what the pipeline knows of open runs.
    fn tell(&mut self, notes: &mut dyn Iterator<Item = Note>);

    /// Whether it loses nothing while it isn't drained, so that v2 may have the time that it takes.
    fn can_wait(&self) -> bool {
        false
    }

    /// Whether time passes by its segments alone, at whatever pace they are handed out.
    fn tells_time(&self) -> bool {
        false
    }

    /// What became of the packets, if they are a file's.
    fn file_stats(&self) -> Option<FileStats> {
        None
    }

    /// Sampled requests since the start of which not even the beginning was handed out.
    fn requests_lost(&mut self) -> Result<u64, CaptureError>;
}

/// What a look at the source gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// So many segments.
    Handed(usize),
    /// Nothing, and nothing will come.
    Over,
}

impl Source for Live {
    fn drain(&mut self, wait: Duration, each: &mut dyn FnMut(&Segment<'_>)) -> Result<Drained, CaptureError> {
        Live::drain(self, wait, each).map(Drained::Handed)
    }

    fn detach(&mut self) {
        Live::detach(self);
    }

    fn tell(&mut self, notes: &mut dyn Iterator<Item = Note>) {
        let control = self.control();
        // The kernel heeded at once where a request begins, also if the flow was forgotten since.
        for Note { flow, resync, .. } in notes.filter(|note| !note.is_forgotten) {
            if let Err(error) = control.resync(&flow, resync) {
                // The kernel goes on exporting what nobody needs; requests are found all the same.
                tracing::debug!("a note to the kernel is lost: {error}");
            }
        }
    }

    fn requests_lost(&mut self) -> Result<u64, CaptureError> {
        Ok(self.control().counters()?.get(Counter::RequestsLost))
    }
}

/// How the thread ended.
pub(super) struct CaptureEnd<S> {
    /// Whether the source could be read to its end.
    pub(super) result: Result<(), CaptureError>,
    /// What became of the flows.
    pub(super) flows: FlowStats,
    /// Detached.
    pub(super) source: S,
}

/// What the running thread shows of itself, as of its last look at the ring.
#[derive(Debug, Default)]
pub(super) struct CaptureGauges {
    flows: Mutex<FlowStats>,
}

impl CaptureGauges {
    /// What became of the flows.
    pub(super) fn flows(&self) -> FlowStats {
        *self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called for every batch of segments, and held by others for no longer than a copy of it takes.
    fn show(&self, flows: FlowStats) {
        *self.flows.lock().unwrap_or_else(PoisonError::into_inner) = flows;
    }
}

/// The running thread. Dropping it stops it and waits for it: nothing is attached then, whatever went wrong beside it.
pub(super) struct CaptureThread<S> {
    /// None once it was waited for.
    thread: Option<JoinHandle<CaptureEnd<S>>>,
    stop: Arc<AtomicBool>,
    gauges: Arc<CaptureGauges>,
    /// Its other end is dropped when the thread ends, a panic included.
    alive: oneshot::Receiver<()>,
}

impl<S: Source> CaptureThread<S> {
    pub(super) fn spawn<K>(mut source: S, mut pipeline: Pipeline<K>) -> io::Result<Self>
    where
        K: RequestSink + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let (living, alive) = oneshot::channel();
        let stopped = Arc::clone(&stop);
        let gauges = Arc::new(CaptureGauges::default());
        let shown = Arc::clone(&gauges);
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || {
            let _living = living;
            let mut losses = Losses::default();
            let end = follow(&mut source, &mut pipeline, &mut losses, &shown, &stopped);
            source.detach();
            // What is in the ring still counts, unless the ring is what failed.
            let result = end.and_then(|()| rest(&mut source, &mut pipeline, &mut losses));
            let was_told = stopped.load(Ordering::Relaxed) || result.is_err();
            pipeline.finish(if was_told { DropReason::Shutdown } else { DropReason::Incomplete });
            shown.show(pipeline.stats());
            CaptureEnd { result, flows: pipeline.stats(), source }
        })?;
        Ok(Self { thread: Some(thread), stop, gauges, alive })
    }

    /// What the thread shows while it runs.
    pub(super) fn gauges(&self) -> Arc<CaptureGauges> {
        Arc::clone(&self.gauges)
    }

    /// Ready when the thread has ended by itself.
    pub(super) async fn ended(&mut self) {
        // An error is what is waited for: the other end was dropped.
        (&mut self.alive).await.ok();
    }

    /// Stops the thread and waits for it; `None` if it panicked.
    pub(super) async fn stop(mut self) -> Option<CaptureEnd<S>> {
        self.stop.store(true, Ordering::Relaxed);
        if !self.alive.is_terminated() {
            self.ended().await;
        }
        self.thread.take()?.join().ok()
    }
}

impl<S> Drop for CaptureThread<S> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // How it ended matters to nobody any more.
            drop(thread.join());
        }
    }
}

/// Until told to stop, or the source is over.
fn follow<S: Source, K: RequestSink>(
    source: &mut S,
    pipeline: &mut Pipeline<K>,
    losses: &mut Losses,
    gauges: &CaptureGauges,
    stop: &AtomicBool,
) -> Result<(), CaptureError> {
    let mut clock = CaptureClock::default();
    let mut losses_read = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let drained = source.drain(WAIT, &mut |segment| {
            clock.saw(segment.timestamp_ns);
            pipeline.segment(segment);
        })?;
        if drained == Drained::Over {
            break;
        }
        let now_ns = if source.tells_time() { clock.last_ns } else { clock.now() };
        if let Some(now_ns) = now_ns {
            pipeline.tick(now_ns);
        }
        source.tell(&mut pipeline.take_notes());
        gauges.show(pipeline.stats());
        if losses_read.elapsed() >= LOSSES_PERIOD {
            losses_read = Instant::now();
            losses.read(source, pipeline)?;
        }
    }
    Ok(())
}

/// What is left after detaching.
fn rest<S: Source, K: RequestSink>(
    source: &mut S,
    pipeline: &mut Pipeline<K>,
    losses: &mut Losses,
) -> Result<(), CaptureError> {
    loop {
        match source.drain(Duration::ZERO, &mut |segment| pipeline.segment(segment))? {
            Drained::Over | Drained::Handed(0) => return losses.read(source, pipeline),
            Drained::Handed(_) => {}
        }
    }
}

/// The source's lost requests, as far as the ledger has them.
#[derive(Default)]
struct Losses {
    counted: u64,
}

impl Losses {
    fn read<S: Source, K: RequestSink>(
        &mut self,
        source: &mut S,
        pipeline: &mut Pipeline<K>,
    ) -> Result<(), CaptureError> {
        let lost = source.requests_lost()?;
        pipeline.count_lost(lost.saturating_sub(self.counted));
        self.counted = lost.max(self.counted);
        Ok(())
    }
}

/// The time in the source's epoch, which only segments tell: the latest timestamp and what has passed since.
#[derive(Default)]
pub(crate) struct CaptureClock {
    latest_ns: Option<u64>,
    /// What the last segment said.
    last_ns: Option<u64>,
    /// When `latest_ns` was noticed; behind a full ring that is later than it happened, so no flow times out early.
    noticed: Option<Instant>,
}

impl CaptureClock {
    pub(crate) fn saw(&mut self, timestamp_ns: u64) {
        self.latest_ns = self.latest_ns.max(Some(timestamp_ns));
        self.last_ns = Some(timestamp_ns);
        self.noticed = None;
    }

    /// `None` before the first segment: then there is nothing that could time out.
    pub(crate) fn now(&mut self) -> Option<u64> {
        let noticed = *self.noticed.get_or_insert_with(Instant::now);
        let passed = u64::try_from(noticed.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.latest_ns.map(|latest_ns| latest_ns.saturating_add(passed))
    }
}
