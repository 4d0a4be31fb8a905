//! The running agent: one capture thread, one tokio runtime, started and stopped together.
//!
//! Takes the options of `run` or `replay`, gives a summary when it is told to stop or the capture file ends. The order of
//! stopping keeps the ledger whole (invariant 2): detach, drain the ring, end what is incomplete, finish the copies for a
//! grace time, count.

mod capture_thread;
mod progress;
mod replay;
mod stop;
mod summary;

use std::{
    io,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use shadow_common::SampleBy;

use crate::{
    agent::{
        capture_thread::CaptureThread, progress::Progress, replay::Replay, stop::Held, summary::Summary,
    },
    budget::MemoryBudget,
    capture::{CaptureError, Control, Live, LiveOptions},
    ledger::Ledger,
    pipeline::{Pipeline, PipelineLimits, Sampler},
    random,
    shadow::{
        client::{ClientError, ClientOptions, ShadowClient},
        dispatch::{self, DispatchOptions},
        upstream::Upstream,
    },
};

pub(crate) use capture_thread::{CaptureClock, Source};
pub(crate) use progress::CLEAR_LINE;
pub use replay::{ReplayOptions, Speed, SpeedError};
pub(crate) use stop::{Signals, hold};

/// How the final summary is printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SummaryFormat {
    /// A table to read.
    #[default]
    Text,
    /// One JSON object on one line.
    Json,
}

/// What is done with requests, wherever they come from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where copies go.
    pub upstream: Upstream,
    /// How copies are sent.
    pub client: ClientOptions,
    /// How many copies wait and are sent at once.
    pub dispatch: DispatchOptions,
    /// Limits of the flow table and of single requests.
    pub limits: PipelineLimits,
    /// Bytes held for all requests together.
    pub max_memory: usize,
    /// How long copies may take to finish once the agent is told to stop.
    pub grace: Duration,
    /// How the summary is printed.
    pub summary: SummaryFormat,
}

/// Why the agent could not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Capturing can't start, or failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The upstream can't be reached as it is configured.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No runtime, no signal handler or no thread.
    #[error("can't start the agent: {0}")]
    Start(#[from] io::Error),
    /// A defect.
    #[error("the capture thread ended by a defect of the agent; nothing is attached any more")]
    Panicked,
}

/// Mirrors what is captured live, until a signal or an error, then prints the summary.
///
/// # Errors
/// If capturing can't start or fails on the way.
pub fn run(live: &LiveOptions, options: &Options) -> Result<(), AgentError> {
    let held = stop::hold()?;
    let source = Live::attach(live)?;
    let attachment = source.attachment().to_owned();
    let control = source.control();
    let began = announcement(&attachment, live, options);
    mirror(source, Place { attachment, control: Some(control), began }, options, held)
}

/// Mirrors the requests of a capture file, until its end, a signal or an error, then prints the summary.
///
/// # Errors
/// If the file can't be read, or not to its end; what was read of it is mirrored then.
pub fn replay(replay: &ReplayOptions, options: &Options) -> Result<(), AgentError> {
    let held = stop::hold()?;
    let source = Replay::open(replay).map_err(CaptureError::from)?;
    let attachment = format!("{} at {}", replay.input, replay.speed);
    let began = format!("replaying {attachment} to {}", options.upstream);
    mirror(source, Place { attachment, control: None, began }, options, held)
}

/// Where the requests come from, for people and for the counters.
struct Place {
    attachment: String,
    /// The kernel's counters, if it is the kernel.
    control: Option<Control>,
    /// What is said once every request counts.
    began: String,
}

/// Within a runtime.
fn mirror<S: Source>(source: S, place: Place, options: &Options, held: Held) -> Result<(), AgentError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("shadow")
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        drop(held);
        tracing::info!("{}", place.began);
        let signal = async || signals.next().await;
        let (summary, end) = supervise(source, place.attachment, place.control, options, signal).await?;
        summary.print(options.summary);
        end
    });
    // Name resolution in a thread of the runtime may hang for long.
    runtime.shutdown_background();
    result
}

/// The line that says that every request from now on counts.
fn announcement(attachment: &str, live: &LiveOptions, options: &Options) -> String {
    let ports: Vec<_> = live.ports.iter().map(u16::to_string).collect();
    let what = match live.sample_by {
        SampleBy::Request => "requests",
        SampleBy::Connection => "connections",
        SampleBy::ClientIp => "clients",
    };
    let (rate, ports, upstream) = (live.rate, ports.join(", "), &options.upstream);
    format!("attached {attachment}; mirroring {rate} of the {what} of port {ports} to {upstream}")
}

/// Draws as the kernel does, at the rate of the moment.
fn live_sampler(control: Control) -> Sampler {
    Sampler::new(move |flow| control.draw(flow, random::number()))
}

/// Captures from `source` and mirrors until there is a `signal` or the capture ends. A capture that failed in order
/// still has a summary.
async fn supervise<S: Source>(
    source: S,
    attachment: String,
    control: Option<Control>,
    options: &Options,
    mut signal: impl AsyncFnMut(),
) -> Result<(Summary, Result<(), AgentError>), AgentError> {
    let began = Instant::now();
    let ledger = Ledger::new();
    let client = ShadowClient::plain(options.upstream.clone(), &options.client)?;
    let runtime = tokio::runtime::Handle::current();
    let (sink, dispatcher) = dispatch::start(&runtime, client, &options.dispatch);
    let (latency, client) = (dispatcher.latency().clone(), dispatcher.client().clone());
    let budget = MemoryBudget::new(options.max_memory);
    let sink = if source.can_wait() { sink.patient(budget.clone()) } else { sink };
    let sampler = control.clone().map_or_else(Sampler::all, live_sampler);
    let pipeline = Pipeline::new(options.limits.clone(), ledger.clone(), budget, sampler, sink);

    let mut capture = CaptureThread::spawn(source, pipeline)?;
    let progress = Progress::start(ledger.clone(), control.clone(), capture.gauges(), latency.clone());
    tokio::select! {
        () = signal() => tracing::info!("stopping; a second signal gives up copies on their way"),
        () = capture.ended() => {}
    }
    dispatcher.hurry();
    // The source lives until here, and its counters with it.
    let capture = capture.stop().await;
    let grace = if capture.is_some() { options.grace } else { Duration::ZERO };
    dispatcher.close(until_signal(grace, &mut signal)).await;
    progress.stop().await;

    let end = capture.ok_or(AgentError::Panicked)?;
    let summary = Summary {
        requests: ledger.snapshot(),
        kernel: control.map(|control| control.counters()).transpose()?,
        file: end.source.file_stats(),
        flows: end.flows,
        latency: latency.total(),
        connections: client.connections(),
        attachment,
        elapsed: began.elapsed(),
    };
    drop(end.source);
    Ok((summary, end.result.map_err(AgentError::from)))
}

async fn until_signal(limit: Duration, signal: &mut impl AsyncFnMut()) {
    // Over by itself or by the signal: both is an end.
    tokio::time::timeout(limit, signal()).await.ok();
}

#[cfg(test)]
mod tests;
