//! The agent's kernel side on the gateway's device, its ring drained on a thread that only counts what comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use shadow_userspace::capture::{AttachMode, Control, KernelCounters, Live, LiveOptions, SampleRate};

use crate::{
    lab::{NIC, PORT},
    netns::Namespace,
};

/// How long one look at the ring waits at most: so late is a stop noticed.
const WAIT: Duration = Duration::from_millis(20);

/// Room for what comes between two looks at the ring, even if the thread has to wait for a processor: 64 MiB.
const RING_BYTES: u32 = 64 << 20;

/// The programs attached to [`NIC`], for requests to [`PORT`]; detached when dropped.
#[derive(Debug)]
pub struct Capture {
    control: Control,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Drained>>>,
}

/// What was read from the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records.
    pub records: u64,
    /// Payload bytes in them.
    pub bytes: u64,
}

impl Capture {
    /// Attaches the programs.
    ///
    /// # Errors
    /// What [`Live::attach`] says.
    pub fn start(gateway: &Namespace, attach: AttachMode, rate: SampleRate) -> Result<Self> {
        let options = LiveOptions {
            interfaces: vec![NIC.to_owned()],
            netns: Some(gateway.path()),
            ports: vec![PORT],
            rate,
            attach,
            ring_bytes: RING_BYTES,
            seed: std::process::id(),
            ..LiveOptions::default()
        };
        let live = Live::attach(&options)?;
        let control = live.control();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new().name("drain".to_owned()).spawn(move || drain(live, &told))?;
        Ok(Self { control, stop, thread: Some(thread) })
    }

    /// The live maps.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Detaches the programs and reads the ring to its end. What the counters say from now on is exact.
    ///
    /// # Errors
    /// The ring or the counters can't be read.
    pub fn stop(mut self) -> Result<(KernelCounters, Drained)> {
        let drained = self.end().context("the thread has not ended before")??;
        Ok((self.control.counters()?, drained))
    }

    fn end(&mut self) -> Option<Result<Drained>> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take()?.join();
        Some(ended.unwrap_or_else(|_| Err(anyhow!("the thread that drains the ring panicked"))))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `stop`.
        let _ = self.end();
    }
}

fn drain(mut live: Live, stop: &AtomicBool) -> Result<Drained> {
    let mut drained = Drained::default();
    let mut look = |live: &mut Live, wait| {
        live.drain(wait, |segment| {
            drained.records += 1;
            drained.bytes += segment.payload.len() as u64;
        })
    };
    while !stop.load(Ordering::Relaxed) {
        look(&mut live, WAIT)?;
    }
    live.detach();
    while look(&mut live, Duration::ZERO)? > 0 {}
    Ok(drained)
}
