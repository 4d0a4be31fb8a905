//! The lab's program: the demo, the benchmarks, and the services that it starts as processes of their own.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shadow_tests::{
    bench::{self, Bench},
    demo, dns, fault, service,
};

#[derive(Parser)]
#[command(about = "shadow's lab in network namespaces")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Answer requests with what they were.
    Serve(service::Options),
    /// Misbehave.
    Fault(fault::server::Options),
    /// Answer questions for addresses.
    Dns(dns::Options),
    /// Mirror traffic between namespaces of this machine and report what happened.
    Demo(demo::Options),
    /// Measure a part of the agent.
    #[command(subcommand)]
    Bench(Bench),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether what was shown is as it should be.
fn run(task: Task) -> Result<bool> {
    // A service has a connection for each copy that is on its way.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match task {
        Task::Serve(options) => runtime()?.block_on(service::serve(options)).map(|()| true),
        Task::Fault(options) => runtime()?.block_on(fault::server::serve(options)).map(|()| true),
        Task::Dns(options) => dns::serve(&options).map(|()| true),
        Task::Demo(options) => demo::run(&options),
        Task::Bench(bench) => bench::run(&bench),
    }
}
