//! Each fault for ten seconds under load.

use std::{collections::BTreeMap, fs, path::Path};

use crate::common::{SHADOW_LAB, scene};
use shadow_tests::{
    agent::{Agent, Memory, Options, Summary},
    fault::Fault,
    lab::Family,
    load::{Load, Report},
    plan::{Bodies, Plan},
    scene::Kind,
};

/// What users send, and how long the agent may take for a copy of it.
struct Traffic {
    /// Of every second request.
    body: usize,
    requests: u32,
    per_second: f64,
    timeout: &'static str,
}

/// Ten seconds; time enough for the copies to fail, and for what follows from that.
const USUAL: Traffic = Traffic { body: 16 << 10, requests: REQUESTS, per_second: 500.0, timeout: "5s" };
const REQUESTS: u32 = 5_000;
const CONNECTIONS: u32 = 16;
/// What the agent may take, in bytes.
const MEMORY: u64 = 128 << 20;
/// A fault that reached users would hold them up for a second and more.
const LATENCY_MICROS: u64 = 900_000;

/// Drops that any fault may lead to, and a machine that is so busy that the agent doesn't get to its ring.
const DROPS: &[&str] = &["circuit_open", "queue_full", "in_flight_limit", "shutdown", "ring_full"];

struct Found {
    report: Report,
    memory: Memory,
    summary: Summary,
    log: Vec<String>,
}

fn mirror_under(fault: Fault, traffic: &Traffic) -> Option<Found> {
    let scene = scene(Kind::Plain)?;
    let placed = fault.place(&scene.lab, Path::new(SHADOW_LAB)).unwrap();
    let path = scene.lab.directory().join("shadow.yaml");
    fs::write(&path, placed.config(traffic.timeout)).unwrap();
    let agent = Agent::start(&scene.lab.gateway, &Options::file(path)).unwrap();
    let plan = Plan { bodies: Bodies::Even(traffic.body), ..Plan::even(&format!("{fault:?}"), "shop") };
    let mut load = Load::new(scene.v1_address(Family::V4), plan, traffic.requests, CONNECTIONS);
    load.rate = Some(traffic.per_second);
    let report = load.run(&scene.lab.client).unwrap();
    let memory = agent.memory().unwrap();
    let (log, summary) = agent.stop_with_log().unwrap();
    Some(Found { report, memory, summary, log })
}

/// What must be so whatever the fault is; `failures` are the reasons that it may lead to, the first of them must come.
fn survive(fault: Fault, failures: &[&str]) -> Option<Found> {
    let found = mirror_under(fault, &USUAL)?;
    let said = || {
        format!("{:?}\n{}", found.memory, serde_json::to_string_pretty(&found.summary).unwrap())
            + &found.log.join("\n")
    };
    let Report { sent, correct, errors, latency } = &found.report;
    assert_eq!((*sent, *correct, errors), (REQUESTS, REQUESTS, &Vec::new()), "{}", said());
    let p99 = latency.value_at_quantile(0.99);
    assert!(p99 < LATENCY_MICROS, "p99 is {p99} µs\n{}", said());
    assert!(found.memory.peak < MEMORY, "{}", said());
    assert!(found.summary.balances(), "{}", said());
    let ledger = &found.summary.requests;
    assert_eq!((ledger.seen, ledger.sampled), (REQUESTS.into(), REQUESTS.into()), "{}", said());
    assert_eq!(ledger.in_flight, 0, "{}", said());
    let happened = |counts: &BTreeMap<String, u64>| -> Vec<String> {
        counts.iter().filter(|(_, count)| **count > 0).map(|(reason, _)| reason.clone()).collect()
    };
    let known =
        |reasons: Vec<String>, known: &[&str]| reasons.iter().all(|reason| known.contains(&&**reason));
    assert!(known(happened(&ledger.failed), failures), "{}", said());
    assert!(known(happened(&ledger.dropped), DROPS), "{}", said());
    if let Some(first) = failures.first() {
        assert!(ledger.failed.get(*first).is_some_and(|&count| count > 0), "{}", said());
    }
    eprintln!("{}: p99 {p99} µs, {} MiB, {ledger:?}", fault.name(), found.memory.peak >> 20);
    Some(found)
}

/// The same, and no copy was answered.
fn nothing_mirrored(fault: Fault, failures: &[&str]) {
    if let Some(found) = survive(fault, failures) {
        assert_eq!(found.summary.requests.mirrored, 0, "{:?}", found.summary);
    }
}

#[test]
fn v2_refuses() {
    nothing_mirrored(Fault::Refuses, &["connect"]);
}

/// The reset may be seen while connecting, or as the first thing on the connection.
#[test]
fn v2_accepts_and_resets() {
    nothing_mirrored(Fault::Resets, &["reset", "connect"]);
}

#[test]
fn v2_is_a_black_hole() {
    nothing_mirrored(Fault::BlackHole, &["connect", "timeout"]);
}

#[test]
fn v2_never_answers() {
    nothing_mirrored(Fault::NeverAnswers, &["timeout"]);
}

/// No copy times out, so the breaker stays closed, and what waits grows to its limits: the most that the agent holds.
fn never_answers_and_buffers_are_full(traffic: &Traffic, dropped: &str) {
    let Some(found) = mirror_under(Fault::NeverAnswers, traffic) else { return };
    assert_eq!((found.report.correct, &found.report.errors), (traffic.requests, &Vec::new()));
    assert!(found.summary.balances(), "{:?}", found.summary);
    assert!(found.summary.requests.dropped[dropped] > 0, "{:?}", found.summary);
    eprintln!("{dropped}: {} MiB", found.memory.peak >> 20);
    assert!(found.memory.peak < MEMORY, "{:?} {:?}", found.memory, found.summary);
}

#[test]
fn v2_never_answers_and_the_queue_is_full() {
    let traffic = Traffic { requests: 2 * REQUESTS, per_second: 1000.0, timeout: "60s", ..USUAL };
    never_answers_and_buffers_are_full(&traffic, "queue_full");
}

/// Large bodies are streamed, and wait in the streams' buffers.
#[test]
fn v2_never_answers_and_the_streams_are_full() {
    let traffic = Traffic { body: 2 << 20, requests: 300, per_second: 30.0, timeout: "60s" };
    never_answers_and_buffers_are_full(&traffic, "backlog");
}

#[test]
fn v2_answers_one_byte_a_second() {
    nothing_mirrored(Fault::Drips, &["timeout"]);
}

#[test]
fn v2_resets_in_mid_response() {
    nothing_mirrored(Fault::ResetsInMidResponse, &["reset"]);
}

/// Its answer ends with the time for it, or with the limit of what is read of it.
#[test]
fn v2_answers_without_end() {
    nothing_mirrored(Fault::Endless, &["timeout", "protocol"]);
}

#[test]
fn v2_answers_garbage() {
    nothing_mirrored(Fault::Garbage, &["protocol", "reset"]);
}

#[test]
fn v2_answers_after_a_second() {
    let Some(found) = survive(Fault::Late, &[]) else { return };
    assert!(found.summary.requests.mirrored > 1000, "{:?}", found.summary);
}

/// GETs are answered; whether a POST is depends on whether the answer is read before the reset that follows it.
#[test]
fn v2_answers_before_it_reads_and_closes() {
    let Some(scene) = mirror_answered_early() else { return };
    assert!(scene.summary.requests.mirrored_by_status["4xx"] > 0, "{:?}", scene.summary);
}

fn mirror_answered_early() -> Option<Found> {
    let found = mirror_under(Fault::AnswersEarly, &USUAL)?;
    assert_eq!((found.report.correct, &found.report.errors), (REQUESTS, &Vec::new()));
    assert!(found.summary.balances() && found.memory.peak < MEMORY, "{:?}", found.summary);
    assert_eq!(found.summary.requests.sampled, u64::from(REQUESTS));
    Some(found)
}

#[test]
fn tls_handshakes_hang() {
    nothing_mirrored(Fault::TlsHangs, &["tls", "timeout", "connect"]);
}

#[test]
fn dns_fails() {
    nothing_mirrored(Fault::DnsFails, &["dns"]);
}

#[test]
fn dns_hangs() {
    nothing_mirrored(Fault::DnsHangs, &["dns", "timeout", "connect"]);
}
