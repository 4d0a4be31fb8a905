//! The developer's one entry point: `cargo xtask setup | build | demo | test | bench | fuzz`.
//!
//! It is compiled before anything else of the workspace, so it depends on little and leaves what needs more (namespaces,
//! HTTP) to `shadow-lab`.

mod bench;
mod build;
mod demo;
mod dependencies;
mod fuzz;
mod machine;
mod setup;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set up, build, show, test and measure shadow")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what building, demo and tests need; quick when all is there.
    Setup(setup::Arguments),
    /// Build the release agent, with its kernel programs inside.
    Build,
    /// Mirror real traffic between three network namespaces of this machine and report what happened.
    Demo(demo::Arguments),
    /// Formatting, lints, unit and property tests, documentation, and end-to-end tests in network namespaces.
    Test(test::Arguments),
    /// Measure a part of the agent in network namespaces, in release.
    Bench(bench::Arguments),
    /// Try what comes to libFuzzer's mind on a part of the agent; without a name, list the parts.
    Fuzz(fuzz::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup(arguments) => setup::run(&arguments),
        Task::Build => {
            setup::ensure(&[setup::Need::Build])?;
            println!("{}", build::release(&[build::AGENT])?.join(build::AGENT.binary).display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
    }
}
