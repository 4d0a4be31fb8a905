//! Upstreams beside each other, and one that comes back: what happens to one is nothing to another.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::{
    common::{COPIES_LIMIT, SHADOW_LAB, scene},
    stage::{Stage, dropped, failed, get, post, service, stop, until, v3},
};
use shadow_tests::{
    fault::server::{self, Behaviour},
    fnv,
    scene::Kind,
    service::Received,
};

/// The copies of one upstream find it refusing; the other's arrive all the same.
#[test]
fn one_upstream_is_not_held_up_by_another() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let v3 = v3(&scene);
    let config = "upstreams:\n  bad: { url: 'http://10.78.0.2:81' }\n  good: { url: $V3 }\n\
                  routes: [{ name: all, shadow: [{ upstream: bad }, { upstream: good }] }]\n";
    let stage = Stage::on(scene, config);
    stage.talk(&vec![get("/", &[]); 100]);
    v3.wait_for(100, COPIES_LIMIT).unwrap();
    let summary = stop(stage.agent);
    assert_eq!(v3.received().unwrap().len(), 100);
    assert_eq!(failed(&summary, "connect") + dropped(&summary, "circuit_open"), 100, "{summary:?}");
    let [bad, good] = ["bad", "good"].map(|upstream| summary.account("all", upstream).unwrap());
    assert_eq!((bad.sampled, bad.mirrored, good.sampled, good.mirrored), (100, 0, 100, 100), "{summary:?}");
}

/// A large body streams to both; one takes nothing, so its copy is given up, and the other's is whole.
#[test]
fn a_stream_that_lags_is_given_up_and_its_neighbour_is_whole() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8099".parse().unwrap();
    let _silent = server::start(&scene.lab, Path::new(SHADOW_LAB), address, Behaviour::Silent).unwrap();
    let config = "upstreams:\n  v2: { url: $V2, stream_buffer: 16MiB }\n  \
                  silent: { url: 'http://10.78.0.2:8099', stream_buffer: 1MiB }\n\
                  routes: [{ name: all, shadow: [{ upstream: v2 }, { upstream: silent }] }]\n";
    let stage = Stage::on(scene, config);
    let body = "0123456789abcdef".repeat(1 << 20);
    stage.talk(&[post("/large", &[], &body)]);
    let copies = stage.scene.v2.wait_for(1, COPIES_LIMIT).unwrap();
    let summary = stop(stage.agent);
    assert_eq!(copies.len(), 1, "{summary:?}");
    assert_eq!(copies[0].body_hash, fnv::hash(body.as_bytes()));
    assert_eq!(summary.account("all", "v2").unwrap().mirrored, 1, "{summary:?}");
    assert_eq!(summary.account("all", "silent").unwrap().dropped["backlog"], 1, "{summary:?}");
}

/// What may be on its way for a route's shadow is bounded by itself.
#[test]
fn max_in_flight_of_a_route() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let slow = service(&scene, "slow", "10.78.0.2:8091", &["--delay-ms", "1500"]);
    let config = "routes: [{ shadow: { upstream: 'http://10.78.0.2:8091', max_in_flight: 2 } }]\n";
    let stage = Stage::on(scene, config);
    stage.talk(&vec![get("/", &[]); 10]);
    slow.wait_for(2, COPIES_LIMIT).unwrap();
    let summary = stop(stage.agent);
    assert_eq!(slow.received().unwrap().len(), 2, "{summary:?}");
    assert_eq!(summary.requests.mirrored, 2, "{summary:?}");
    assert_eq!(dropped(&summary, "in_flight_limit"), 8, "{summary:?}");
}

/// The breaker opens while v2 refuses, and closes when it is there again.
#[test]
fn an_upstream_that_comes_back_gets_copies_again() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let config = "upstreams:\n  v2: { url: 'http://10.78.0.2:8091', breaker: { failures: 3, open_for: 500ms } }\n\
                  routes: [{ shadow: { upstream: v2 } }]\n";
    let stage = Stage::on(scene, config);
    let state = || stage.agent.ctl_json(&["status"]).unwrap()["upstreams"][0]["breaker"].clone();
    until("the breaker to open", || {
        stage.talk(&[get("/refused", &[])]);
        state() == "open"
    });
    let back = service(&stage.scene, "back", "10.78.0.2:8091", &[]);
    until("the breaker to close", || {
        stage.talk(&[get("/back", &[])]);
        std::thread::sleep(Duration::from_millis(20));
        state() == "closed"
    });
    let some = back.received().unwrap().len();
    stage.talk(&vec![get("/after", &[]); 20]);
    let all: Vec<Received> = back.wait_for(some + 20, COPIES_LIMIT).unwrap();
    let summary = stop(stage.agent);
    let count = |target: &str| all.iter().filter(|copy| copy.target == target).count();
    assert_eq!(count("/after"), 20, "{summary:?}");
    assert!(dropped(&summary, "circuit_open") > 0, "{summary:?}");
}

/// Two routes, one upstream: its connections are shared, the accounts are not.
#[test]
fn routes_share_an_upstream() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let config = "
upstreams: { v2: { url: $V2 } }
routes:
  - name: a
    match: { path: { prefix: /a } }
    shadow: { upstream: v2, headers: { set: { x-by: a } } }
  - name: b
    shadow: { upstream: v2, headers: { set: { x-by: b } } }
";
    let stage = Stage::on(scene, config);
    stage.talk(&["/a/1", "/b/1", "/a/2", "/b/2"].map(|target| get(target, &[])));
    let (copies, summary) = stage.finish(4);
    let by: BTreeMap<&str, &str> =
        copies.iter().map(|copy| (&*copy.target, copy.header("x-by").unwrap())).collect();
    assert_eq!(by, BTreeMap::from([("/a/1", "a"), ("/a/2", "a"), ("/b/1", "b"), ("/b/2", "b")]));
    let [a, b] = ["a", "b"].map(|route| summary.account(route, "v2").unwrap().mirrored);
    assert_eq!((a, b), (2, 2), "{summary:?}");
    assert_eq!(summary.shadow["connections"].as_u64().map(|count| count <= 4), Some(true), "{summary:?}");
}
