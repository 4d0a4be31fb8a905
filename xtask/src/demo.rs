//! `cargo xtask demo`: builds the agent and the lab, and lets the lab show them.

use std::{os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{
    build::{self, AGENT, LAB},
    machine,
    setup::{self, Need},
};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many requests to send.
    #[arg(long, default_value_t = 1000)]
    requests: u32,
    /// How many keep-alive connections send them.
    #[arg(long, default_value_t = 50)]
    connections: u32,
    /// The part of them to mirror, as the agent takes it.
    #[arg(long, default_value = "100%")]
    sample_rate: String,
    /// How the agent attaches. XDP in the driver would turn segmentation off on the lab's devices, and users would
    /// measure that.
    #[arg(long, default_value = "xdp-generic")]
    attach: String,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the demo; returns only if it can't.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::ensure(&[Need::Build, Need::Lab])?;
    if !machine::can_become_root() {
        bail!(
            "the demo makes network namespaces and loads kernel programs: run it as root, or where sudo works"
        );
    }
    let binaries = build::release(&[AGENT, LAB])?;
    let mut command = machine::as_root(binaries.join(LAB.binary))?;
    command.arg("demo").arg("--agent").arg(binaries.join(AGENT.binary));
    command.args(["--requests", &arguments.requests.to_string()]);
    command.args(["--connections", &arguments.connections.to_string()]);
    command.args(["--sample-rate", &arguments.sample_rate, "--attach", &arguments.attach]);
    if arguments.json {
        command.arg("--json");
    }
    // In our place, so that signals reach the one who has to clean up, and its exit code is ours.
    Err(command.exec()).context("shadow-lab did not start")
}
