//! Benchmarks of the agent's parts, in the lab. `cargo xtask bench NAME` builds them and runs them here.
//!
//! [`traffic`] is what passes the gateway and [`capture`] the agent's kernel side on it, without the rest of the agent.
//! [`kernel`] measures that: what each program takes ([`cost`], by [`statistics`]) and how much of the traffic leaves
//! the kernel ([`share`]). [`decode`] measures what comes after it, on capture files, and needs no root. [`faults`]
//! measures the whole agent beside a v2 that fails.

pub mod capture;
pub mod cost;
pub mod decode;
pub mod faults;
pub mod kernel;
pub mod share;
pub mod statistics;
pub mod traffic;

use std::fs;

use anyhow::{Result, bail};

use crate::interrupt;

/// Options of every benchmark.
#[derive(Clone, Debug, clap::Args)]
pub struct Rounds {
    /// How often everything is measured; what is shown are medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print the report as one JSON object on standard output; the table goes to standard error.
    #[arg(long)]
    json: bool,
}

/// Which benchmark.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Bench {
    /// The kernel programs: time per packet, and what of the traffic they export at which sample rate.
    Kernel(Rounds),
    /// The wire decoding: requests and bytes per second on one core, and the memory of an idle flow.
    Decode(Rounds),
    /// The agent while v2 fails in every way: what users notice, and what it takes.
    Faults(Rounds),
}

/// Runs a benchmark and says whether what it found is as it should be.
///
/// # Errors
/// The lab can't be built or run.
pub fn run(bench: &Bench) -> Result<bool> {
    if !matches!(bench, Bench::Decode(_)) && !nix::unistd::geteuid().is_root() {
        bail!(
            "this benchmark makes network namespaces and loads kernel programs: run it as root (`cargo xtask bench` \
             uses sudo)"
        );
    }
    interrupt::cleaning_up(|| match bench {
        Bench::Kernel(options) => kernel::run(options),
        Bench::Decode(options) => decode::run(options),
        Bench::Faults(options) => faults::run(options),
    })
}

/// Where the figures come from.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {}, {cores} cores of {model}", read("/proc/sys/kernel/osrelease").trim())
}
