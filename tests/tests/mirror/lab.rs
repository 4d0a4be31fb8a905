//! The lab proves itself before it judges the agent: what it sends arrives, what differs is found, nothing is left.

use std::{path::Path, time::Duration};

use crate::common::{SHADOW_LAB, root};
use shadow_tests::{
    attached::Attached,
    compare::compare,
    lab::{Family, NIC},
    load::Load,
    plan::Plan,
    scene::{Kind, Scene},
};

#[test]
fn without_an_agent_v1_gets_every_request_and_v2_none() {
    if !root() {
        return;
    }
    for (kind, family) in [(Kind::Plain, Family::V4), (Kind::Plain, Family::V6), (Kind::Nginx, Family::V4)] {
        let scene = Scene::new(Path::new(SHADOW_LAB), kind).unwrap();
        let load = Load::new(scene.v1_address(family), Plan::mixed("direct", "shop"), 300, 20);
        let report = load.run(&scene.lab.client).unwrap();
        assert_eq!((report.correct, &report.errors), (300, &Vec::new()), "{kind:?} {family:?}");
        let received = scene.v1.wait_for(300, Duration::from_secs(5)).unwrap();
        let verdict = compare(&load.plan, 300, &received);
        assert_eq!((verdict.exact, &verdict.wrong), (300, &Vec::new()), "{kind:?} {family:?}");
        assert!(scene.v2.received().unwrap().is_empty());
        assert!(Attached::on(&scene.lab.gateway, NIC).unwrap().is_nothing());
        if let Some(nginx) = &scene.v1.nginx {
            assert_eq!(nginx.accesses(300).unwrap().len(), 300);
        }
    }
}

#[test]
fn a_dropped_scene_leaves_nothing() {
    if !root() {
        return;
    }
    let scene = Scene::new(Path::new(SHADOW_LAB), Kind::Nginx).unwrap();
    let names =
        [&scene.lab.client, &scene.lab.gateway, &scene.lab.v2].map(|namespace| namespace.name().to_owned());
    let directory = scene.lab.directory().to_path_buf();
    assert!(names.iter().all(|name| Path::new("/run/netns").join(name).exists()));
    drop(scene);
    assert!(!names.iter().any(|name| Path::new("/run/netns").join(name).exists()));
    assert!(!directory.exists());
}
