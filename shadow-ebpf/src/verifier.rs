//! What the verifier needs, and the compiler would take away.

use aya_ebpf::maps::PerCpuArray;

/// The same number, but the compiler can't tell: it must pass on the very value that was checked, rather than compute it
/// once more from parts whose bounds the verifier doesn't know.
#[inline(always)]
pub fn opaque(mut number: u64) -> u64 {
    // A real instruction: the kernel refuses the line information of a program in which one takes no room.
    // SAFETY: moves a register to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number
}

/// Puts something down in this CPU's value and gives it back from there.
///
/// Read back, its fields are unknown numbers to the verifier, whichever way led to them: it then follows the rest of the
/// program once and not once for each way, which is the difference between 20 ms and a second.
#[inline(always)]
pub fn put_down<T>(place: &'static PerCpuArray<T>, thing: T) -> Option<&'static T> {
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
