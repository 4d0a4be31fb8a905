//! The maps, and counting.

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use shadow_common::{
    ACTIVE_PORTS, COUNTERS, Config, Counter, FlowKey, PORT_WORDS, Resync, port_bit, port_word,
};

use crate::{decision::Decision, flow::FlowState, head::Head, packet::Segment};

/// The live configuration, one value.
#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

/// Two bitmaps of ports: those whose segments are looked at, and from [`ACTIVE_PORTS`] on those that are sampled.
#[map]
static PORTS: Array<u64> = Array::with_max_entries(2 * PORT_WORDS, 0);

/// Flows by key. Least recently used ones make room, so a flood of SYNs costs samples, not memory.
#[map]
pub static FLOWS: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(65_536, 0);

/// What the agent says of open runs.
#[map]
pub static RESYNC: LruHashMap<FlowKey, Resync> = LruHashMap::with_max_entries(65_536, 0);

/// Per-CPU counters by [`Counter`] number.
#[map]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS.len() as u32, 0);

/// Where a parsed segment is put down, see [`put_down`].
#[map]
static SEGMENT: PerCpuArray<Segment> = PerCpuArray::with_max_entries(1, 0);

/// Where a decision is put down.
#[map]
static DECISION: PerCpuArray<Decision> = PerCpuArray::with_max_entries(1, 0);

/// Where the beginning of a request is copied to be read.
#[map]
static HEAD: PerCpuArray<Head> = PerCpuArray::with_max_entries(1, 0);

/// Exported records. The agent sets the size when it loads the programs.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// The configuration as it is now.
#[inline(always)]
pub fn config() -> Config {
    CONFIG.get(0).copied().unwrap_or_default()
}

/// Whether segments of `port` are looked at.
#[inline(always)]
pub fn is_service_port(port: u16) -> bool {
    has_port(0, port)
}

/// Whether requests to `port` may be sampled.
#[inline(always)]
pub fn is_active_port(port: u16) -> bool {
    has_port(ACTIVE_PORTS, port)
}

#[inline(always)]
fn has_port(bitmap: u32, port: u16) -> bool {
    PORTS.get(bitmap + port_word(port)).is_some_and(|word| word & port_bit(port) != 0)
}

/// This CPU's place for the beginning of a request.
#[inline(always)]
pub fn head() -> Option<*mut Head> {
    HEAD.get_ptr_mut(0)
}

/// The segment, see [`put_down`].
#[inline(always)]
pub fn put_segment_down(segment: Segment) -> Option<&'static Segment> {
    put_down(&SEGMENT, segment)
}

/// The decision, see [`put_down`].
#[inline(always)]
pub fn put_decision_down(decision: Decision) -> Option<Decision> {
    put_down(&DECISION, decision).copied()
}

/// Puts something down in this CPU's value and gives it back from there.
///
/// Read back, its fields are unknown numbers to the verifier, whichever way led to them: it then follows the rest of the
/// program once and not once for each way, which is the difference between 20 ms and a second.
#[inline(always)]
fn put_down<T>(place: &'static PerCpuArray<T>, thing: T) -> Option<&'static T> {
    let place = place.get_ptr_mut(0)?;
    // SAFETY: the pointer comes from a successful lookup. The value is this CPU's, and TC runs with softirqs off, so no
    // other packet's program uses it before this one is done.
    unsafe {
        place.write(thing);
        // The compiler would else keep the fields in registers, with all that is known of them.
        core::arch::asm!("", options(nostack, preserves_flags));
        Some(&*place)
    }
}

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
