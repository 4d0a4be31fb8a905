//! The live maps: change the rate, pause, read the counters. Safe to use from any thread while the programs run.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use shadow_common::{
    ACTIVE_PORTS, COUNTERS, Config, Counter, FlowKey, PAUSED, PORT_WORDS, REPORT_ANSWERS, Resync, SampleBy,
    WAKE, port_bit, port_word,
};

use crate::capture::{CaptureError, KernelCounters, SampleRate};

/// A handle on the live maps; cheap to clone. It outlives the programs: after they are detached the counters stand.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Sampling(AtomicU64);

/// What is used without the lock stands beside it.
struct Shared {
    state: Mutex<State>,
    sampling: Sampling,
    seed: u32,
    /// Bytes of the ring that its reader gave back, since the start.
    ring_taken: AtomicU64,
    ring_size: u64,
}

/// How full the ring is at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFill {
    /// Bytes that records take which wait to be read: with their headers and unused tails.
    pub used: u64,
    /// Bytes that the ring has.
    pub size: u64,
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
    pub(super) fn new(
        maps: Maps,
        initial: Config,
        ports: &[u16],
        ring_size: u32,
    ) -> Result<Self, CaptureError> {
        let none = || vec![0; PORT_WORDS as usize];
        let state = State { maps, current: Config::default(), ports: [none(), none()] };
        let shared = Shared {
            state: Mutex::new(state),
            sampling: Sampling::default(),
            seed: initial.seed,
            ring_taken: AtomicU64::new(0),
            ring_size: u64::from(ring_size),
        };
        let control = Self { shared: Arc::new(shared) };
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

    /// What requests share that are sampled alike, and a new sample rate: both at once, for requests that begin from now
    /// on, also of connections that are known.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_sampling(&self, by: SampleBy, rate: SampleRate) -> Result<(), CaptureError> {
        self.update(|config| {
            config.sample_by = by as u32;
            config.sample_threshold = rate.threshold();
        })
    }

    /// By what the programs sample, the threshold that a draw must be below (0 to [`shadow_common::FULL_RATE`]), and the
    /// seed of their hashes. Neither a lock nor a map is used: it may be asked for every request. A pause doesn't show,
    /// and a request that began before a change was drawn by what was then.
    #[must_use]
    pub fn sampling(&self) -> (SampleBy, u64, u32) {
        let (by, threshold) = self.shared.sampling.load();
        (by, threshold, self.shared.seed)
    }

    /// How full the ring is now, by what the programs wrote and the reader gave back: also right while nothing comes, or
    /// while the reader hangs.
    ///
    /// # Errors
    /// If the counters can't be read.
    pub fn ring_fill(&self) -> Result<RingFill, CaptureError> {
        // Taken first: what is taken between the two would else be more than was written.
        let taken = self.shared.ring_taken.load(Ordering::Acquire);
        let written = self.lock().count(Counter::RingBytes)?;
        let size = self.shared.ring_size;
        Ok(RingFill { used: written.saturating_sub(taken).min(size), size })
    }

    /// The reader gave back so many bytes of the ring.
    pub(super) fn ring_taken(&self, bytes: u64) {
        self.shared.ring_taken.fetch_add(bytes, Ordering::Release);
    }

    /// Takes no new request into the sample while `paused`; those already in it are finished.
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_paused(&self, paused: bool) -> Result<(), CaptureError> {
        self.update(|config| set(config, PAUSED, paused))
    }

    /// Whether the programs tell when answers to sampled requests begin ([`shadow_common::marks::ANSWERED`]).
    ///
    /// # Errors
    /// If the map can't be written.
    pub fn set_report_answers(&self, report: bool) -> Result<(), CaptureError> {
        self.update(|config| set(config, REPORT_ANSWERS, report))
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
            counters.counts[counter as usize] = state.count(counter)?;
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
        self.shared.sampling.store(&next);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No update leaves the maps half changed, so a panic elsewhere while it was held does no harm.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`Config::sample_by`] and [`Config::sample_threshold`] in one word, so that nobody sees the one without the other. The
/// threshold takes 33 bits.
impl Sampling {
    const BY: u32 = 40;

    fn store(&self, config: &Config) {
        let word = u64::from(config.sample_by) << Self::BY | config.sample_threshold;
        self.0.store(word, Ordering::Relaxed);
    }

    fn load(&self) -> (SampleBy, u64) {
        let word = self.0.load(Ordering::Relaxed);
        (SampleBy::from_number((word >> Self::BY) as u32), word & ((1 << Self::BY) - 1))
    }
}

impl State {
    /// One counter, summed over processors.
    fn count(&self, counter: Counter) -> Result<u64, CaptureError> {
        let per_cpu = self.maps.counts.get(&(counter as u32), 0);
        let failed = |source| CaptureError::Map { map: "COUNTS", source };
        Ok(per_cpu.map_err(failed)?.iter().sum())
    }

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
