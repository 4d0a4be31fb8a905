//! The running agent: one capture thread, one tokio runtime, started and stopped together.
//!
//! Takes the configuration of `run` or `replay`, gives a summary when it is told to stop or the capture file ends. The order
//! of stopping keeps the ledger whole (invariant 2): detach, drain the ring, end what is incomplete, finish the copies for a
//! grace time, count. [`handle`] is what can be asked and changed meanwhile.

mod capture_thread;
pub(crate) mod handle;
mod plan;
mod progress;
mod reload;
mod replay;
mod stop;
mod summary;
mod views;

use std::{
    io,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use crate::{
    admin::{AdminError, Controlled as _, Listeners},
    agent::{
        capture_thread::CaptureThread,
        handle::{Agent, Origin, Parts},
        plan::{announcement, dice, is_asked, live_options, live_sampler, upstreams},
        progress::Progress,
        replay::Replay,
        stop::Held,
        summary::Summary,
    },
    budget::MemoryBudget,
    capture::{CaptureError, Control, Live, Usage},
    config::{AdminConfig, AdminSocket, Config},
    ledger::Ledger,
    pipeline::{Pipeline, PipelineLimits, Sampler},
    process,
    shadow::mirror::{Mirror, MirrorError, latency::Latency},
};

pub(crate) use capture_thread::{CaptureClock, Source};
pub(crate) use progress::CLEAR_LINE;
pub use replay::{ReplayOptions, Speed, SpeedError};
pub(crate) use stop::{Signals, Told, hold};

/// How the final summary is printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SummaryFormat {
    /// A table to read.
    #[default]
    Text,
    /// One JSON object on one line.
    Json,
}

/// Why the agent could not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Capturing can't start, or failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The configuration can't run.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The admin API can't be offered.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// No runtime, no signal handler or no thread.
    #[error("can't start the agent: {0}")]
    Start(#[from] io::Error),
    /// A defect.
    #[error("the capture thread ended by a defect of the agent; nothing is attached any more")]
    Panicked,
}

/// Mirrors what is captured live, until a signal or an error, then prints the summary. SIGHUP reads the configuration again
/// from where it came.
///
/// # Errors
/// If capturing can't start or fails on the way.
pub(crate) fn run(config: Config, origin: Origin, summary: SummaryFormat) -> Result<(), AgentError> {
    let held = stop::hold()?;
    let runtime = runtime()?;
    let ledger = Ledger::new();
    // What is wrong with an upstream is said before anything is attached.
    let mirror = Mirror::new(&config, ledger.clone(), runtime.handle().clone())?;
    let live = live_options(&config, &mirror);
    let source = Live::attach(&live)?;
    // Afterwards, so that missing rights are told once.
    let listeners = Listeners::bind(&config.admin)?;
    let attachment = source.attachment().to_owned();
    let (control, usage) = (Some(source.control()), Some(source.usage()));
    let began = announcement(&attachment, &live, &config);
    let place = Place { attachment, control, usage, listeners, began };
    start(source, place, Setup { config, origin, mirror, ledger }, runtime, held, summary)
}

/// Mirrors the requests of a capture file, until its end, a signal or an error, then prints the summary.
///
/// # Errors
/// If the file can't be read, or not to its end; what was read of it is mirrored then.
pub(crate) fn replay(
    replay: &ReplayOptions,
    config: Config,
    summary: SummaryFormat,
) -> Result<(), AgentError> {
    let held = stop::hold()?;
    let runtime = runtime()?;
    let ledger = Ledger::new();
    let mirror = Mirror::new(&config, ledger.clone(), runtime.handle().clone())?;
    let source = Replay::open(replay).map_err(CaptureError::from)?;
    let attachment = format!("{} at {}", replay.input, replay.speed);
    let began = format!("replaying {attachment} to {}", upstreams(&config));
    let origin = Origin { path: None, load: None };
    // It ends by itself and needs no rights, so it is to be talked to only if somebody says where.
    let admin = match &config.admin.socket {
        AdminSocket::Default => AdminConfig { socket: AdminSocket::Off, ..config.admin.clone() },
        AdminSocket::At(_) | AdminSocket::Off => config.admin.clone(),
    };
    let listeners = Listeners::bind(&admin)?;
    let place = Place { attachment, control: None, usage: None, listeners, began };
    start(source, place, Setup { config, origin, mirror, ledger }, runtime, held, summary)
}

/// Where the requests come from, for people and for the counters.
struct Place {
    attachment: String,
    /// The kernel's maps, if it is the kernel.
    control: Option<Control>,
    /// What its programs cost, if they are.
    usage: Option<Usage>,
    /// Where the agent is talked to.
    listeners: Listeners,
    /// What is said once every request counts.
    began: String,
}

/// What is done with them.
struct Setup {
    config: Config,
    origin: Origin,
    mirror: Mirror,
    ledger: Ledger,
}

fn runtime() -> io::Result<Runtime> {
    process::raise_file_limit();
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(2);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("shadow")
        .enable_all()
        .build()
}

/// Within the runtime.
fn start<S: Source>(
    source: S,
    place: Place,
    setup: Setup,
    runtime: Runtime,
    held: Held,
    format: SummaryFormat,
) -> Result<(), AgentError> {
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        drop(held);
        tracing::info!("{}", place.began);
        let signal = async || signals.next().await;
        let (summary, end) = supervise(source, place, setup, signal).await?;
        summary.print(format);
        end
    });
    // Name resolution in a thread of the runtime may hang for long.
    runtime.shutdown_background();
    result
}

/// Captures from `source` and mirrors until there is a signal to stop or the capture ends. A capture that failed in order
/// still has a summary.
async fn supervise<S: Source>(
    source: S,
    place: Place,
    setup: Setup,
    mut signal: impl AsyncFnMut() -> Told,
) -> Result<(Summary, Result<(), AgentError>), AgentError> {
    let began = Instant::now();
    let Place { attachment, control, usage, listeners, began: _ } = place;
    let Setup { config, origin, mirror, ledger } = setup;
    let budget = MemoryBudget::new(config.capture.max_memory);
    let sink = mirror.sink(dice(control.clone()));
    let sink = if source.can_wait() { sink.patient(budget.clone()) } else { sink };
    let sampler = control.clone().map_or_else(Sampler::all, live_sampler);
    let limits = PipelineLimits { max_flows: config.capture.max_flows as usize, ..PipelineLimits::default() };
    let mut pipeline = Pipeline::new(limits, ledger.clone(), budget.clone(), sampler, sink);
    let first_bytes = is_asked(&config).then(|| Arc::new(Latency::new()));
    if let Some(times) = &first_bytes {
        pipeline.measure_first_bytes(Arc::clone(times));
    }

    let mut capture = CaptureThread::spawn(source, pipeline)?;
    let gauges = capture.gauges();
    let progress = Progress::start(ledger.clone(), control.clone(), gauges.clone(), mirror.latency().clone());
    let agent = Agent::new(Parts {
        origin,
        config,
        mirror: mirror.clone(),
        control: control.clone(),
        ledger: ledger.clone(),
        budget,
        capture: gauges,
        usage,
        first_bytes,
        attachment: attachment.clone(),
    });
    let server = listeners.serve(Arc::new(agent.clone()))?;
    until_stop(&agent, &mut capture, &mut signal).await;
    agent.stops();
    mirror.hurry();
    // The source lives until here, and its counters with it.
    let capture = capture.stop().await;
    let grace = if capture.is_some() { agent.config().grace } else { Duration::ZERO };
    mirror.close(until_signal(grace, &mut signal)).await;
    progress.stop().await;
    server.stop().await;

    let end = capture.ok_or(AgentError::Panicked)?;
    let summary = Summary {
        requests: ledger.snapshot(),
        kernel: control.map(|control| control.counters()).transpose()?,
        file: end.source.file_stats(),
        flows: end.flows,
        latency: mirror.latency().total(),
        connections: mirror.connections(),
        attachment,
        elapsed: began.elapsed(),
    };
    drop(end.source);
    Ok((summary, end.result.map_err(AgentError::from)))
}

/// Until there is a signal to stop, or the capture ends by itself.
async fn until_stop<S: Source>(
    agent: &Agent,
    capture: &mut CaptureThread<S>,
    signal: &mut impl AsyncFnMut() -> Told,
) {
    loop {
        let told = tokio::select! {
            told = signal() => told,
            () = capture.ended() => return,
        };
        if told == Told::Stop || !agent.can_reload() {
            tracing::info!("stopping; a second signal gives up copies on their way");
            return;
        }
        let agent = agent.clone();
        // It reads files, which may hang, and says itself how it ended.
        tokio::task::spawn_blocking(move || agent.reload().ok());
    }
}

async fn until_signal(limit: Duration, signal: &mut impl AsyncFnMut() -> Told) {
    let stop = async { while signal().await != Told::Stop {} };
    // Over by itself or by the signal: both is an end.
    tokio::time::timeout(limit, stop).await.ok();
}

#[cfg(test)]
mod tests;
