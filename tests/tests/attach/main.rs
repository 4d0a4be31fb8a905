//! Wherever and beside whatever the agent attaches, copies are exact, the ledgers balance, and it leaves what it found.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

#[path = "../common/mod.rs"]
mod common;

mod beside;
mod clsact;
mod places;

use std::net::SocketAddr;

use common::{Mirrored, follow};
use shadow_tests::{
    agent::{Agent, Options},
    attached::Attached,
    lab::{Family, NIC},
    load::Load,
    netns::Namespace,
    plan::Plan,
    scene::Scene,
};

/// Few, but of every size.
const REQUESTS: u32 = 150;

/// Everything to v2.
fn to_v2(scene: &Scene) -> Options {
    Options::to(scene.v2_address(Family::V4))
}

/// From the lab's client to v1.
fn load(scene: &Scene, name: &str) -> Load {
    load_to(scene.v1_address(Family::V4), name)
}

fn load_to(address: SocketAddr, name: &str) -> Load {
    Load::new(address, Plan::mixed(name, "shop"), REQUESTS, 10)
}

/// The lab's client sends, an agent in the gateway mirrors, and every copy is exact.
fn assert_exact(scene: &Scene, options: &Options, name: &str) -> Mirrored {
    let agent = Agent::start(&scene.lab.gateway, options).unwrap();
    assert_exact_from(scene, agent, &scene.lab.client, &load(scene, name))
}

/// The same with other users, or with an agent elsewhere. v2 has seen nothing before.
fn assert_exact_from(scene: &Scene, agent: Agent, users: &Namespace, load: &Load) -> Mirrored {
    let mirrored = follow(scene, agent, users, load, REQUESTS as usize);
    mirrored.assert_exact(&load.plan, REQUESTS);
    mirrored
}

/// What is on the gateway's device.
fn on_nic(scene: &Scene) -> Attached {
    Attached::on(&scene.lab.gateway, NIC).unwrap()
}

fn attachment(mirrored: &Mirrored) -> &str {
    mirrored.summary.attachment.as_str().unwrap()
}

/// Whether a line of the log says this.
fn says(log: &[String], words: &str) -> bool {
    log.iter().any(|line| line.contains(words))
}
