//! Both forms of the summary.

use serde_json::Value;
use shadow_common::COUNTERS;

use super::*;
use crate::ledger::{DropReason, FailReason, Ledger, Outcome, PassReason};

fn summary() -> Summary {
    let ledger = Ledger::new();
    for outcome in [
        Outcome::Mirrored(200),
        Outcome::Mirrored(204),
        Outcome::Mirrored(503),
        Outcome::Mirrored(999),
        Outcome::Failed(FailReason::Timeout),
        Outcome::Dropped(DropReason::QueueFull),
    ] {
        ledger.open().settle(outcome);
    }
    Summary {
        requests: ledger.snapshot(),
        kernel: Some(KernelCounters::default()),
        file: None,
        flows: FlowStats { requests_framed: 9, requests_passed: 3, ..FlowStats::default() },
        latency: Quantiles {
            p50: Duration::from_micros(1250),
            p99: Duration::from_millis(20),
            max: Duration::from_secs(1),
        },
        connections: 3,
        attachment: "tcx on \"eth0\"".to_owned(),
        elapsed: Duration::from_millis(12_500),
    }
}

#[test]
fn json_is_one_line_with_every_count() {
    let text = summary().json();
    assert!(!text.contains('\n'));
    let json: Value = serde_json::from_str(&text).unwrap();
    let requests = &json["requests"];
    assert_eq!(requests["seen"], 9);
    assert_eq!(requests["sampled"], 6);
    assert_eq!(requests["mirrored"], 4);
    assert_eq!(
        requests["mirrored_by_status"],
        serde_json::json!({"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 0, "5xx": 1, "other": 1})
    );
    assert_eq!(requests["failed"].as_object().unwrap().len(), FailReason::ALL.len());
    assert_eq!(requests["failed"]["timeout"], 1);
    assert_eq!(requests["failed"]["reset"], 0);
    assert_eq!(requests["dropped"].as_object().unwrap().len(), DropReason::ALL.len());
    assert_eq!(requests["dropped"]["queue_full"], 1);
    assert_eq!(requests["dropped"]["gap"], 0);
    assert_eq!((&requests["in_flight"], &requests["balanced"]), (&0.into(), &true.into()));
    assert_eq!(json["kernel"].as_object().unwrap().len(), COUNTERS.len() + 1);
    assert_eq!((&json["kernel"]["matched"], &json["kernel"]["balanced"]), (&0.into(), &true.into()));
    assert!(json["flows"].is_object());
    assert_eq!(
        json["shadow"],
        serde_json::json!({"latency_ms": {"p50": 1.25, "p99": 20.0, "max": 1000.0}, "connections": 3})
    );
    assert_eq!((&json["attachment"], &json["seconds"]), (&"tcx on \"eth0\"".into(), &12.5.into()));
}

#[test]
fn text_names_what_happened_and_leaves_the_rest_out() {
    let text = summary().text();
    for line in [
        "requests        9 seen, 6 sampled",
        "  mirrored      4 (2xx 2, 5xx 1, other 1)",
        "  failed        1 (timeout 1)",
        "  dropped       1 (queue_full 1)",
        "kernel          0 segments matched",
        "  skipped       0",
        "flows           requests_framed 9, requests_passed 3",
        "v2 latency      p50 1.25 ms, p99 20.00 ms, max 1000.00 ms",
        "v2 connections  3 opened",
        "time            12.5 s",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains("in flight") && !text.contains("BALANCED"), "{text}");
}

#[test]
fn a_capture_files_packets_are_counted() {
    let file = FileStats { packets: 7, not_tcp: 2, ..FileStats::default() };
    let summary = Summary { file: Some(file), ..summary() };
    assert!(summary.text().contains("\nfile            not_tcp 2, packets 7\n"), "{}", summary.text());
    let json: Value = serde_json::from_str(&summary.json()).unwrap();
    assert_eq!((&json["file"]["packets"], &json["file"]["fragments"]), (&7.into(), &0.into()));
}

#[test]
fn a_request_without_outcome_is_pointed_out() {
    let ledger = Ledger::new();
    let open = ledger.open();
    let summary = Summary { requests: ledger.snapshot(), ..summary() };
    assert!(summary.text().contains("1 sampled  NOT BALANCED"), "{}", summary.text());
    assert!(summary.json().contains("\"in_flight\":1,\"balanced\":false"));
    drop(open);
}

#[test]
fn every_way_to_an_upstream_has_its_account() {
    let ledger = Ledger::new();
    let [one, two] = ["one", "two"].map(|upstream| ledger.account("pets", upstream));
    for ticket in ledger.route(ledger.open(), [&one, &two]) {
        ticket.settle(Outcome::Mirrored(200));
    }
    for ticket in ledger.route(ledger.open(), [&two]) {
        ticket.settle(Outcome::Dropped(DropReason::RateLimit));
    }
    ledger.pass(ledger.open(), PassReason::NotDrawn);
    let summary = Summary { requests: ledger.snapshot(), ..summary() };
    let text = summary.text();
    for line in [
        "requests        9 seen, 3 sampled",
        "  passed        1 (not_drawn 1)",
        "routes          2 ways to an upstream",
        "  pets to one   1 sampled, 1 mirrored, 0 failed, 0 dropped",
        "  pets to two   2 sampled, 1 mirrored, 0 failed, 1 dropped",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in\n{text}");
    }
    let json: Value = serde_json::from_str(&summary.json()).unwrap();
    let routes = json["routes"].as_array().unwrap();
    assert_eq!(
        (routes.len(), &routes[1]["upstream"], &routes[1]["route"]),
        (2, &"two".into(), &"pets".into())
    );
    assert_eq!((&routes[1]["sampled"], &routes[1]["dropped"]["rate_limit"]), (&2.into(), &1.into()));
    assert_eq!(
        (&json["requests"]["passed"]["not_drawn"], &json["requests"]["sampled"]),
        (&1.into(), &3.into())
    );
}
