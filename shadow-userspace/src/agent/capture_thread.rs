//! The capture thread: takes segments from the source, feeds the pipeline, owns both.
//!
//! It never waits for v2 (invariant 1). However it ends, the source is detached: in order, or by being dropped.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    capture::{CaptureError, Live, Segment},
    ledger::DropReason,
    pipeline::{FlowStats, Pipeline, RequestSink},
};

/// How long one look at the ring waits at most: so late are a stop and the pipeline's timeouts noticed.
const WAIT: Duration = Duration::from_millis(100);

/// What the capture thread reads from.
pub(super) trait Source: Send + 'static {
    /// See [`Live::drain`].
    fn drain(&mut self, wait: Duration, each: &mut dyn FnMut(&Segment<'_>)) -> Result<usize, CaptureError>;

    /// See [`Live::detach`].
    fn detach(&mut self);
}

impl Source for Live {
    fn drain(&mut self, wait: Duration, each: &mut dyn FnMut(&Segment<'_>)) -> Result<usize, CaptureError> {
        Live::drain(self, wait, each)
    }

    fn detach(&mut self) {
        Live::detach(self);
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

/// The running thread.
pub(super) struct CaptureThread<S> {
    thread: JoinHandle<CaptureEnd<S>>,
    stop: Arc<AtomicBool>,
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
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || {
            let _living = living;
            let mut result = follow(&mut source, &mut pipeline, &stopped);
            source.detach();
            // What is in the ring still counts, unless the ring is what failed.
            if result.is_ok() {
                result = rest(&mut source, &mut pipeline);
            }
            pipeline.finish(DropReason::Shutdown);
            CaptureEnd { result, flows: pipeline.stats(), source }
        })?;
        Ok(Self { thread, stop, alive })
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
        self.thread.join().ok()
    }
}

/// Until told to stop.
fn follow<S: Source, K: RequestSink>(
    source: &mut S,
    pipeline: &mut Pipeline<K>,
    stop: &AtomicBool,
) -> Result<(), CaptureError> {
    let mut clock = CaptureClock::default();
    while !stop.load(Ordering::Relaxed) {
        source.drain(WAIT, &mut |segment| {
            clock.saw(segment.timestamp_ns);
            pipeline.segment(segment);
        })?;
        if let Some(now_ns) = clock.now() {
            pipeline.tick(now_ns);
        }
    }
    Ok(())
}

/// What is left after detaching.
fn rest<S: Source, K: RequestSink>(source: &mut S, pipeline: &mut Pipeline<K>) -> Result<(), CaptureError> {
    while source.drain(Duration::ZERO, &mut |segment| pipeline.segment(segment))? > 0 {}
    Ok(())
}

/// The time in the source's epoch, which only segments tell: the latest timestamp and what has passed since.
#[derive(Default)]
struct CaptureClock {
    latest_ns: Option<u64>,
    /// When `latest_ns` was noticed; behind a full ring that is later than it happened, so no flow times out early.
    noticed: Option<Instant>,
}

impl CaptureClock {
    fn saw(&mut self, timestamp_ns: u64) {
        self.latest_ns = self.latest_ns.max(Some(timestamp_ns));
        self.noticed = None;
    }

    /// `None` before the first segment: then there is nothing that could time out.
    fn now(&mut self) -> Option<u64> {
        let noticed = *self.noticed.get_or_insert_with(Instant::now);
        let passed = u64::try_from(noticed.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.latest_ns.map(|latest_ns| latest_ns.saturating_add(passed))
    }
}
