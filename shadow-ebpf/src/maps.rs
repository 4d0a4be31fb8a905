//! The maps, and counting.

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use shadow_common::{COUNTERS, Config, Counter, FlowKey, PORT_WORDS, port_bit, port_word};

use crate::packet::Segment;

/// What is remembered of a flow from its SYN on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FlowState {
    /// The client's initial sequence number: tells a retransmitted SYN from a new connection on the same ports.
    pub isn: u32,
    /// 1 if sampled.
    pub sampled: u32,
}

/// The live configuration, one value.
#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

/// The service ports as a bitmap.
#[map]
static PORTS: Array<u64> = Array::with_max_entries(PORT_WORDS, 0);

/// Flows by key. Least recently used ones make room, so a flood of SYNs costs samples, not memory.
#[map]
pub static FLOWS: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(65_536, 0);

/// Per-CPU counters by [`Counter`] number.
#[map]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS.len() as u32, 0);

/// Where `export` puts down what it parsed, see [`put_down`].
#[map]
static SCRATCH: PerCpuArray<Segment> = PerCpuArray::with_max_entries(1, 0);

/// Exported records. The agent sets the size when it loads the programs.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// The configuration as it is now.
#[inline(always)]
pub fn config() -> Config {
    CONFIG.get(0).copied().unwrap_or_default()
}

/// Whether `port` is a service port.
#[inline(always)]
pub fn is_service_port(port: u16) -> bool {
    PORTS.get(port_word(port)).is_some_and(|word| word & port_bit(port) != 0)
}

/// Puts a parsed segment down in this CPU's scratch value and gives it back from there.
///
/// Read back, its fields are unknown numbers to the verifier, whichever way through the headers led to them: it then
/// follows the rest of the program once and not once for each way, which is the difference between 20 ms and a second.
#[inline(always)]
pub fn put_down(segment: Segment) -> Option<&'static Segment> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the pointer comes from a successful lookup. The value is this CPU's, and TC runs with softirqs off, so no
    // other packet's program uses it before this one is done.
    unsafe {
        scratch.write(segment);
        // The compiler would else keep the fields in registers, with all that is known of them.
        core::arch::asm!("", options(nostack, preserves_flags));
        Some(&*scratch)
    }
}

/// Adds to a counter of this CPU and says what it was before.
#[inline(always)]
pub fn add(counter: Counter, amount: u64) -> u64 {
    let Some(count) = COUNTS.get_ptr_mut(counter as u32) else { return 0 };
    // SAFETY: the pointer comes from a successful lookup. The value is this CPU's, and XDP and TC run with softirqs off,
    // so no other packet's program changes it in between.
    unsafe {
        let before = *count;
        *count = before + amount;
        before
    }
}

/// Counts one.
#[inline(always)]
pub fn count(counter: Counter) {
    add(counter, 1);
}
