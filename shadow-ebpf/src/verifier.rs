//! What the verifier needs, and the compiler would take away.

/// The same number, but the compiler can't tell: it must pass on the very value that was checked, rather than compute it
/// once more from parts whose bounds the verifier doesn't know.
#[inline(always)]
pub fn opaque(mut number: u64) -> u64 {
    // A real instruction: the kernel refuses the line information of a program in which one takes no room.
    // SAFETY: moves a register to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number
}
