//! Sampling: of requests over few long connections as many as the rate says; by connection and by client all or none.

use std::collections::BTreeMap;

use crate::common::{Mirrored, keep_asking, mirror, scene};
use shadow_tests::{
    agent::{Agent, Options},
    compare::compare,
    lab::Family,
    load::Load,
    plan::Plan,
    scene::{Kind, Scene},
};

const REQUESTS: u32 = 10_000;
const CONNECTIONS: u32 = 8;

#[test]
fn nothing_is_copied_at_zero_percent() {
    for attach in ["tc", "xdp-generic", "xdp-native"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let options = Options::to(scene.v2_address(Family::V4)).rate("0%").attach(attach);
        let load = Load::new(scene.v1_address(Family::V4), Plan::mixed("none", "shop"), 200, 10);
        let result = mirror(&scene, &options, &load, 0);
        result.assert_users_and_ledger(200);
        assert!(result.copies.is_empty(), "{attach}: {}", result.describe());
        assert_eq!(result.summary.requests.sampled, 0, "{attach}: {}", result.describe());
        assert_eq!(result.count("records"), 0, "{attach}: {}", result.describe());
    }
}

/// A right agent misses ±3σ in one of 370 draws, so a miss is drawn again; a wrong rate misses twice.
#[test]
fn requests_are_sampled_at_the_rate() {
    let mut records = BTreeMap::new();
    for percent in [1_u32, 5, 20, 50, 100] {
        let Some(first) = draw(Family::V4, "tc", percent) else { return };
        if !is_near(&first, percent) {
            let second = draw(Family::V4, "tc", percent).unwrap();
            assert!(is_near(&second, percent), "{} and {}", first.copies.len(), second.copies.len());
        }
        records.insert(percent, first.count("records"));
    }
    // What leaves the kernel follows the rate.
    assert!(records[&1] * 50 <= records[&100], "{records:?}");
}

#[test]
fn requests_are_sampled_at_the_rate_in_the_driver_and_over_ipv6() {
    let Some(first) = draw(Family::V6, "xdp-native", 20) else { return };
    if !is_near(&first, 20) {
        assert!(is_near(&draw(Family::V6, "xdp-native", 20).unwrap(), 20));
    }
}

fn draw(family: Family, attach: &str, percent: u32) -> Option<Mirrored> {
    let scene = scene(Kind::Plain)?;
    let options = Options::to(scene.v2_address(family)).rate(&format!("{percent}%")).attach(attach);
    let plan = Plan::light(&format!("{attach}-{percent}"), "shop");
    let load = Load::new(scene.v1_address(family), plan, REQUESTS, CONNECTIONS);
    // How many copies to wait for isn't known before: the agent's grace at its stop is what they get.
    let result = mirror(&scene, &options, &load, 0);
    result.assert_users_and_ledger(REQUESTS);
    let verdict = compare(&load.plan, REQUESTS, &result.copies);
    assert_eq!(verdict.wrong, Vec::<String>::new(), "{}", result.describe());
    let ledger = &result.summary.requests;
    assert_eq!(ledger.seen, u64::from(REQUESTS), "{}", result.describe());
    assert_eq!(ledger.sampled, result.copies.len() as u64, "{}", result.describe());
    assert_eq!(ledger.mirrored, ledger.sampled, "{}", result.describe());
    Some(result)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands are exact in an f64")]
fn is_near(result: &Mirrored, percent: u32) -> bool {
    let (n, rate) = (f64::from(REQUESTS), f64::from(percent) / 100.0);
    let found = result.copies.len() as f64;
    eprintln!("{found} of {n} requests copied at {percent} %");
    (found - n * rate).abs() <= 3.0 * (n * rate * (1.0 - rate)).sqrt()
}

/// Copies by the first part of their path, which names the connection.
fn copies_by_connection(scene: &Scene, agent: Agent) -> BTreeMap<String, usize> {
    let summary = agent.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    let mut counts = BTreeMap::new();
    for copy in scene.v2.received().unwrap() {
        *counts.entry(copy.target.split('/').nth(1).unwrap().to_owned()).or_default() += 1;
    }
    counts
}

const OF_EACH: usize = 5;

#[test]
fn all_of_a_connection_or_nothing() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let options = Options::to(scene.v2_address(Family::V4)).rate("50%").with(&["--sample-by", "connection"]);
    let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
    keep_asking(&scene, Family::V4, 60, OF_EACH, || ());
    let counts = copies_by_connection(&scene, agent);
    assert!(counts.values().all(|&count| count == OF_EACH), "{counts:?}");
    // Fewer than 10 or more than 50 of 60 happen once in ten million times.
    assert!((10..=50).contains(&counts.len()), "{counts:?}");
}

/// One address of each family: in or out with all of its connections.
#[test]
fn all_of_a_client_or_nothing() {
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let Some(scene) = scene(Kind::Plain) else { return };
        let options =
            Options::to(scene.v2_address(Family::V4)).rate("50%").with(&["--sample-by", "client-ip"]);
        let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
        keep_asking(&scene, Family::V4, 10, OF_EACH, || ());
        let connections = copies_by_connection(&scene, agent);
        assert!(connections.values().all(|&count| count == OF_EACH), "{connections:?}");
        assert!([0, 10].contains(&connections.len()), "{connections:?}");
        outcomes.push(connections.len());
    }
    eprintln!("connections copied, of 10 each: {outcomes:?}");
}
