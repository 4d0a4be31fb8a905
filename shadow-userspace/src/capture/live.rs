//! Live capture: load and attach the kernel programs, drain the ring.

use std::time::Duration;

use crate::capture::{SampleRate, Segment};

/// Where the programs attach (`--attach`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// TC alone, unless XDP is known to be harmless on the device.
    #[default]
    Auto,
    /// XDP in the driver, and TC.
    XdpNative,
    /// XDP in the stack, and TC.
    XdpGeneric,
    /// TC alone.
    Tc,
}

/// What to capture and where.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Network interface by name.
    pub interface: String,
    /// Service ports.
    pub ports: Vec<u16>,
    /// Share of the flows to sample.
    pub rate: SampleRate,
    /// Where to attach.
    pub attach: AttachMode,
    /// Ring buffer size in bytes: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Flows whose verdict the kernel remembers at once; beyond, the least recently used is forgotten.
    pub max_flows: u32,
    /// Export response payload too.
    pub export_responses: bool,
    /// SO_MARK of the agent's own sockets, whose packets are never exported; 0 for none.
    pub own_mark: u32,
}

/// Why capturing can't start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Placeholder.
    #[error("not built yet")]
    NotBuilt,
}

/// The programs, attached; dropping it detaches them.
#[derive(Debug)]
pub struct Live {}

/// Changes and reads the live maps; may be sent to another thread.
#[derive(Clone, Debug)]
pub struct Control {}

/// Kernel counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct KernelCounters {}

impl Live {
    /// Checks what is needed, loads the programs and attaches them.
    ///
    /// # Errors
    /// Says in one line what is missing and what to do.
    pub fn attach(_options: &LiveOptions) -> Result<Self, CaptureError> {
        Err(CaptureError::NotBuilt)
    }

    /// What was attached where, in words for a log line.
    #[must_use]
    pub fn attachment(&self) -> String {
        String::new()
    }

    /// A handle on the live maps.
    #[must_use]
    pub fn control(&self) -> Control {
        Control {}
    }

    /// Waits up to `timeout` for records and hands every one that is there to `each`; says how many there were.
    ///
    /// # Errors
    /// If the ring can't be waited for.
    pub fn drain(
        &mut self,
        _timeout: Duration,
        _each: impl FnMut(&Segment<'_>),
    ) -> Result<usize, CaptureError> {
        Ok(0)
    }

    /// Detaches the programs; records already in the ring can still be drained.
    pub fn detach(&mut self) {}
}

impl Control {
    /// The kernel counters now, summed over processors.
    ///
    /// # Errors
    /// If the map can't be read.
    pub fn counters(&self) -> Result<KernelCounters, CaptureError> {
        Ok(KernelCounters {})
    }

    /// A new sample rate, for flows that begin from now on.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_rate(&self, _rate: SampleRate) -> Result<(), CaptureError> {
        Ok(())
    }
}

impl KernelCounters {
    /// One counter.
    #[must_use]
    pub fn get(&self, _counter: shadow_common::Counter) -> u64 {
        0
    }
}
