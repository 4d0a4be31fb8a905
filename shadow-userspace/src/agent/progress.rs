//! What the running agent shows on stderr: one line that is rewritten each second on a terminal, otherwise a log
//! line every ten seconds if anything changed. Counts only, never a request (invariant 5).

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle, time::MissedTickBehavior};

use crate::{
    agent::{capture_thread::CaptureGauges, summary::seen},
    capture::Control,
    ledger::Ledger,
    shadow::mirror::latency::{Latency, Quantiles},
};

/// Back to the line's start and clear it: what a log line or the summary needs before it on a terminal.
pub(crate) const CLEAR_LINE: &str = "\r\x1b[2K";

/// A terminal that is too narrow cuts the line off: only the last row of a wrapped one could be cleared.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// The running display.
pub(super) struct Progress {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Progress {
    /// Shows the agent's counts until stopped.
    pub(super) fn start(
        ledger: Ledger,
        control: Option<Control>,
        capture: Arc<CaptureGauges>,
        latency: Arc<Latency>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let gauges = Gauges { ledger, control, capture, latency };
        let display = async move {
            if io::stderr().is_terminal() { gauges.rewrite_line().await } else { gauges.log_changes().await }
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                () = display => {}
                _ = stopped => {}
            }
        });
        Self { stop, task }
    }

    /// Leaves the terminal's line empty.
    pub(super) async fn stop(self) {
        self.stop.send(()).ok();
        self.task.await.ok();
        if io::stderr().is_terminal() {
            io::stderr().write_all(CLEAR_LINE.as_bytes()).ok();
        }
    }
}

/// Where the counts come from.
struct Gauges {
    ledger: Ledger,
    control: Option<Control>,
    capture: Arc<CaptureGauges>,
    latency: Arc<Latency>,
}

impl Gauges {
    async fn rewrite_line(&self) {
        let mut ticks = every(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            let line = format!("{CLEAR_LINE}{NO_WRAP}{}{WRAP}", self.read());
            // The terminal is gone: nobody to show anything to.
            if io::stderr().write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    }

    async fn log_changes(&self) {
        let mut ticks = every(Duration::from_secs(10));
        let mut shown = Counts::default();
        loop {
            ticks.tick().await;
            let counts = self.read();
            if counts.differs(&shown) {
                tracing::info!("{counts}");
            }
            shown = counts;
        }
    }

    fn read(&self) -> Counts {
        let kernel = self.control.as_ref().and_then(|control| control.counters().ok());
        let now = self.ledger.snapshot();
        Counts {
            seen: seen(kernel.as_ref(), self.capture.flows().requests_framed),
            sampled: now.sampled,
            mirrored: now.mirrored(),
            failed: now.failed(),
            dropped: now.dropped(),
            in_flight: now.in_flight(),
            latency: self.latency.take_interval(),
        }
    }
}

/// The first tick comes after one period, and late ones are not made up for.
fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The agent's state in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    seen: u64,
    sampled: u64,
    mirrored: u64,
    failed: u64,
    dropped: u64,
    in_flight: u64,
    /// Of the last interval.
    latency: Quantiles,
}

impl Counts {
    /// In anything but the latency.
    fn differs(&self, other: &Self) -> bool {
        Self { latency: other.latency, ..*self } != *other
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, sampled, mirrored, failed, dropped, in_flight, latency } = self;
        write!(
            f,
            "requests {seen}, sampled {sampled}, mirrored {mirrored}, failed {failed}, dropped {dropped},"
        )?;
        write!(f, " in flight {in_flight}, v2 {}", InMillis(latency))
    }
}

/// Quantiles in milliseconds, to two digits behind the point.
pub(super) struct InMillis<'a>(pub(super) &'a Quantiles);

impl fmt::Display for InMillis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantiles { p50, p99, max } = self.0;
        if max.is_zero() {
            return f.write_str("without an answer");
        }
        let millis = |duration: &Duration| duration.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", millis(p50), millis(p99), millis(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_every_count() {
        let latency = Quantiles {
            p50: Duration::from_micros(1500),
            p99: Duration::from_millis(20),
            max: Duration::from_secs(1),
        };
        let counts =
            Counts { seen: 900, sampled: 50, mirrored: 40, failed: 5, dropped: 3, in_flight: 2, latency };
        assert_eq!(
            counts.to_string(),
            "requests 900, sampled 50, mirrored 40, failed 5, dropped 3, in flight 2, v2 p50 1.50 ms, p99 20.00 ms, \
             max 1000.00 ms"
        );
        assert!(Counts::default().to_string().ends_with("in flight 0, v2 without an answer"));
    }

    #[test]
    fn quiet_while_only_the_interval_passes() {
        let busy = Quantiles { p50: Duration::from_secs(1), ..Quantiles::default() };
        let counts = Counts { seen: 1, latency: busy, ..Counts::default() };
        assert!(!counts.differs(&Counts { latency: Quantiles::default(), ..counts }));
        assert!(counts.differs(&Counts { in_flight: 1, ..counts }));
    }
}
