//! The benchmark of the kernel programs.

mod report;

use anyhow::Result;
use shadow_userspace::capture::AttachMode;

use crate::{
    bench::{
        Rounds,
        cost::{self, MODES, Mode, Role, Sample, Size},
        share::Share,
        statistics::Statistics,
        traffic::{self, Traffic},
    },
    lab::{Family, Lab},
};
use report::Report;

/// The sample rates whose events are counted, the last of them all.
const RATES: [&str; 4] = ["0%", "1%", "10%", "100%"];

/// One line of the table: a kind of traffic, by one way to attach.
#[derive(Debug)]
struct Row {
    mode: Mode,
    role: Role,
    size: Size,
    /// One for each round.
    samples: Vec<Sample>,
}

/// Runs it and says whether the kernel exports as little as it should.
///
/// # Errors
/// The lab can't be built or run.
pub fn run(options: &Rounds) -> Result<bool> {
    let lab = Lab::new()?;
    let _service = traffic::service(&lab, &std::env::current_exe()?)?;
    // What is slow only once (caches, routes, neighbours) must not count.
    Traffic::gets(64, 500).run(&lab.client, lab.v1_address(Family::V4))?;
    eprintln!("events that leave the kernel, at {}", RATES.join(", "));
    let shares = shares(&lab)?;
    let mut rows: Vec<Row> = Vec::new();
    let statistics = Statistics::on()?;
    for round in 1..=options.rounds {
        for mode in MODES {
            eprintln!("round {round} of {}: {}", options.rounds, mode.name);
            cost::round(&lab, &statistics, mode, |role, size, sample| {
                let same = |row: &&mut Row| (row.mode.name, row.role, row.size) == (mode.name, role, size);
                match rows.iter_mut().find(same) {
                    Some(row) => row.samples.push(sample),
                    None => rows.push(Row { mode, role, size, samples: vec![sample] }),
                }
            })?;
        }
    }
    let report = Report { rounds: options.rounds, rows, shares };
    if options.json {
        eprintln!("{}", report.text());
        println!("{}", report.json()?);
    } else {
        println!("{}", report.text());
    }
    Ok(report.passed())
}

/// The same traffic at each rate: many small requests, and some with bodies.
fn shares(lab: &Lab) -> Result<Vec<Share>> {
    let traffic = [Traffic::gets(256, 10_000), Traffic::posts(16 << 10, 500)];
    RATES.iter().map(|rate| Share::measure(lab, AttachMode::Tc, rate.parse()?, &traffic)).collect()
}
