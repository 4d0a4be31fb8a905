//! Counting: one number per [`Counter`] and CPU.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use shadow_common::{COUNTERS, Counter};

/// Per-CPU counters by [`Counter`] number.
#[map]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS.len() as u32, 0);

/// Adds to a counter of this CPU and says what it was before.
#[inline(always)]
pub fn add(counter: Counter, amount: u64) -> u64 {
    add_numbered(counter as u32, amount)
}

/// Counts one.
#[inline(always)]
pub fn count(counter: Counter) {
    add(counter, 1);
}

/// [`add`], by the counter's number.
#[inline(always)]
pub fn add_numbered(counter: u32, amount: u64) -> u64 {
    let Some(count) = COUNTS.get_ptr_mut(counter) else { return 0 };
    // SAFETY: the pointer comes from a successful lookup. The value is this CPU's, and XDP and TC run with softirqs off,
    // so no other packet's program changes it in between.
    unsafe {
        let before = *count;
        *count = before + amount;
        before
    }
}
