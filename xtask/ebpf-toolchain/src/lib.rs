//! Finds the compiler, its library sources and the linker that the kernel programs need.
