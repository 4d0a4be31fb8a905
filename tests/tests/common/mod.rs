//! What every end-to-end test needs.

#![allow(dead_code, reason = "each test binary uses its part")]

/// The lab's program, which runs the services.
pub const SHADOW_LAB: &str = env!("CARGO_BIN_EXE_shadow-lab");

/// Whether the test can run; says why not.
pub fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}
