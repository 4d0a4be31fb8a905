//! Benchmarks of the agent's parts, in the lab. `cargo xtask bench NAME` builds them and runs them here.
//!
//! [`traffic`] is what passes the gateway and [`capture`] the agent's kernel side on it, without the rest of the agent.
//! [`kernel`] measures that: what each program takes ([`cost`], by [`statistics`]) and how much of the traffic leaves
//! the kernel ([`share`]).

pub mod capture;
pub mod cost;
pub mod kernel;
pub mod share;
pub mod statistics;
pub mod traffic;

use anyhow::{Result, bail};

use crate::interrupt;

/// Which benchmark.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Bench {
    /// The kernel programs: time per packet, and what of the traffic they export at which sample rate.
    Kernel(kernel::Options),
}

/// Runs a benchmark and says whether what it found is as it should be.
///
/// # Errors
/// The lab can't be built or run.
pub fn run(bench: &Bench) -> Result<bool> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "benchmarks make network namespaces and load kernel programs: run this as root (`cargo xtask bench` \
             uses sudo)"
        );
    }
    interrupt::cleaning_up(|| match bench {
        Bench::Kernel(options) => kernel::run(options),
    })
}
