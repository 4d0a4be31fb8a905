//! From a source to its end, or to a signal: the source and the pipeline on one thread, signals on another.
//!
//! However it ends, what was printed is whole (a HAR document has an end), and a live source is detached.

use std::{
    io::{self, Read, Write as _},
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;

use crate::{
    agent::{CaptureClock, Signals, Source as _, hold},
    budget::MemoryBudget,
    capture::{
        Live,
        file::{FileSource, FileStats, Input},
    },
    ledger::{DropReason, Ledger},
    pipeline::{Assemble, ExchangePipeline, ExchangeSink, Pipeline, PipelineLimits, Sampler},
    tap::{Tap, TapError, TapOptions, TapSource, TapSummary},
};

/// How long one look at the ring, or at standard input, waits at most: so late is a stop noticed.
const WAIT: Duration = Duration::from_millis(100);

/// How far the capture's clock goes before the pipeline is told.
const TICK_NS: u64 = Duration::from_millis(10).as_nanos() as u64;

/// Memory for all that is not printed yet.
const MAX_MEMORY: usize = 256 << 20;

/// Connections of a capture file that are followed at once. Beside those of [`PipelineLimits`] nothing else runs.
const MAX_FILE_FLOWS: usize = 1 << 18;

type Output = Tap<std::fs::File>;

/// What was printed, and what couldn't be.
struct Ended {
    printed: TapSummary,
    /// Of a capture file.
    file: Option<FileStats>,
    /// Requests of which not even the beginning found room in the ring.
    lost: u64,
}

/// Prints exchanges until the source ends, there were as many as asked for, nobody reads them any more, or a signal comes.
///
/// # Errors
/// The source can't be read, or the exchanges can't be written. What was printed until then is whole.
pub fn run(options: &TapOptions) -> Result<(), TapError> {
    let held = hold().map_err(TapError::Start)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (living, over) = oneshot::channel::<()>();
    let worker = match &options.source {
        TapSource::File { path, ports } => {
            let source = open(path, ports, &stop)?;
            let sink = Output::on_stdout(options)?;
            spawn(living, file_worker(source, is_stdin(path), sink, Arc::clone(&stop)))?
        }
        TapSource::Live(live) => {
            let live = Live::attach(live)?;
            tracing::info!("attached {}; printing exchanges", live.attachment());
            spawn(living, live_worker(live, Output::on_stdout(options)?, Arc::clone(&stop)))?
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TapError::Start)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(TapError::Start)?;
        drop(held);
        tokio::select! {
            _ = signals.next() => {}
            // An error is what is waited for: the other end was dropped.
            _ = over => {}
        }
        stop.store(true, Ordering::Relaxed);
        Ok::<(), TapError>(())
    })?;
    let ended = worker.join().map_err(|_| TapError::Panicked)??;
    // Nobody may be there to read it.
    writeln!(io::stderr(), "{}", said(&ended)).ok();
    Ok(())
}

fn spawn(
    living: oneshot::Sender<()>,
    work: impl FnOnce() -> Result<Ended, TapError> + Send + 'static,
) -> Result<JoinHandle<Result<Ended, TapError>>, TapError> {
    let work = move || {
        let _living = living;
        work()
    };
    std::thread::Builder::new().name("capture".to_owned()).spawn(work).map_err(TapError::Start)
}

/// Follows both directions of the flows of a source.
fn pipeline<S: ExchangeSink>(limits: PipelineLimits, sink: S) -> ExchangePipeline<S> {
    Pipeline::new(limits, Ledger::new(), MemoryBudget::new(MAX_MEMORY), Sampler::all(), sink)
}

fn file_worker(
    mut source: FileSource,
    pauses: bool,
    sink: Output,
    stop: Arc<AtomicBool>,
) -> impl FnOnce() -> Result<Ended, TapError> {
    move || {
        let limits = PipelineLimits { max_flows: MAX_FILE_FLOWS, ..PipelineLimits::default() };
        let mut pipeline = pipeline(limits, sink);
        let goes_on = |sink: &mut Output| {
            // Whoever watches a stream wants to see what came of it before the next part comes.
            if pauses && sink.holds_back() && !is_ready(&io::stdin(), PollTimeout::ZERO).unwrap_or(true) {
                sink.flush();
            }
            !stop.load(Ordering::Relaxed) && !sink.is_done()
        };
        let read = read_file(&mut source, &mut pipeline, goes_on);
        pipeline.finish(DropReason::Incomplete);
        let printed = pipeline.into_sink().finish()?;
        read?;
        Ok(Ended { printed, file: Some(*source.stats()), lost: 0 })
    }
}

/// Gives a pipeline the segments of a capture file, to its end or as long as `goes_on` says.
///
/// # Errors
/// If the file can't be read to its end.
pub fn read_file<S, A: Assemble<S>>(
    source: &mut FileSource,
    pipeline: &mut Pipeline<S, A>,
    mut goes_on: impl FnMut(&mut S) -> bool,
) -> Result<(), crate::capture::file::FileError> {
    let mut due_ns = 0;
    while let Some(segment) = source.next()? {
        let now_ns = segment.timestamp_ns;
        pipeline.segment(&segment);
        // Also where time goes back, as in files that were put together.
        if now_ns >= due_ns || due_ns - now_ns > TICK_NS {
            due_ns = now_ns.saturating_add(TICK_NS);
            pipeline.tick(now_ns);
        }
        for note in pipeline.take_notes() {
            source.tell(&note);
        }
        if !goes_on(pipeline.sink_mut()) {
            break;
        }
    }
    Ok(())
}

fn live_worker(
    mut live: Live,
    sink: Output,
    stop: Arc<AtomicBool>,
) -> impl FnOnce() -> Result<Ended, TapError> {
    move || {
        let mut pipeline = pipeline(PipelineLimits::default(), sink);
        let mut read = Ok(0);
        let mut clock = CaptureClock::default();
        while read.is_ok() && !stop.load(Ordering::Relaxed) && !pipeline.sink().is_done() {
            read = live.drain(WAIT, |segment| {
                clock.saw(segment.timestamp_ns);
                pipeline.segment(segment);
            });
            if let Some(now_ns) = clock.now() {
                pipeline.tick(now_ns);
            }
            live.tell(&mut pipeline.take_notes());
            pipeline.sink_mut().flush();
        }
        live.detach();
        // What is in the ring still counts, unless the ring is what failed.
        let mut rest = read.map(|_| 1);
        while let Ok(1..) = rest {
            rest = live.drain(Duration::ZERO, |segment| pipeline.segment(segment));
        }
        pipeline.finish(DropReason::Shutdown);
        let printed = pipeline.into_sink().finish()?;
        rest?;
        Ok(Ended { printed, file: None, lost: live.requests_lost()? })
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a read would not wait, within this time.
fn is_ready(input: &impl AsFd, within: PollTimeout) -> io::Result<bool> {
    let mut wanted = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut wanted, within)? > 0)
}

/// Opens a capture file; `-` is standard input, whose end a stop is too.
fn open(path: &Path, ports: &[u16], stop: &Arc<AtomicBool>) -> Result<FileSource, TapError> {
    let source = if is_stdin(path) {
        let stdin = Stoppable { input: io::stdin(), stop: Arc::clone(stop) };
        FileSource::read(stdin, "standard input".to_owned(), ports)
    } else {
        FileSource::open(&Input::Path(path.to_owned()), ports)
    };
    Ok(source?)
}

/// An input that ends when it is told to, even if nobody writes.
struct Stoppable<R> {
    input: R,
    stop: Arc<AtomicBool>,
}

impl<R: Read + AsFd> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = PollTimeout::try_from(WAIT).unwrap_or(PollTimeout::MAX);
        while !self.stop.load(Ordering::Relaxed) {
            if is_ready(&self.input, timeout)? {
                return self.input.read(buffer);
            }
        }
        Ok(0)
    }
}

/// The line about what was printed and what could not be.
fn said(ended: &Ended) -> String {
    let mut line = ended.printed.to_string();
    if ended.lost > 0 {
        line.push_str(&format!("; lost before they were seen, as the ring was full: {}", ended.lost));
    }
    let Some(file) = &ended.file else { return line };
    line.push_str(&format!("; {} packets", file.packets));
    for (count, what) in [
        (file.cut_short, "cut short"),
        (file.malformed, "malformed"),
        (file.fragments, "IP fragments"),
        (file.unknown_link, "of link types that aren't read"),
        (file.unknown_flow + file.unplaced, "of connections whose beginning is missing"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    if file.truncated > 0 {
        line.push_str("; the file ends within a packet");
    }
    line
}
