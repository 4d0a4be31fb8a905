//! The benchmark of faults: what users notice, and what the agent takes, while v2 fails in each way that the lab knows.
//!
//! Rounds are interleaved: the load without an agent, then the same with one whose v2 has the fault. [`report`] judges
//! what doesn't depend on the machine: that no user noticed an error, the agent's memory, and the ledgers.

mod report;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    agent::{Agent, Options, Requests},
    bench::{Rounds, machine},
    fault::{Fault, Placed},
    lab::Family,
    load::{Load, Report as Users},
    plan::Plan,
    scene::{Kind, Scene},
};
use report::Report;

/// Requests per second, half of them with 16 KiB, and how long.
const RATE: u32 = 1000;
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 16;
/// For a copy: less than the load lasts, so that what follows from it shows, and more than a late v2 takes.
const TIMEOUT: &str = "1500ms";

/// What is wrong with v2 (`None`: nothing), and what was found in each round.
#[derive(Debug)]
struct Row {
    fault: Option<Fault>,
    rounds: Vec<Round>,
}

/// One load without the agent, one with it.
#[derive(Debug)]
struct Round {
    without: Latency,
    with: Latency,
    /// Real requests that failed, of both.
    errors: usize,
    /// The agent's memory at its largest, in bytes.
    peak: u64,
    outcomes: Requests,
    /// Whether kernel and agent account for every request.
    balanced: bool,
}

/// Of real requests, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Latency {
    p50: f64,
    p99: f64,
}

/// Runs it and says whether users were left alone and the agent kept its bounds.
///
/// # Errors
/// The lab can't be built, or the agent doesn't start or stop.
pub fn run(options: &Rounds) -> Result<bool> {
    let scene = Scene::new(&std::env::current_exe()?, Kind::Plain)?;
    // What is slow only once must not count.
    load(&scene, Duration::from_secs(1))?;
    let faults = || std::iter::once(None).chain(Fault::ALL.into_iter().map(Some));
    let mut rows: Vec<Row> = faults().map(|fault| Row { fault, rounds: Vec::new() }).collect();
    for number in 1..=options.rounds {
        for row in &mut rows {
            eprintln!("round {number} of {}: {}", options.rounds, name(row.fault));
            row.rounds.push(round(&scene, row.fault).with_context(|| name(row.fault))?);
        }
    }
    let report = Report { machine: machine(), rounds: options.rounds, rows };
    if options.json {
        eprintln!("{}", report.text());
        println!("{}", report.json()?);
    } else {
        println!("{}", report.text());
    }
    Ok(report.passed())
}

const fn name(fault: Option<Fault>) -> &'static str {
    match fault {
        None => "v2 is well",
        Some(fault) => fault.name(),
    }
}

fn round(scene: &Scene, fault: Option<Fault>) -> Result<Round> {
    let time = Duration::from_secs(SECONDS.into());
    let program = std::env::current_exe()?;
    let placed = match fault {
        Some(fault) => fault.place(&scene.lab, &program)?,
        None => Placed::well(&scene.lab),
    };
    let without = load(scene, time)?;
    let agent = start(scene, &placed)?;
    let with = load(scene, time)?;
    let peak = agent.memory()?.peak;
    let summary = agent.stop()?;
    Ok(Round {
        errors: without.errors.len() + with.errors.len(),
        without: Latency::of(&without),
        with: Latency::of(&with),
        peak,
        balanced: summary.balances() && summary.requests.sampled == u64::from(with.sent),
        outcomes: summary.requests,
    })
}

fn start(scene: &Scene, placed: &Placed) -> Result<Agent> {
    let path = scene.lab.directory().join("shadow.yaml");
    fs::write(&path, placed.config(TIMEOUT)).with_context(|| path.display().to_string())?;
    Agent::start(&scene.lab.gateway, &Options::file(Path::new(&path)))
}

fn load(scene: &Scene, time: Duration) -> Result<Users> {
    let requests = RATE * u32::try_from(time.as_secs())?;
    let to = scene.v1_address(Family::V4);
    let mut load = Load::new(to, Plan::even("faults", "shop"), requests, CONNECTIONS);
    load.rate = Some(f64::from(RATE));
    load.run(&scene.lab.client)
}

impl Latency {
    #[expect(clippy::cast_precision_loss, reason = "no latency is 2^52 µs")]
    fn of(users: &Users) -> Self {
        let at = |quantile| users.latency.value_at_quantile(quantile) as f64;
        Self { p50: at(0.5), p99: at(0.99) }
    }
}
