//! Sampling: nothing at 0 %, and of 1,000 connections as many as the rate says.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

mod common;

use common::{Mirrored, mirror, scene};
use shadow_tests::{agent::Options, compare::compare, lab::Family, load::Load, plan::Plan, scene::Kind};

const CONNECTIONS: u32 = 1000;

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
    }
}

#[test]
fn a_fifth_of_the_connections_over_ipv4() {
    a_fifth(Family::V4, "tc");
}

#[test]
fn a_fifth_of_the_connections_over_ipv6() {
    a_fifth(Family::V6, "xdp-native");
}

/// A right agent misses ±3σ in one of 370 draws, so a miss is drawn again; a wrong rate misses twice.
fn a_fifth(family: Family, attach: &str) {
    let Some(first) = draw(family, attach) else { return };
    if !is_near(&first, 0.2) {
        let second = draw(family, attach).unwrap();
        assert!(is_near(&second, 0.2), "{} and {}", first.copies.len(), second.copies.len());
    }
}

fn draw(family: Family, attach: &str) -> Option<Mirrored> {
    let scene = scene(Kind::Plain)?;
    let options = Options::to(scene.v2_address(family)).rate("20%").attach(attach);
    let plan = Plan::light(&format!("{family:?}"), "shop");
    let mut load = Load::new(scene.v1_address(family), plan, CONNECTIONS, 20);
    load.requests_per_connection = Some(1);
    // How many copies to wait for isn't known before: the agent's grace at its stop is what they get.
    let result = mirror(&scene, &options, &load, 0);
    result.assert_users_and_ledger(CONNECTIONS);
    let verdict = compare(&load.plan, CONNECTIONS, &result.copies);
    assert_eq!(verdict.wrong, Vec::<String>::new(), "{}", result.describe());
    let ledger = &result.summary.requests;
    assert_eq!(ledger.sampled, result.copies.len() as u64, "{}", result.describe());
    assert_eq!(ledger.mirrored, ledger.sampled, "{}", result.describe());
    Some(result)
}

#[expect(clippy::cast_precision_loss, reason = "a thousand is exact in an f64")]
fn is_near(result: &Mirrored, rate: f64) -> bool {
    let n = f64::from(CONNECTIONS);
    let found = result.copies.len() as f64;
    eprintln!("{found} of {n} connections copied");
    (found - n * rate).abs() <= 3.0 * (n * rate * (1.0 - rate)).sqrt()
}
