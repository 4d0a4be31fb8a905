//! A copy is never copied: where the agent sees its own copies, or those of another.

use std::{net::SocketAddr, path::Path};

use crate::common::{COPIES_LIMIT, Mirrored, SHADOW_LAB, mirror, scene};
use shadow_tests::{
    agent::{Agent, Options},
    compare::compare,
    lab::Family,
    load::Load,
    plan::Plan,
    scene::{Kind, Scene, Service},
};

const REQUESTS: u32 = 300;

/// v1, v2 and users on one host, over `lo`, on the same port.
struct OneHost {
    scene: Scene,
    _v1: Service,
    v2: Service,
    v1: SocketAddr,
}

/// Not the port of the scene's own services, which listen on every address.
const ON_LO: u16 = 8090;
const V2_ON_LO: &str = "127.0.0.2:8090";

fn one_host() -> Option<OneHost> {
    let scene = scene(Kind::Plain)?;
    let v1 = SocketAddr::from(([127, 0, 0, 1], ON_LO));
    let serve = |name, address| {
        Service::at(&scene.lab, &scene.lab.gateway, name, Path::new(SHADOW_LAB), address).unwrap()
    };
    let (_v1, v2) = (serve("v1-on-lo", v1), serve("v2-on-lo", V2_ON_LO.parse().unwrap()));
    Some(OneHost { scene, _v1, v2, v1 })
}

fn on_lo(attach: &str) -> Options {
    Options { port: ON_LO, ..Options::to(V2_ON_LO).on(&["lo"]).attach(attach) }
}

#[test]
fn v2_on_the_same_host_port_and_interface() {
    for attach in ["tc", "clsact", "xdp-generic"] {
        let Some(OneHost { scene, _v1, v2, v1 }) = one_host() else { return };
        let agent = Agent::start(&scene.lab.gateway, &on_lo(attach)).unwrap();
        let load = Load::new(v1, Plan::light(attach, "shop"), REQUESTS, 10);
        let report = load.run(&scene.lab.gateway).unwrap();
        assert_eq!((report.correct, report.errors), (REQUESTS, Vec::new()));
        v2.wait_for(REQUESTS as usize, COPIES_LIMIT).unwrap();
        let summary = agent.stop().unwrap();
        assert!(summary.balances(), "{summary:?}");
        let verdict = compare(&load.plan, REQUESTS, &v2.received().unwrap());
        assert_eq!((verdict.exact, verdict.wrong), (REQUESTS as usize, Vec::new()), "{attach}: {summary:?}");
        let ledger = &summary.requests;
        assert_eq!((ledger.sampled, ledger.mirrored), (300, 300), "{attach}: {summary:?}");
        let count = |name: &str| summary.kernel[name].as_u64().unwrap();
        assert!(count("own") >= u64::from(REQUESTS), "{attach}: {summary:?}");
    }
}

/// Each of two agents copies every request once, and neither the other's copies nor its own.
#[test]
fn two_agents_on_one_interface() {
    let Some(OneHost { scene, _v1, v2, v1 }) = one_host() else { return };
    let agents = [(); 2].map(|()| Agent::start(&scene.lab.gateway, &on_lo("tc")).unwrap());
    let load = Load::new(v1, Plan::light("two", "shop"), REQUESTS, 10);
    let report = load.run(&scene.lab.gateway).unwrap();
    assert_eq!((report.correct, report.errors), (REQUESTS, Vec::new()));
    v2.wait_for(2 * REQUESTS as usize, COPIES_LIMIT).unwrap();
    for agent in agents {
        let summary = agent.stop().unwrap();
        assert!(summary.balances(), "{summary:?}");
        assert_eq!((summary.requests.sampled, summary.requests.mirrored), (300, 300), "{summary:?}");
    }
    assert_eq!(v2.received().unwrap().len(), 2 * REQUESTS as usize);
}

/// The second agent sits where the first one's copies arrive, on another host: only their headers tell.
#[test]
fn an_agent_on_the_way_of_anothers_copies() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let to_v2 = Options::to(scene.v2_address(Family::V4));
    let second = Agent::start(&scene.lab.v2, &to_v2.clone().on(&["eth0"])).unwrap();
    let load = Load::new(scene.v1_address(Family::V4), Plan::mixed("way", "shop"), REQUESTS, 10);
    let first = mirror(&scene, &to_v2, &load, REQUESTS as usize);
    first.assert_exact(&load.plan, REQUESTS);
    let summary = second.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    assert_eq!(summary.requests.mirrored, 0, "{summary:?}");
    assert_eq!(summary.requests.dropped.get("loop"), Some(&u64::from(REQUESTS)), "{summary:?}");
    assert_eq!(received(&scene), REQUESTS as usize);
    let Mirrored { copies, .. } = first;
    assert!(copies.iter().all(|copy| copy.header("x-shadow-copy").is_some()));
}

fn received(scene: &Scene) -> usize {
    scene.v2.received().unwrap().len()
}
