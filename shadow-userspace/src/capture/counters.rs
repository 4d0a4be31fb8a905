//! The kernel programs' counters, read: the ledger's kernel half (invariant 2).

use shadow_common::{COUNTERS, Counter, CounterKind};

/// Kernel counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelCounters {
    pub(super) counts: [u64; COUNTERS.len()],
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
