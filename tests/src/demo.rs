//! The demo: the same load without and with the agent, and a report of what users and v2 saw.

mod report;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use crate::{
    agent::{self, Agent, Summary},
    attached::Attached,
    child::poll,
    compare::compare,
    interrupt,
    lab::{Family, NIC},
    load::{self as traffic, Load},
    plan::Plan,
    scene::{Kind, Scene},
};
use report::Report;

/// Options of the demo.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The agent's binary.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// How many requests to send.
    #[arg(long, default_value_t = 1000)]
    requests: u32,
    /// How many keep-alive connections send them.
    #[arg(long, default_value_t = 50)]
    connections: u32,
    /// How many requests begin per second; 0: as many as are answered.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// The part of them to mirror.
    #[arg(long, default_value = "100%")]
    sample_rate: String,
    /// How the agent attaches.
    #[arg(long, default_value = "xdp-generic")]
    attach: String,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the demo and says whether everything was right.
///
/// # Errors
/// The lab can't be built or run.
pub fn run(options: &Options) -> Result<bool> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the lab makes network namespaces and loads kernel programs: run it as root (`cargo xtask demo` uses sudo)"
        );
    }
    interrupt::cleaning_up(|| show(options))
}

fn show(options: &Options) -> Result<bool> {
    let say = |text: &str| {
        if !options.json {
            eprintln!("{text}");
        }
    };
    say("building three network namespaces: client, gateway (v1 and the agent), v2");
    let scene = Scene::new(&std::env::current_exe()?, Kind::Plain)?;
    say("the load, without the agent");
    // What is slow only once (caches, routes, neighbours) must not count for either side.
    let mut warm_up = load(&scene, "warm-up", options);
    warm_up.requests = warm_up.requests.min(100);
    warm_up.run(&scene.lab.client)?;
    let before = load(&scene, "before", options).run(&scene.lab.client)?;
    say("the same load, mirrored");
    let report = mirrored(&scene, options, &before)?;
    drop(scene);
    println!("{}", if options.json { report.json()? } else { report.text() });
    Ok(report.passed())
}

fn load(scene: &Scene, name: &str, options: &Options) -> Load {
    let plan = Plan::mixed(name, "shop.example");
    let mut load = Load::new(scene.v1_address(Family::V4), plan, options.requests, options.connections);
    load.rate = (options.rate > 0.0).then_some(options.rate);
    load
}

fn mirrored(scene: &Scene, options: &Options, before: &traffic::Report) -> Result<Report> {
    let mut arguments =
        agent::Options::to(scene.v2_address(Family::V4)).rate(&options.sample_rate).attach(&options.attach);
    arguments.binary.clone_from(&options.agent);
    let agent = Agent::start(&scene.lab.gateway, &arguments)?;
    let attached = Attached::on(&scene.lab.gateway, NIC)?;
    let load = load(scene, "mirrored", options);
    let after = load.run(&scene.lab.client)?;
    let summary: Summary = agent.stop()?;
    let copies = scene.v2.received()?;
    let left = Attached::on(&scene.lab.gateway, NIC)?;
    Ok(Report {
        requests: options.requests,
        connections: options.connections,
        sample_rate: options.sample_rate.clone(),
        without_agent: before.clone(),
        verdict: compare(&load.plan, after.sent, &copies),
        copies: copies.len(),
        with_agent: after,
        summary,
        // That something was seen attached is what makes its absence mean something.
        clean: !attached.is_nothing() && left.is_nothing() && gone(&attached)?,
    })
}

/// The kernel frees programs a moment after their last user.
fn gone(attached: &Attached) -> Result<bool> {
    let freed = || Ok(attached.still_loaded().is_empty().then_some(()));
    Ok(poll(Duration::from_secs(2), "programs to be freed", freed).is_ok())
}
