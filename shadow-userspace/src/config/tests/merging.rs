//! Flags beside a file, defaults beside sections, and files that are others'.

use std::time::Duration;

use super::load;
use crate::{
    config::{ConfigSource, Overrides, file::Document},
    shadow::copy::policy::HostRule,
};

const FILE: &str = "
capture: {interfaces: [eth0], ports: [80]}
upstreams: {a: {url: http://a, timeout: 3s}, b: {url: http://b}}
routes:
- shadow: [{upstream: a, host_suffix: -a, timeout: 1s}, {upstream: b, host_rewrite: b.internal}]
";

#[test]
fn flags_replace_what_the_file_says_everywhere() {
    let mut flags = Document::default();
    flags.capture.ports = vec!["81".into()].into();
    flags.defaults.timeout = Some("9s".into());
    flags.defaults.host_suffix = Some("-flag".into());
    let source = ConfigSource { overrides: Overrides(flags), ..ConfigSource::default() };
    let config = source.parse("x", FILE).unwrap().config;
    assert_eq!((config.capture.interfaces[0].as_str(), config.capture.ports), ("eth0", vec![81]));
    assert!(config.upstreams.iter().all(|upstream| upstream.timeout == Duration::from_secs(9)));
    let [a, b] = config.routes[0].shadows.as_slice() else { panic!() };
    assert_eq!((a.timeout, &a.policy.host), (None, &HostRule::Suffix("-flag".to_owned())));
    assert_eq!(b.policy.host, HostRule::Rewrite("b.internal".parse().unwrap()));
    assert_eq!(config.loop_guard.suffixes, ["-flag"]);
}

#[test]
fn a_flags_route_and_a_files_routes_do_not_mix() {
    let flags = "routes: [{name: default, shadow: {upstream: http://c}}]";
    let flags = crate::config::file::Node::parse(flags).unwrap()[0].read().unwrap();
    let source = ConfigSource { overrides: Overrides(flags), ..ConfigSource::default() };
    let error = source.parse("x", FILE).unwrap_err().to_string();
    assert!(error.starts_with("x:4:1: routes: the file has routes, so --shadow"), "{error}");
    let config = source.parse("x", "capture: {ports: [80]}").unwrap().config;
    assert_eq!((config.routes[0].name.as_str(), config.capture.ports), ("default", vec![80]));
}

#[test]
fn documents_of_others_are_converted() {
    let text = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pets, namespace: default}
spec:
  hosts: [pets]
  http:
  - route: [{destination: {host: v1}}]
    mirror: {host: v2, port: {number: 8080}}
    mirrorPercentage: {value: 25.0}
";
    let loaded = load(text).unwrap();
    let shadow = &loaded.config.routes[0].shadows[0];
    assert_eq!(shadow.percentage.to_string(), "25%");
    let error = load("apiVersion: v1\nkind: Secret\n").unwrap_err().to_string();
    assert!(error.starts_with("shadow.yaml: no document with mirror rules"), "{error}");
}

#[test]
fn aliases_and_merges_mean_what_stands_at_their_anchor() {
    let text = "
upstreams:
  a: &a {url: http://a, max_queue: 12, breaker: off}
  b: {<<: *a, url: http://b}
routes: [{shadow: [{upstream: a}, {upstream: b}]}]
";
    let upstreams = load(text).unwrap().config.upstreams;
    assert!(upstreams.iter().all(|upstream| upstream.max_queue == 12 && upstream.breaker.is_none()));
    assert_eq!(upstreams[1].url.to_string(), "http://b");
}
