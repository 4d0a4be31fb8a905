//! The ring: an agent that is stopped for a while, and how often one that runs is woken.

use std::{fs, path::Path, thread, time::Duration};

use crate::common::{COPIES_LIMIT, scene};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shadow_tests::{
    agent::{Agent, Options},
    child::poll,
    compare::compare,
    lab::Family,
    load::Load,
    plan::Plan,
    scene::Kind,
};

/// Stopped for 5 s under load, with a ring that holds much less: users don't notice, the ledger says what was lost, and
/// when it goes on so does the mirroring, without a request that has a hole.
#[test]
fn an_agent_that_is_stopped_and_goes_on() {
    const REQUESTS: u32 = 16_000;
    let Some(scene) = scene(Kind::Plain) else { return };
    let options = Options::to(scene.v2_address(Family::V4)).with(&["--ring-size", "512KiB"]);
    let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
    let pid = Pid::from_raw(agent.pid().try_into().unwrap());
    let mut load = Load::new(scene.v1_address(Family::V4), Plan::light("stopped", "shop"), REQUESTS, 20);
    load.rate = Some(2000.0);
    let report = thread::scope(|scope| {
        let users = scope.spawn(|| load.run(&scene.lab.client).unwrap());
        assert!(scene.v2.wait_for(500, COPIES_LIMIT).unwrap().len() >= 500);
        kill(pid, Signal::SIGSTOP).unwrap();
        thread::sleep(Duration::from_secs(5));
        kill(pid, Signal::SIGCONT).unwrap();
        users.join().unwrap()
    });
    assert_eq!((report.correct, &report.errors), (REQUESTS, &Vec::new()));
    // Nobody had to wait for it to go on.
    assert!(report.latency.max() < 5_000_000, "{} µs", report.latency.max());

    // The load's last requests come seconds after it went on.
    let summary = agent.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    let ledger = &summary.requests;
    assert_eq!((ledger.seen, ledger.sampled), (REQUESTS.into(), REQUESTS.into()), "{summary:?}");
    let lost = ledger.dropped.get("ring_full").copied().unwrap_or(0);
    assert!(lost > 1000, "{summary:?}");
    let copies = scene.v2.received().unwrap();
    assert_eq!(copies.len() as u64, ledger.mirrored, "{summary:?}");
    let verdict = compare(&load.plan, REQUESTS, &copies);
    assert_eq!(verdict.wrong, Vec::<String>::new());
    let is_copied =
        |number: u32| copies.iter().any(|copy| copy.header("x-request-id") == Some(&load.plan.id(number)));
    let missing: Vec<_> = (REQUESTS - 1000..REQUESTS).filter(|&number| !is_copied(number)).collect();
    assert_eq!(missing, Vec::<u32>::new(), "the last thousand are all there: {summary:?}");
}

/// Under load the capture thread looks by itself, many records at a time.
#[test]
fn records_wake_the_agent_in_batches() {
    const REQUESTS: u32 = 8000;
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = Agent::start(&scene.lab.gateway, &Options::to(scene.v2_address(Family::V4))).unwrap();
    let mut load = Load::new(scene.v1_address(Family::V4), Plan::light("batches", "shop"), REQUESTS, 20);
    load.rate = Some(4000.0);
    // The thread begins right after the agent has said that it is attached.
    let find = || Ok(waits_of_capture(agent.pid()));
    let before = poll(Duration::from_secs(5), "the capture thread", find).unwrap();
    let report = load.run(&scene.lab.client).unwrap();
    let waits = waits_of_capture(agent.pid()).unwrap() - before;
    assert_eq!((report.correct, report.errors), (REQUESTS, Vec::new()));
    let summary = agent.stop().unwrap();
    let records = summary.kernel["records"].as_u64().unwrap();
    assert!(records >= u64::from(REQUESTS), "{summary:?}");
    assert!(waits * 3 < records, "{waits} waits for {records} records");
    assert!(waits > 10, "{waits} waits: is it the capture thread?");
}

/// How often the agent's capture thread has waited for something; none before it has begun.
fn waits_of_capture(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).unwrap();
    let mut statuses = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
    let status = statuses.find(|status| status.starts_with("Name:\tcapture\n"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}
