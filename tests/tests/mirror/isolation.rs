//! Whatever happens to v2 or to the agent, users don't notice (invariant 1), and the ledger says what happened.

use std::{net::SocketAddr, path::Path, sync::atomic::Ordering, thread, time::Duration};

use crate::common::{Mirrored, SHADOW_LAB, mirror, scene};
use shadow_tests::{
    agent::{Agent, Options},
    attached::Attached,
    child::poll,
    lab::{Family, NIC},
    load::Load,
    plan::Plan,
    scene::{Kind, Scene, serve},
};

const REQUESTS: u32 = 300;

fn with_v2_at(scene: &Scene, address: SocketAddr, more: &[&str]) -> Mirrored {
    let load = Load::new(scene.v1_address(Family::V4), Plan::mixed("isolated", "shop"), REQUESTS, 20);
    let result = mirror(scene, &Options::to(address).with(more), &load, 0);
    result.assert_users_and_ledger(REQUESTS);
    assert!(result.copies.is_empty());
    let ledger = &result.summary.requests;
    assert_eq!((ledger.sampled, ledger.mirrored), (u64::from(REQUESTS), 0), "{}", result.describe());
    result
}

fn failed(result: &Mirrored, reason: &str) -> u64 {
    result.summary.requests.failed.get(reason).copied().unwrap_or(0)
}

fn dropped(result: &Mirrored, reason: &str) -> u64 {
    result.summary.requests.dropped.get(reason).copied().unwrap_or(0)
}

#[test]
fn v2_refuses() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let result = with_v2_at(&scene, "10.78.0.2:81".parse().unwrap(), &[]);
    let refused = failed(&result, "connect");
    assert!(refused > 0, "{}", result.describe());
    // After some failures in a row v2 is left in peace.
    assert_eq!(refused + dropped(&result, "circuit_open"), u64::from(REQUESTS), "{}", result.describe());
}

/// No host answers at this address of v2's network, as when v2's machine is off.
#[test]
fn v2_is_down() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let result = with_v2_at(&scene, "10.78.0.9:8080".parse().unwrap(), &["--timeout", "1s"]);
    let named = failed(&result, "connect") + failed(&result, "timeout");
    assert!(named > 0, "{}", result.describe());
    let left = dropped(&result, "shutdown") + dropped(&result, "circuit_open");
    assert_eq!(named + left, u64::from(REQUESTS), "{}", result.describe());
}

/// v2 takes connections and requests and never answers.
#[test]
fn v2_hangs() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8081".parse().unwrap();
    let _hanging = serve(&scene.lab, &scene.lab.v2, Path::new(SHADOW_LAB), &[address], &["--hang"]).unwrap();
    let limits = ["--timeout", "500ms", "--max-in-flight", "4", "--max-queue", "16"];
    let result = with_v2_at(&scene, address, &limits);
    assert!(failed(&result, "timeout") > 0, "{}", result.describe());
    assert!(dropped(&result, "queue_full") > 0, "{}", result.describe());
}

/// A slow v2 costs users nothing: their latency stays far below its delay.
#[test]
fn v2_is_slow() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8082".parse().unwrap();
    let slow = ["--delay-ms", "2000"];
    let _slow = serve(&scene.lab, &scene.lab.v2, Path::new(SHADOW_LAB), &[address], &slow).unwrap();
    let load = Load::new(scene.v1_address(Family::V4), Plan::light("slow", "shop"), REQUESTS, 20);
    let result = mirror(&scene, &Options::to(address), &load, 0);
    result.assert_users_and_ledger(REQUESTS);
    assert!(result.report.latency.max() < 1_000_000, "{} µs", result.report.latency.max());
}

#[test]
fn a_killed_agent_leaves_users_and_kernel_alone() {
    for attach in ["xdp-native", "xdp-generic", "tc"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let load = Load::new(scene.v1_address(Family::V4), Plan::mixed("killed", "shop"), u32::MAX, 20);
        let options = Options::to(scene.v2_address(Family::V4)).attach(attach);
        let report = thread::scope(|scope| {
            let stop = StopUsers(&load);
            // Before the users: it follows the connections that it has seen begin.
            let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
            let users = scope.spawn(|| load.run(&scene.lab.client).unwrap());
            // Copies arrive, so it is killed at work.
            assert!(scene.v2.wait_for(100, Duration::from_secs(10)).unwrap().len() >= 100);
            let attached = Attached::on(&scene.lab.gateway, NIC).unwrap();
            assert_eq!(attached.tcx.len() + attached.filters.len().min(2), 2, "{attached:?}");
            assert_eq!(!attached.xdp.is_empty(), attach != "tc", "{attached:?}");
            agent.kill().unwrap();
            let gone = || {
                let nothing = Attached::on(&scene.lab.gateway, NIC)?.is_nothing();
                Ok((nothing && attached.still_loaded().is_empty()).then_some(()))
            };
            poll(Duration::from_secs(5), "the agent's programs to be gone", gone).unwrap();
            // Users go on for a while after it.
            let after = scene.v1.received().unwrap().len() + 200;
            assert!(scene.v1.wait_for(after, Duration::from_secs(10)).unwrap().len() >= after);
            drop(stop);
            users.join().unwrap()
        });
        assert!(report.sent > 300, "{attach}: only {} requests", report.sent);
        assert_eq!((report.correct, report.errors), (report.sent, Vec::new()), "{attach}");
    }
}

/// Ends the load, also when the test fails meanwhile: the scope waits for its users.
struct StopUsers<'a>(&'a Load);

impl Drop for StopUsers<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
