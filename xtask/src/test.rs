//! `cargo xtask test`: every check, in the order in which they fail fastest, and a summary of what ran and what didn't.

use std::{
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    build::{self, AGENT, LAB},
    dependencies, machine,
    setup::{self, Need},
};

/// The kernel programs build for BPF only; the end-to-end tests have a step of their own.
const LIBRARIES: &[&str] = &["--workspace", "--exclude", "shadow-ebpf", "--exclude", "shadow-tests"];

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out the tests that need root: kernel programs, network namespaces.
    #[arg(long)]
    no_e2e: bool,
    /// Of the end-to-end tests only those whose name contains this.
    #[arg(long)]
    only: Option<String>,
}

enum Outcome {
    Passed,
    Failed,
    /// With the reason.
    Skipped(&'static str),
}

struct Taken {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

/// Runs the checks; the exit code is 0 if none failed.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::ensure(&[Need::Build, Need::Lab, Need::Test])?;
    let mut taken = Vec::new();
    if arguments.only.is_none() {
        taken.push(step("format", || cargo(&["fmt", "--all", "--check"])));
        taken.push(step("dependencies", dependencies));
        taken.push(step("lints", lints));
        taken.push(step("unit tests", unit_tests));
        taken.push(step("documentation", documentation));
    }
    taken.push(step("release build", || {
        build::release(&[AGENT, LAB]).map_or(Outcome::Failed, |_| Outcome::Passed)
    }));
    let built = matches!(taken.last().map(|step| &step.outcome), Some(Outcome::Passed));
    taken.push(step("end to end", || match (arguments.no_e2e, built) {
        (true, _) => Outcome::Skipped("as asked"),
        (false, false) => Outcome::Skipped("there is no release build"),
        (false, true) => end_to_end(arguments.only.as_deref()),
    }));
    Ok(summarise(&taken))
}

fn step(name: &'static str, check: impl FnOnce() -> Outcome) -> Taken {
    eprintln!("==> {name}");
    let start = Instant::now();
    let outcome = check();
    Taken { name, outcome, time: start.elapsed() }
}

fn summarise(taken: &[Taken]) -> ExitCode {
    eprintln!();
    for Taken { name, outcome, time } in taken {
        let outcome = match outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::Skipped(reason) => format!("skipped: {reason}"),
        };
        eprintln!("{name:<14} {:>6.1} s  {outcome}", time.as_secs_f64());
    }
    let failed = taken.iter().any(|step| matches!(step.outcome, Outcome::Failed));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn dependencies() -> Outcome {
    match dependencies::check() {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            eprintln!("{error:#}");
            Outcome::Failed
        }
    }
}

fn lints() -> Outcome {
    cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--exclude",
        "shadow-ebpf",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])
}

fn unit_tests() -> Outcome {
    let libraries = cargo(&[&["test", "--quiet"], LIBRARIES].concat());
    match libraries {
        Outcome::Passed => cargo(&["test", "--quiet", "--package", "shadow-tests", "--lib"]),
        other => other,
    }
}

fn documentation() -> Outcome {
    let mut command = machine::cargo();
    // With private items: the readers are who works here.
    command.args(["doc", "--quiet", "--no-deps", "--document-private-items"]);
    command.args(["--workspace", "--exclude", "shadow-ebpf"]);
    outcome(command.env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private-intra-doc-links"))
}

/// In release, like the agent: the services and the load must not be what limits it. Two at a time, since some load the
/// machine. Only the tests' own binaries run as root, never cargo.
fn end_to_end(only: Option<&str>) -> Outcome {
    if !machine::can_become_root() {
        return Outcome::Skipped(
            "network namespaces and kernel programs need root, and sudo needs a password here",
        );
    }
    let mut command = machine::cargo();
    if !machine::is_root() {
        let sudo = r#"["sudo", "--preserve-env=SHADOW_RUNS,SHADOW_AGENT,RUST_BACKTRACE", "--"]"#;
        command.arg("--config").arg(format!("target.'cfg(unix)'.runner={sudo}"));
    }
    command.args(["test", "--release", "--package", "shadow-tests", "--test", "*"]);
    command.arg("--").args(only).args(["--test-threads", "2"]);
    outcome(&mut command)
}

fn cargo(arguments: &[&str]) -> Outcome {
    outcome(machine::cargo().args(arguments))
}

fn outcome(command: &mut Command) -> Outcome {
    let passed = match build::workspace() {
        Ok(workspace) => command.current_dir(workspace).status().is_ok_and(|status| status.success()),
        Err(_) => false,
    };
    if passed { Outcome::Passed } else { Outcome::Failed }
}
