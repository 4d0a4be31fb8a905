//! Envoy's shadow policy integration tests, by their names, as far as they are about heads and answers.

use std::time::Duration;

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, copy_of, failed, get, post, service, stop, wait},
};
use shadow_tests::{
    fault::server::{self, Behaviour},
    scene::Kind,
};

const ALL: &str = "routes: [{ shadow: { upstream: $V2 } }]\n";

#[test]
fn basic() {
    let Some(stage) = Stage::new(ALL) else { return };
    for (count, target) in [(1, "/one"), (2, "/two")] {
        stage.talk(&[get(target, &["Potato: salad"])]);
        wait(&stage.scene, count);
    }
    let (copies, summary) = stage.finish(2);
    assert!(copies.iter().all(|copy| copy.header("potato") == Some("salad")), "{copies:?}");
    assert_eq!(summary.requests.mirrored_by_status["2xx"], 2);
    assert_eq!(summary.shadow["connections"], 1, "{summary:?}");
}

/// With one place and nobody waiting, what comes meanwhile is left out; users get their answers.
#[test]
fn basic_with_limits() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let slow = service(&scene, "slow", "10.78.0.2:8091", &["--delay-ms", "1500"]);
    let config = "upstreams:\n  slow: { url: 'http://10.78.0.2:8091', max_in_flight: 1, max_queue: 0 }\n\
                  routes: [{ shadow: { upstream: slow } }]\n";
    let stage = Stage::on(scene, config);
    stage.talk(&[get("/first", &[])]);
    slow.wait_for(1, COPIES_LIMIT).unwrap();
    stage.talk(&[get("/second", &[]), get("/third", &[])]);
    let summary = stop(stage.agent);
    assert_eq!(slow.received().unwrap().len(), 1, "{summary:?}");
    assert_eq!(summary.requests.mirrored, 1, "{summary:?}");
    assert_eq!(summary.requests.dropped["queue_full"], 2, "{summary:?}");
}

#[test]
fn request_mirror_policy_with_shadow_upstream_reset() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8099".parse().unwrap();
    let lab_program = std::path::Path::new(crate::common::SHADOW_LAB);
    let _resets = server::start(&scene.lab, lab_program, address, Behaviour::ResetInMidResponse).unwrap();
    let stage = Stage::on(scene, "routes: [{ shadow: { upstream: 'http://10.78.0.2:8099' } }]\n");
    stage.talk(&[get("/", &[]), post("/", &[], "some body")]);
    let summary = stop(stage.agent);
    assert_eq!(failed(&summary, "reset"), 2, "{summary:?}");
}

/// The answer comes later than the copy may take; the user has had his long before.
#[test]
fn request_mirror_policy_with_shadow_only_timeout() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let _slow = service(&scene, "slow", "10.78.0.2:8091", &["--delay-ms", "3000"]);
    let config = "routes: [{ shadow: { upstream: 'http://10.78.0.2:8091', timeout: 200ms } }]\n";
    let stage = Stage::on(scene, config);
    stage.talk(&[get("/", &[])]);
    let summary = stop(stage.agent);
    assert_eq!(failed(&summary, "timeout"), 1, "{summary:?}");
}

#[test]
fn request_headers_mutations_on_the_copy_only() {
    let config = "
routes:
  - shadow:
      upstream: $V2
      headers:
        set: { x-env: shadow }
        add: { x-tag: second }
        remove: [x-internal]
";
    let Some(stage) = Stage::new(config) else { return };
    stage.talk(&[get("/", &["X-Env: real", "X-Tag: first", "X-Internal: secret", "X-Kept: yes"])]);
    let real = stage.scene.v1.wait_for(1, Duration::from_secs(5)).unwrap().remove(0);
    let (copies, _) = stage.finish(1);
    let all = |received: &shadow_tests::service::Received, name: &str| -> Vec<String> {
        let found = received.headers.iter().filter(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).collect()
    };
    let copy = copy_of(&copies, "/");
    assert_eq!(all(copy, "x-env"), ["shadow"]);
    assert_eq!(all(copy, "x-tag").join(","), "first,second");
    assert_eq!(all(copy, "x-internal"), Vec::<String>::new());
    assert_eq!(all(copy, "x-kept"), ["yes"]);
    assert_eq!(all(copy, "x-shadow-copy").len(), 1);
    let real = ["x-env", "x-tag", "x-internal", "x-shadow-copy"].map(|name| all(&real, name).join(","));
    assert_eq!(real, ["real", "first", "secret", ""]);
}

/// Targets with the Host that v2 should see.
const HOSTS: [(&str, &str, &str); 6] = [
    ("/name", "sni.lyft.com", "sni.lyft.com-shadow"),
    ("/port", "sni.lyft.com:8080", "sni.lyft.com-shadow:8080"),
    ("/v4", "10.0.0.1", "10.0.0.1-shadow"),
    ("/v4-port", "10.0.0.1:80", "10.0.0.1-shadow:80"),
    ("/v6", "[::1]", "[::1]-shadow"),
    ("/v6-port", "[::1]:80", "[::1]-shadow:80"),
];

/// Sends a request for each of [`HOSTS`] and gives the Hosts that v2 saw, in that order.
fn hosts_seen(config: &str) -> Option<Vec<String>> {
    let stage = Stage::new(config)?;
    stage.talk(&HOSTS.map(|(target, host, _)| get(target, &[&format!("Host: {host}")])));
    let (copies, _) = stage.finish(HOSTS.len());
    let host = |(target, ..): (&str, _, _)| copy_of(&copies, target).header("host").unwrap().to_owned();
    Some(HOSTS.map(host).to_vec())
}

#[test]
fn shadowed_cluster_host_header_appends_suffix() {
    let Some(seen) = hosts_seen(ALL) else { return };
    assert_eq!(seen, HOSTS.map(|(_, _, shadowed)| shadowed));
}

#[test]
fn shadowed_cluster_host_header_disabled_append_suffix() {
    let config = "routes: [{ shadow: { upstream: $V2, host_suffix: '' } }]\n";
    let Some(seen) = hosts_seen(config) else { return };
    assert_eq!(seen, HOSTS.map(|(_, host, _)| host));
}

/// The rewrite implies no suffix.
#[test]
fn host_rewrite_literal() {
    let config = "routes: [{ shadow: { upstream: $V2, host_rewrite: 'v2.internal:81' } }]\n";
    let Some(seen) = hosts_seen(config) else { return };
    assert_eq!(seen, ["v2.internal:81"; HOSTS.len()]);
}
