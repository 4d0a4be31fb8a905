//! The live maps: change the rate, pause, read the counters. Safe to use from any thread while the programs run.

use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use shadow_common::{
    ACTIVE_PORTS, COUNTERS, Config, Counter, CounterKind, FlowKey, PAUSED, PORT_WORDS, Resync, SampleBy,
    WAKE, port_bit, port_word,
};

use crate::capture::{CaptureError, SampleRate};

/// A handle on the live maps; cheap to clone. It outlives the programs: after they are detached the counters stand.
#[derive(Clone)]
pub struct Control {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("config", &self.lock().current).finish_non_exhaustive()
    }
}

/// The maps that are written or read while the programs run.
pub(super) struct Maps {
    pub(super) config: Array<MapData, Config>,
    pub(super) ports: Array<MapData, u64>,
    pub(super) resync: HashMap<MapData, FlowKey, Resync>,
    pub(super) counts: PerCpuArray<MapData, u64>,
}

struct State {
    maps: Maps,
    current: Config,
    /// The bitmaps of ports as they are in the kernel: looked at, and sampled.
    ports: [Vec<u64>; 2],
}

impl Control {
    pub(super) fn new(maps: Maps, initial: Config, ports: &[u16]) -> Result<Self, CaptureError> {
        let none = || vec![0; PORT_WORDS as usize];
        let state = State { maps, current: Config::default(), ports: [none(), none()] };
        let control = Self { state: Arc::new(Mutex::new(state)) };
        control.update(|config| *config = initial)?;
        control.set_ports(ports)?;
        Ok(control)
    }

    /// A new sample rate, for requests that begin from now on.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_rate(&self, rate: SampleRate) -> Result<(), CaptureError> {
        self.update(|config| config.sample_threshold = rate.threshold())
    }

    /// Takes no new request into the sample while `paused`; those already in it are finished.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_paused(&self, paused: bool) -> Result<(), CaptureError> {
        self.update(|config| set(config, PAUSED, paused))
    }

    /// Whether records wake the one who waits for the ring. Without it the waiter looks by itself.
    ///
    /// # Errors
    /// If the map can't be written.
    pub(super) fn set_wake(&self, wake: bool) -> Result<(), CaptureError> {
        self.update(|config| set(config, WAKE, wake))
    }

    /// Other service ports. Requests that are under way on a port that is no more among them are finished; their flows
    /// are still looked at, and nothing new is taken from them.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_ports(&self, ports: &[u16]) -> Result<(), CaptureError> {
        let mut state = self.lock();
        let [mut matched, _] = state.ports.clone();
        let mut active = vec![0; PORT_WORDS as usize];
        for &port in ports {
            for bitmap in [&mut matched, &mut active] {
                if let Some(word) = bitmap.get_mut(port_word(port) as usize) {
                    *word |= port_bit(port);
                }
            }
        }
        state.write_ports(0, 0, matched)?;
        state.write_ports(1, ACTIVE_PORTS, active)
    }

    /// Whether the next request of `flow` is in the sample, drawn as the kernel would.
    #[must_use]
    pub fn draw(&self, flow: &FlowKey, random: u32) -> bool {
        let state = self.lock();
        let config = &state.current;
        let active = state.ports[1].get(port_word(flow.service_port) as usize);
        let is_active = active.is_some_and(|word| word & port_bit(flow.service_port) != 0);
        is_active
            && u64::from(SampleBy::draw(config.sample_by, flow, config.seed, random)) < config.threshold()
    }

    /// Tells the programs how an open run goes on.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn resync(&self, flow: &FlowKey, resync: Resync) -> Result<(), CaptureError> {
        let failed = |source| CaptureError::Map { map: "RESYNC", source };
        self.lock().maps.resync.insert(flow, resync, 0).map_err(failed)
    }

    /// The kernel counters now, summed over processors.
    ///
    /// # Errors
    /// If the map can't be read.
    pub fn counters(&self) -> Result<KernelCounters, CaptureError> {
        let state = self.lock();
        let mut counters = KernelCounters::default();
        for &counter in COUNTERS {
            let per_cpu = state
                .maps
                .counts
                .get(&(counter as u32), 0)
                .map_err(|source| CaptureError::Map { map: "COUNTS", source })?;
            counters.counts[counter as usize] = per_cpu.iter().sum();
        }
        Ok(counters)
    }

    fn update(&self, change: impl FnOnce(&mut Config)) -> Result<(), CaptureError> {
        let mut state = self.lock();
        let mut next = state.current;
        change(&mut next);
        let failed = |source| CaptureError::Map { map: "CONFIG", source };
        state.maps.config.set(0, next, 0).map_err(failed)?;
        state.current = next;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No update leaves the maps half changed, so a panic elsewhere while it was held does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes the words that change of a bitmap that begins at `first` in the map.
    fn write_ports(&mut self, bitmap: usize, first: u32, wanted: Vec<u64>) -> Result<(), CaptureError> {
        let failed = |source| CaptureError::Map { map: "PORTS", source };
        for ((index, &new), &old) in (first..).zip(&wanted).zip(&self.ports[bitmap]) {
            if new != old {
                self.maps.ports.set(index, new, 0).map_err(failed)?;
            }
        }
        self.ports[bitmap] = wanted;
        Ok(())
    }
}

fn set(config: &mut Config, flag: u32, on: bool) {
    if on {
        config.flags |= flag;
    } else {
        config.flags &= !flag;
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
