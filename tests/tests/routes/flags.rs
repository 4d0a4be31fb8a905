//! Without a file: the flags make one route, `default`, and what works with a file works with them.

use crate::{
    common::scene,
    stage::{Stage, copy_of, dropped, get, post, targets},
};
use nix::sys::signal::Signal;
use shadow_tests::{
    agent::{Agent, Options},
    lab::Family,
    scene::Kind,
};

fn stage(more: &[&str]) -> Option<Stage> {
    let scene = scene(Kind::Plain)?;
    let options = Options::to(scene.v2_address(Family::V4)).with(more);
    let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
    Some(Stage { agent, scene })
}

#[test]
fn flags_shape_copies() {
    let more =
        ["--host-suffix", "", "--loop-header", "x-mirrored", "--safe-methods-only", "--max-body", "1KiB"];
    let Some(stage) = stage(&more) else { return };
    stage.talk(&[get("/get", &[]), post("/post", &[], "x"), get("/looped", &["X-Mirrored: 1"])]);
    let (copies, summary) = stage.finish(1);
    let copy = copy_of(&copies, "/get");
    assert_eq!(copy.header("host"), Some("shop.example"));
    assert!(copy.header("x-mirrored").is_some() && copy.header("x-shadow-copy").is_none(), "{copy:?}");
    assert_eq!(dropped(&summary, "loop"), 1, "{summary:?}");
    assert_eq!(summary.requests.passed["method"], 1, "{summary:?}");
    assert_eq!(summary.routes[0].route, "default");
}

/// The only route is called `default`, and needs no name.
#[test]
fn the_rate_changes_live() {
    let Some(stage) = stage(&[]) else { return };
    stage.agent.ctl(&["rate", "default", "0%"]).unwrap();
    stage.talk(&[get("/none", &[])]);
    stage.agent.ctl(&["rate", "100%"]).unwrap();
    stage.talk(&[get("/all", &[])]);
    let (copies, _) = stage.finish(1);
    assert_eq!(targets(&copies), ["/all"]);
}

/// There is no file to be read again: a hangup is what it is for every program, the end, in order.
#[test]
fn a_hangup_without_a_file_stops_in_order() {
    let Some(stage) = stage(&[]) else { return };
    stage.talk(&[get("/", &[])]);
    let (_, summary) = stage.agent.stop_by(&[Signal::SIGHUP]).unwrap();
    assert!(summary.balances() && summary.requests.mirrored == 1, "{summary:?}");
}

#[test]
fn a_socket_of_ones_own_or_none() {
    let Some(stage) = stage(&["--admin-socket", "off"]) else { return };
    assert!(!stage.agent.socket().exists());
    assert!(stage.agent.ctl(&["status"]).is_err());
    stage.talk(&[get("/", &[])]);
    stage.finish(1);
}
