//! The live maps: change the rate, pause, read the counters. Safe to use from any thread while the programs run.

use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{Array, MapData, PerCpuArray};
use shadow_common::{COUNTERS, Config, Counter, CounterKind, PAUSED};

use crate::capture::{CaptureError, SampleRate};

/// A handle on the live maps; cheap to clone. It outlives the programs: after they are detached the counters stand.
#[derive(Clone)]
pub struct Control {
    maps: Arc<Mutex<Maps>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("config", &self.lock().current).finish_non_exhaustive()
    }
}

struct Maps {
    config: Array<MapData, Config>,
    counts: PerCpuArray<MapData, u64>,
    current: Config,
}

impl Control {
    pub(super) fn new(
        config: Array<MapData, Config>,
        counts: PerCpuArray<MapData, u64>,
        initial: Config,
    ) -> Result<Self, CaptureError> {
        let control =
            Self { maps: Arc::new(Mutex::new(Maps { config, counts, current: Config::default() })) };
        control.update(|config| *config = initial)?;
        Ok(control)
    }

    /// A new sample rate, for flows that begin from now on.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_rate(&self, rate: SampleRate) -> Result<(), CaptureError> {
        self.update(|config| config.sample_threshold = rate.threshold())
    }

    /// Takes no new flow into the sample while `paused`; those already in it are finished.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_paused(&self, paused: bool) -> Result<(), CaptureError> {
        self.update(|config| if paused { config.flags |= PAUSED } else { config.flags &= !PAUSED })
    }

    /// The kernel counters now, summed over processors.
    ///
    /// # Errors
    /// If the map can't be read.
    pub fn counters(&self) -> Result<KernelCounters, CaptureError> {
        let maps = self.lock();
        let mut counters = KernelCounters::default();
        for &counter in COUNTERS {
            let per_cpu = maps
                .counts
                .get(&(counter as u32), 0)
                .map_err(|source| CaptureError::Map { map: "COUNTS", source })?;
            counters.counts[counter as usize] = per_cpu.iter().sum();
        }
        Ok(counters)
    }

    fn update(&self, change: impl FnOnce(&mut Config)) -> Result<(), CaptureError> {
        let mut maps = self.lock();
        let mut next = maps.current;
        change(&mut next);
        maps.config.set(0, next, 0).map_err(|source| CaptureError::Map { map: "CONFIG", source })?;
        maps.current = next;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Maps> {
        // No update leaves the maps half changed, so a panic elsewhere while it was held does no harm.
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kernel counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelCounters {
    counts: [u64; COUNTERS.len()],
}

impl Default for KernelCounters {
    fn default() -> Self {
        Self { counts: [0; COUNTERS.len()] }
    }
}

impl KernelCounters {
    /// One counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// All counters of one account, in order.
    pub fn of(&self, kind: CounterKind) -> impl Iterator<Item = (Counter, u64)> {
        COUNTERS
            .iter()
            .filter(move |counter| counter.kind() == kind)
            .map(|&counter| (counter, self.get(counter)))
    }

    /// Whether `matched == exported + skipped{reason}`. Exact once the programs are detached; while they run, packets
    /// may be counted between two reads.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let sum = |kind| self.of(kind).map(|(_, count)| count).sum::<u64>();
        self.get(Counter::Matched) == sum(CounterKind::Exported) + sum(CounterKind::Skipped)
    }
}
