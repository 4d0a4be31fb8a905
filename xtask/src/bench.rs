//! `cargo xtask bench NAME`: builds the lab in release and lets it measure a part of the agent.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    build::{self, AGENT, LAB},
    machine,
    setup::{self, Need},
};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(subcommand_value_name = "NAME", subcommand_help_heading = "Benchmarks")]
pub struct Arguments {
    #[command(subcommand)]
    name: Name,
}

#[derive(clap::Subcommand)]
enum Name {
    /// The kernel programs: time per packet, and what of the traffic they export at which sample rate.
    ///
    /// Takes about a minute. Fails if at 1 % more than 2 % of the events of 100 % leave the kernel.
    Kernel(Rounds),
    /// The wire decoding: requests and bytes per second on one core from a file in the page cache, and the memory that
    /// an idle flow takes.
    ///
    /// Takes about a minute, and half a gigabyte of files meanwhile. Fails if a goal is missed. Needs no root.
    Decode(Rounds),
    /// The agent while v2 fails in every way that the lab knows: what users notice of it, the agent's memory, and what
    /// became of the copies.
    ///
    /// Takes about two minutes a round. Fails if a real request fails, the agent takes 128 MiB, or a request is not
    /// accounted for; times are shown, not judged.
    Faults(Rounds),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Options that benchmarks share.
#[derive(clap::Args)]
struct Rounds {
    /// How often everything is measured; what is shown are medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Write the results to this file as well, as one JSON object with the figures of every round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs a benchmark; returns only if it can't.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    // What is wrong with the arguments is said before anything is built.
    let (name, needs_root, Rounds { rounds, json }) = match &arguments.name {
        Name::Kernel(rounds) => ("kernel", true, rounds),
        Name::Decode(rounds) => ("decode", false, rounds),
        Name::Faults(rounds) => ("faults", true, rounds),
        Name::Unknown(words) => bail!("there is no benchmark {:?}; there are: {}", words.join(" "), names()),
    };
    // Opened here, so that the file is the user's and not root's.
    let create = |path: &PathBuf| File::create(path).with_context(|| format!("--json {}", path.display()));
    let json = json.as_ref().map(create).transpose()?;
    setup::ensure(if needs_root { &[Need::Build, Need::Lab] } else { &[Need::Build] })?;
    if needs_root && !machine::can_become_root() {
        bail!(
            "this benchmark makes network namespaces and loads kernel programs: run it as root, or where sudo works"
        );
    }
    // The agent is found beside the lab; only one benchmark runs it.
    let parts: &[_] = if name == "faults" { &[AGENT, LAB] } else { &[LAB] };
    let lab = build::release(parts)?.join(LAB.binary);
    let mut command = if needs_root { machine::as_root(lab)? } else { Command::new(lab) };
    command.args(["bench", name, "--rounds", &rounds.to_string()]);
    if let Some(file) = json {
        command.arg("--json").stdout(file);
    }
    // In our place, so that signals reach the one who has to clean up, and its exit code is ours.
    Err(command.exec()).context("shadow-lab did not start")
}

/// The names of all benchmarks.
fn names() -> String {
    let command = <Name as clap::Subcommand>::augment_subcommands(clap::Command::new("bench"));
    command.get_subcommands().map(clap::Command::get_name).collect::<Vec<_>>().join(", ")
}
