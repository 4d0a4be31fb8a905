//! What bounds the copies of an upstream, and which of them are left out.

use std::{collections::BTreeMap, time::Duration};

use crate::stage::{Stage, dropped, get, post, request, sorted, stop};
use shadow_tests::{lab::Family, load::Load, plan::Plan};

/// 400 requests in two seconds, 20 copies in one: a second's worth may come at once, then as many in each second.
#[test]
fn max_rps() {
    let config = "upstreams:\n  v2: { url: $V2, max_rps: 20 }\nroutes: [{ shadow: { upstream: v2 } }]\n";
    let Some(stage) = Stage::new(config) else { return };
    let mut load = Load::new(stage.scene.v1_address(Family::V4), Plan::light("rps", "shop"), 400, 8);
    load.rate = Some(200.0);
    let start = std::time::Instant::now();
    let report = load.run(&stage.scene.lab.client).unwrap();
    let took = start.elapsed();
    assert_eq!((report.correct, report.errors), (400, Vec::new()));
    let summary = stop(stage.agent);
    let copies = summary.requests.mirrored;
    let most = 20.0 * (took + Duration::from_millis(1500)).as_secs_f64();
    assert!(copies >= 20 && Duration::from_secs(copies).as_secs_f64() <= most, "{copies} in {took:?}");
    assert_eq!(copies + dropped(&summary, "rate_limit"), 400, "{summary:?}");
}

/// A connection's copies come in its order, though each large one takes longer than the small one after it.
#[test]
fn per_connection_order() {
    let config =
        "upstreams:\n  v2: { url: $V2, order: per_connection }\nroutes: [{ shadow: { upstream: v2 } }]\n";
    let Some(stage) = Stage::new(config) else { return };
    let large = "x".repeat(200_000);
    let connection = |number: usize| -> Vec<Vec<u8>> {
        let target = |request: usize| format!("/{number}/{request}");
        (0..20)
            .map(|request| match request % 2 {
                0 => post(&target(request), &[], &large),
                _ => get(&target(request), &[]),
            })
            .collect()
    };
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (stage, requests) = (&stage, connection(number));
            scope.spawn(move || stage.talk(&requests));
        }
    });
    let (copies, _) = stage.finish(160);
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for copy in &copies {
        let (connection, request) = copy.target[1..].split_once('/').unwrap();
        let expected = next.entry(connection).or_default();
        assert_eq!(request.parse::<usize>().unwrap(), *expected, "connection {connection}");
        *expected += 1;
    }
}

#[test]
fn methods_guard_and_safe_methods_only() {
    let methods = ["GET", "HEAD", "OPTIONS", "POST", "DELETE"];
    for (config, copied) in [
        ("routes: [{ shadow: { upstream: $V2, methods: [GET, POST] } }]\n", &["GET", "POST"][..]),
        ("safe_methods_only: true\nroutes: [{ shadow: { upstream: $V2 } }]\n", &["GET", "HEAD", "OPTIONS"]),
    ] {
        let Some(stage) = Stage::new(config) else { return };
        // The answer to HEAD has no body, which this client doesn't expect: last, and on a connection of its own.
        for method in methods.into_iter().filter(|method| *method != "HEAD") {
            stage.talk(&[request(method, &format!("/{method}"), &[], "")]);
        }
        let mut curl = stage.scene.lab.client.command("curl");
        let url = format!("http://{}/HEAD", stage.scene.v1_address(Family::V4));
        let output = curl.args(["--silent", "--head", &url]).output().unwrap();
        assert!(output.status.success());
        let (copies, summary) = stage.finish(copied.len());
        let expected: Vec<String> = copied.iter().map(|method| format!("/{method}")).collect();
        let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(sorted(&copies), expected);
        assert_eq!(summary.requests.mirrored, copied.len() as u64, "{summary:?}");
    }
}
