//! Requests and routes for the tests.

use std::sync::Arc;

use proptest::test_runner::{RngAlgorithm, TestRng};
use shadow_common::FlowKey;

use super::{RouteOptions, SampleKey, ShadowOptions, matcher::RouteMatch};
use crate::{capture::SampleRate, http::RequestHead};

pub(super) fn percent(percent: f64) -> SampleRate {
    SampleRate::from_percent(percent).unwrap()
}

/// A route for all requests with a shadow for each percentage, called `v0`, `v1` and so on.
pub(super) fn route(name: &str, percentages: &[f64]) -> RouteOptions {
    let shadow = |(number, &share): (usize, &f64)| ShadowOptions {
        upstream: format!("v{number}"),
        percentage: percent(share),
        policy: Arc::default(),
        methods: None,
        timeout: None,
        max_body: 1 << 30,
        max_in_flight: None,
    };
    RouteOptions {
        name: name.to_owned(),
        matches: Vec::new(),
        sample_by: SampleKey::Request,
        shadows: percentages.iter().enumerate().map(shadow).collect(),
    }
}

pub(super) fn matching(options: RouteOptions, matches: Vec<RouteMatch>) -> RouteOptions {
    RouteOptions { matches, ..options }
}

pub(super) fn sampled_by(options: RouteOptions, sample_by: SampleKey) -> RouteOptions {
    RouteOptions { sample_by, ..options }
}

/// A GET with these header lines.
pub(super) fn get(lines: &str) -> RequestHead {
    RequestHead::parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).unwrap()
}

/// The connection with this number, of a client with its own address.
pub(super) fn flow(number: u32) -> FlowKey {
    let mut client_addr = [0; 16];
    client_addr[10..12].copy_from_slice(&[0xff; 2]);
    client_addr[12..].copy_from_slice(&number.to_be_bytes());
    FlowKey { client_addr, service_addr: [1; 16], client_port: 40_000, service_port: 80 }
}

/// The same numbers in each run.
pub(super) fn random() -> TestRng {
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

/// Three standard deviations of the number of hits among `count` draws with this chance.
pub(super) fn three_sigma(count: f64, chance: f64) -> f64 {
    3.0 * (count * chance * (1.0 - chance)).sqrt()
}
