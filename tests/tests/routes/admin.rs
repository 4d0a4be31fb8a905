//! The admin API: what anyone may read over TCP, what nobody may change there without the token, and metrics that say
//! what the summary says.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _};

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, get, stop},
};
use shadow_tests::{
    agent::{Summary, http},
    lab::Family,
    load::Load,
    plan::Plan,
    scene::{Kind, Scene},
};

const CONFIG: &str = "
routes:
  - name: pets
    match: { path: { prefix: /items } }
    shadow: [{ upstream: $V2 }, { upstream: 'http://10.78.0.2:81' }]
  - { name: none, match: { path: { prefix: /none } }, shadow: { upstream: $V2, percentage: 0 } }
";

const TOKEN: &str = "0123456789abcdef-token";

fn address() -> SocketAddr {
    "127.0.0.1:9900".parse().unwrap()
}

/// An agent with the API on TCP, with or without a token.
fn stage(token: bool) -> Option<Stage> {
    let scene = scene(Kind::Plain)?;
    let path = scene.lab.directory().join("token");
    fs::write(&path, format!("{TOKEN}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let path = path.display().to_string();
    let all = ["--admin", "127.0.0.1:9900", "--admin-token-file", &path];
    Some(Stage::with(scene, CONFIG, &all[..if token { 4 } else { 2 }]))
}

fn ask(scene: &Scene, request: &str, headers: &[&str], body: &str) -> (u16, String) {
    http(&scene.lab.gateway, address(), request, headers, body).unwrap()
}

const CHANGES: [(&str, &str); 4] = [
    ("POST /api/rate", r#"{"route": "pets", "rate": "0%"}"#),
    ("POST /api/pause", ""),
    ("POST /api/resume", ""),
    ("POST /api/reload", ""),
];
const JSON: &str = "Content-Type: application/json";

#[test]
fn tcp_is_read_only_without_a_token() {
    let Some(stage) = stage(false) else { return };
    for path in ["/metrics", "/healthz", "/readyz", "/api/status", "/api/routes"] {
        assert_eq!(ask(&stage.scene, &format!("GET {path}"), &[], "").0, 200, "{path}");
    }
    for (request, body) in CHANGES {
        let guess = format!("Authorization: Bearer {TOKEN}");
        for headers in [&[JSON][..], &[JSON, &guess]] {
            assert_eq!(ask(&stage.scene, request, headers, body).0, 403, "{request} {headers:?}");
        }
    }
    stage.talk(&[get("/items/1", &[])]);
    stage.finish(1);
}

#[test]
fn tcp_takes_changes_with_the_token_alone() {
    let Some(stage) = stage(true) else { return };
    let right = format!("Authorization: Bearer {TOKEN}");
    let wrong = format!("Authorization: Bearer {}x", &TOKEN[1..]);
    for (request, body) in CHANGES {
        assert_eq!(ask(&stage.scene, request, &[JSON], body).0, 403, "{request}");
        assert_eq!(ask(&stage.scene, request, &[JSON, &wrong], body).0, 403, "{request}");
        let (status, answer) = ask(&stage.scene, request, &[JSON, &right], body);
        assert_eq!(status, 200, "{request}: {answer}");
    }
    // The reload at the end has brought the file's rates back.
    stage.talk(&[get("/items/1", &[])]);
    stage.finish(1);
}

#[test]
fn the_socket_is_the_owners_alone_and_goes_with_the_agent() {
    let Some(stage) = stage(false) else { return };
    let socket = stage.agent.socket();
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    stop(stage.agent);
    assert!(!socket.exists());
}

/// The sum of a metric's values, of the lines that contain all of these.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> u64 {
    let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let lines = metrics.lines().filter(of_it).filter(|line| labels.iter().all(|label| line.contains(label)));
    let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of some thousands")]
    let sum = values.sum::<f64>() as u64;
    sum
}

/// Every term of the ledger, and the sums that must hold among the metrics alone.
fn same_as_the_summary(metrics: &str, summary: &Summary) {
    let of = |name: &str| sum(metrics, name, &[]);
    let early = of("shadow_requests_dropped_total");
    let decided = of("shadow_requests_routed_total") + of("shadow_requests_passed_total") + early;
    assert_eq!(of("shadow_requests_drawn_total"), decided, "{metrics}");
    let [sampled, mirrored, failed, dropped] =
        ["sampled", "mirrored", "failed", "dropped"].map(|what| of(&format!("shadow_copies_{what}_total")));
    assert_eq!(sampled, mirrored + failed + dropped, "{metrics}");
    let ledger = &summary.requests;
    assert_eq!(of("shadow_requests_seen_total"), ledger.seen);
    assert_eq!(
        (sampled + early, mirrored, failed, dropped + early),
        (ledger.sampled, ledger.mirrored, summary.failed(), summary.dropped()),
        "{summary:?}"
    );
    let by_reason = |names: &[&str], reason: &str| -> u64 {
        names.iter().map(|name| sum(metrics, name, &[&format!("reason=\"{reason}\"")])).sum()
    };
    for (reason, count) in &ledger.failed {
        assert_eq!(by_reason(&["shadow_copies_failed_total"], reason), *count, "{reason}");
    }
    let drops = ["shadow_copies_dropped_total", "shadow_requests_dropped_total"];
    for (reason, count) in &ledger.dropped {
        assert_eq!(by_reason(&drops, reason), *count, "{reason}");
    }
}

#[test]
fn metrics_balance_and_say_what_the_summary_says() {
    let Some(stage) = stage(false) else { return };
    let load = Load::new(stage.scene.v1_address(Family::V4), Plan::mixed("metrics", "shop"), 500, 16);
    assert_eq!(load.run(&stage.scene.lab.client).unwrap().correct, 500);
    stage.talk(&[get("/none", &[]), get("/other", &[])]);
    stage.scene.v2.wait_for(500, COPIES_LIMIT).unwrap();
    let scrape = || ask(&stage.scene, "GET /metrics", &[], "").1;
    crate::stage::until("no copy in flight", || {
        let metrics = scrape();
        sum(&metrics, "shadow_copies_in_flight", &[]) + sum(&metrics, "shadow_requests_undecided", &[]) == 0
    });
    let metrics = scrape();
    let status = ask(&stage.scene, "GET /api/status", &[], "").1;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let summary = stop(stage.agent);
    same_as_the_summary(&metrics, &summary);
    let of = |name: &str, labels: &[&str]| sum(&metrics, name, labels);
    let [drawn, routed, passed] =
        ["drawn", "routed", "passed"].map(|what| of(&format!("shadow_requests_{what}_total"), &[]));
    assert_eq!((drawn, routed, passed), (502, 500, 2), "{metrics}");
    let v2 = of("shadow_copies_mirrored_total", &["route=\"pets\"", "status_class=\"2xx\"", "8080"]);
    assert_eq!(v2, 500, "{metrics}");
    assert_eq!(status["requests"]["mirrored"], summary.requests.mirrored);
    assert!(of("process_resident_memory_bytes", &[]) > 1 << 20, "{metrics}");
}
