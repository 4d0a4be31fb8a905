//! At 100 %, v2 receives exactly what users sent, byte for byte.

use std::collections::BTreeMap;

use crate::common::{mirror, root, scene};
use shadow_tests::{
    agent::Options,
    compare::compare,
    lab::Family,
    load::Load,
    plan::Plan,
    scene::{Kind, Scene},
};

/// Mirrors a mixed load, checks that every copy is exact, and returns the kernel's counters.
fn exact(
    scene: &Scene,
    family: Family,
    options: &Options,
    name: &str,
    requests: u32,
    connections: u32,
) -> BTreeMap<String, serde_json::Value> {
    let load =
        Load::new(scene.v1_address(family), Plan::mixed(name, "shop.example:8080"), requests, connections);
    let result = mirror(scene, options, &load, requests as usize);
    result.assert_exact(&load.plan, requests);
    let hosts = compare(&load.plan, requests, &result.copies).hosts;
    assert_eq!(hosts.keys().collect::<Vec<_>>(), ["shop.example-shadow:8080"], "{name}");
    result.summary.kernel
}

/// `SHADOW_RUNS=20` repeats it 20 times; fewer by default, for the time it takes.
#[test]
fn a_thousand_requests_over_fifty_connections() {
    if !root() {
        return;
    }
    let runs: u32 = std::env::var("SHADOW_RUNS").map_or(3, |runs| runs.parse().unwrap());
    for run in 0..runs {
        let kind = if run % 2 == 0 { Kind::Nginx } else { Kind::Plain };
        let attach = ["xdp-native", "tc", "xdp-generic"][run as usize % 3];
        let Some(scene) = scene(kind) else { return };
        let options = Options::to(scene.v2_address(Family::V4)).attach(attach);
        let name = format!("run{run}-{kind:?}-{attach}");
        exact(&scene, Family::V4, &options, &name, 1000, 50);
        eprintln!("{name}: exact");
    }
}

#[test]
fn every_way_to_attach_with_both_versions_of_ip() {
    for family in [Family::V4, Family::V6] {
        for attach in ["auto", "tc", "clsact", "xdp-generic", "xdp-native"] {
            let Some(scene) = scene(Kind::Plain) else { return };
            let options = Options::to(scene.v2_address(family)).attach(attach);
            let kernel = exact(&scene, family, &options, &format!("{attach}-{family:?}"), 200, 10);
            let count = |name: &str| kernel[name].as_u64().unwrap();
            // Each way really is the one that was asked for: XDP decides, and in the driver its tag spares TC that.
            assert_eq!(count("xdp_seen") > 0, attach.starts_with("xdp"), "{attach}: {kernel:?}");
            assert_eq!(count("xdp_tagged") > 0, attach.starts_with("xdp"), "{attach}: {kernel:?}");
            if attach == "xdp-native" {
                assert!(count("tag_used") > 200 && count("tag_used") <= count("xdp_tagged"), "{kernel:?}");
            }
        }
    }
}

/// Each request on a connection of its own: handshakes, and ends of connections right behind a request.
#[test]
fn a_connection_for_each_request() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let options = Options::to(scene.v2_address(Family::V4));
    let mut load = Load::new(scene.v1_address(Family::V4), Plan::mixed("single", "shop"), 300, 20);
    load.requests_per_connection = Some(1);
    let result = mirror(&scene, &options, &load, 300);
    result.assert_users_and_ledger(300);
    let verdict = compare(&load.plan, 300, &result.copies);
    assert_eq!((&verdict.wrong, &verdict.missing), (&Vec::new(), &Vec::new()), "{}", result.describe());
}
