//! The running agent, as the admin API and signals see it: what it does now, and what can be changed about it.
//!
//! Changes come one after the other. The routes' rates change before the kernel's: what the kernel samples meanwhile is
//! thinned to what it samples, never below the old rate or the new one, whichever is less.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::{
    admin::{
        ControlError, Controlled, MetricsSample, Readiness, RouteStatus, Status,
        sample::Fill,
        status::{ReloadStatus, RequestsStatus, SamplingStatus},
    },
    agent::{capture_thread::CaptureGauges, reload::needs_restart, summary::seen, views},
    budget::MemoryBudget,
    capture::{Control, SampleRate, Usage},
    config::{Config, ConfigSource},
    ledger::Ledger,
    shadow::mirror::{Mirror, latency::Latency},
};

/// Reads the configuration anew; otherwise says in a line, or several, what is wrong with it.
pub(crate) type Load = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Where the configuration comes from.
pub(crate) struct Origin {
    /// The file, if there is one.
    pub(crate) path: Option<PathBuf>,
    /// None: there is nothing to read again.
    pub(crate) load: Option<Load>,
}

impl Origin {
    /// A file can be read again; what the command line said stays.
    pub(crate) fn of(source: ConfigSource) -> Self {
        let path = source.path.clone();
        let load: Load = Box::new(move || {
            let loaded = source.load().map_err(|error| error.to_string())?;
            for note in &loaded.notes {
                tracing::warn!("{note}");
            }
            Ok(loaded.config)
        });
        Self { load: path.is_some().then_some(load), path }
    }
}

/// A handle on the running agent; cheap to clone.
#[derive(Clone)]
pub(crate) struct Agent(Arc<Inner>);

struct Inner {
    origin: Origin,
    /// The configuration at work. Held while something is changed.
    config: Mutex<Config>,
    mirror: Mirror,
    /// The kernel's maps, if the requests come from there.
    control: Option<Control>,
    ledger: Ledger,
    budget: MemoryBudget,
    capture: Arc<CaptureGauges>,
    usage: Option<Usage>,
    /// Of the real service, if they are measured.
    first_bytes: Option<Arc<Latency>>,
    attachment: String,
    began: Instant,
    paused: AtomicBool,
    is_stopping: AtomicBool,
    /// Held while the configuration is read, so that the one read last runs in the end.
    reloading: Mutex<()>,
    last_reload: Mutex<Option<Reloaded>>,
    reloads_ok: AtomicU64,
    reloads_failed: AtomicU64,
}

/// How the last reload ended.
struct Reloaded {
    at: Instant,
    error: Option<String>,
}

/// What a running agent is made of.
pub(super) struct Parts {
    pub(super) origin: Origin,
    pub(super) config: Config,
    pub(super) mirror: Mirror,
    pub(super) control: Option<Control>,
    pub(super) ledger: Ledger,
    pub(super) budget: MemoryBudget,
    pub(super) capture: Arc<CaptureGauges>,
    pub(super) usage: Option<Usage>,
    pub(super) first_bytes: Option<Arc<Latency>>,
    pub(super) attachment: String,
}

impl Agent {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            origin,
            config,
            mirror,
            control,
            ledger,
            budget,
            capture,
            usage,
            first_bytes,
            attachment,
        } = parts;
        Self(Arc::new(Inner {
            origin,
            config: Mutex::new(config),
            mirror,
            control,
            ledger,
            budget,
            capture,
            usage,
            first_bytes,
            attachment,
            began: Instant::now(),
            paused: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            reloading: Mutex::new(()),
            last_reload: Mutex::new(None),
            reloads_ok: AtomicU64::new(0),
            reloads_failed: AtomicU64::new(0),
        }))
    }

    /// The agent was told to stop.
    pub(super) fn stops(&self) {
        self.0.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether there is a configuration to be read again.
    pub(super) fn can_reload(&self) -> bool {
        self.0.origin.load.is_some()
    }

    /// As it is configured now.
    pub(super) fn config(&self) -> MutexGuard<'_, Config> {
        self.0.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called by one at a time.
    fn apply(&self, next: Config) -> Result<(), ControlError> {
        let Inner { mirror, control, is_stopping, .. } = &*self.0;
        if let Some(reasons) = needs_restart(&self.config(), &next) {
            return Err(ControlError::Invalid(reasons));
        }
        // It reads files, which may hang: everybody else must go on meanwhile.
        let plan = mirror.prepare(&next).map_err(|error| ControlError::Invalid(error.to_string()))?;
        let mut now = self.config();
        if is_stopping.load(Ordering::Relaxed) {
            return Err(ControlError::Unsupported("the agent is stopping".to_owned()));
        }
        // What can fail comes first: then nothing has changed.
        if let Some(control) = control
            && next.capture.ports != now.capture.ports
        {
            control.set_ports(&next.capture.ports).map_err(failed)?;
        }
        mirror.switch(plan);
        *now = next;
        self.tell_kernel()
    }

    /// The kernel samples what the routes need. To be called with the configuration held.
    fn tell_kernel(&self) -> Result<(), ControlError> {
        let Some(control) = &self.0.control else { return Ok(()) };
        let (by, rate) = self.0.mirror.plan().table().kernel_sampling();
        control.set_sampling(by, rate).map_err(failed)
    }

    fn seen(&self) -> u64 {
        let kernel = self.0.control.as_ref().and_then(|control| control.counters().ok());
        seen(kernel.as_ref(), self.0.capture.flows().requests_framed)
    }
}

impl Controlled for Agent {
    fn readiness(&self) -> Readiness {
        if self.0.is_stopping.load(Ordering::Relaxed) { Readiness::Stopping } else { Readiness::Ready }
    }

    fn status(&self) -> Status {
        let inner = &*self.0;
        let sampling = inner.control.is_some().then(|| {
            let (by, rate) = inner.mirror.plan().table().kernel_sampling();
            SamplingStatus { by: views::by_label(by).to_owned(), percent: rate.percent() }
        });
        let last_reload = inner.last_reload.lock().unwrap_or_else(PoisonError::into_inner);
        let last_reload = last_reload.as_ref().map(|Reloaded { at, error }| ReloadStatus {
            seconds_ago: at.elapsed().as_secs_f64(),
            error: error.clone(),
        });
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: inner.began.elapsed().as_secs_f64(),
            attachment: inner.attachment.clone(),
            paused: inner.paused.load(Ordering::Relaxed),
            sampling,
            config: inner.origin.path.as_ref().map(|path| path.display().to_string()),
            last_reload,
            requests: RequestsStatus::new(self.seen(), &inner.ledger.snapshot()),
            upstreams: views::upstreams(&inner.mirror),
            capabilities: None,
        }
    }

    fn routes(&self) -> Vec<RouteStatus> {
        views::routes(&self.0.mirror, &self.0.ledger.snapshot())
    }

    fn metrics(&self) -> MetricsSample {
        let inner = &*self.0;
        let kernel = inner.control.as_ref().and_then(|control| control.counters().ok());
        let flows = inner.capture.flows();
        let ring = inner.control.as_ref().and_then(|control| control.ring_fill().ok());
        MetricsSample {
            seen: seen(kernel.as_ref(), flows.requests_framed),
            requests: inner.ledger.snapshot(),
            kernel,
            programs: views::programs(inner.usage.as_ref()),
            ring: ring.map(|ring| Fill { used: ring.used, limit: ring.size }),
            flows,
            memory: Fill { used: inner.budget.used() as u64, limit: inner.budget.limit() as u64 },
            upstreams: views::samples(&inner.mirror),
            real_latency: inner.first_bytes.as_ref().map(|times| times.buckets()),
            reloads_ok: inner.reloads_ok.load(Ordering::Relaxed),
            reloads_failed: inner.reloads_failed.load(Ordering::Relaxed),
            paused: inner.paused.load(Ordering::Relaxed),
        }
    }

    fn set_rate(&self, selector: &str, rate: SampleRate) -> Result<(), ControlError> {
        let _held = self.config();
        let result = self.0.mirror.set_rate(selector, rate);
        result.map_err(|error| ControlError::Unknown(error.to_string()))?;
        tracing::info!("{selector} is mirrored at {rate} from now on");
        self.tell_kernel()
    }

    fn set_paused(&self, paused: bool) -> Result<(), ControlError> {
        let _held = self.config();
        let Some(control) = &self.0.control else {
            return Err(ControlError::Unsupported("a replay can't be paused: stop it instead".to_owned()));
        };
        control.set_paused(paused).map_err(failed)?;
        self.0.paused.store(paused, Ordering::Relaxed);
        tracing::info!("{}", if paused { "paused: no new request is mirrored" } else { "mirroring goes on" });
        Ok(())
    }

    fn reload(&self) -> Result<(), ControlError> {
        let Some(load) = &self.0.origin.load else {
            let reason = "there is no configuration to be read again: start the agent with --config FILE";
            return Err(ControlError::Unsupported(reason.to_owned()));
        };
        let _one = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let result = load().map_err(ControlError::Invalid).and_then(|config| self.apply(config));
        match &result {
            Ok(()) => {
                self.0.reloads_ok.fetch_add(1, Ordering::Relaxed);
                tracing::info!("the configuration was read again and runs");
            }
            Err(error) => {
                self.0.reloads_failed.fetch_add(1, Ordering::Relaxed);
                for line in error.to_string().lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the new configuration is refused; the old one goes on");
            }
        }
        let error = result.as_ref().err().map(ControlError::to_string);
        let reloaded = Reloaded { at: Instant::now(), error };
        *self.0.last_reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(reloaded);
        result
    }
}

fn failed(error: impl std::fmt::Display) -> ControlError {
    ControlError::Failed(error.to_string())
}

#[cfg(test)]
mod tests;
