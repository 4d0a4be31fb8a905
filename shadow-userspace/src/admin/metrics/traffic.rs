//! Requests, copies and upstreams.

use std::fmt;

use super::{BARE, Families};
use crate::{
    admin::{
        MetricsSample,
        status::{BreakerState, drawn},
    },
    ledger::{CopySnapshot, Outcomes},
};

/// The names of [`Outcomes::mirrored_by_class`], in its order.
const STATUS_CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) fn encode(sample: &MetricsSample, to: &mut Families<'_>) -> fmt::Result {
    requests(sample, to)?;
    copies(&sample.requests.copies, to)?;
    upstreams(sample, to)?;
    to.histogram(
        "shadow_real_duration_seconds",
        "Time from a real request's last byte to the first byte of its answer.",
        sample.real_latency.map(|buckets| (BARE, buckets)),
    )
}

fn requests(sample: &MetricsSample, to: &mut Families<'_>) -> fmt::Result {
    let ledger = &sample.requests;
    to.counter(
        "shadow_requests_seen",
        "Requests on the service ports, in the sample or not.",
        [(BARE, sample.seen)],
    )?;
    to.counter(
        "shadow_requests_drawn",
        "Requests taken into the sample. Equals routed, passed, dropped and undecided requests together.",
        [(BARE, drawn(ledger))],
    )?;
    to.counter(
        "shadow_requests_routed",
        "Drawn requests that got one copy or more.",
        [(BARE, ledger.routed)],
    )?;
    to.counter(
        "shadow_requests_passed",
        "Drawn requests that got no copy, as configured, by reason.",
        ledger.passed_by_reason().map(|(reason, count)| ([("reason", reason.label())], count)),
    )?;
    to.counter(
        "shadow_requests_dropped",
        "Drawn requests that were dropped before they had copies, by reason.",
        ledger.unrouted.dropped_by_reason().map(|(reason, count)| ([("reason", reason.label())], count)),
    )?;
    to.gauge(
        "shadow_requests_undecided",
        "Drawn requests whose head is not complete yet.",
        [(BARE, ledger.unrouted.in_flight())],
    )
}

fn copies(accounts: &[CopySnapshot], to: &mut Families<'_>) -> fmt::Result {
    to.counter(
        "shadow_copies_sampled",
        "Copies of requests. Equals mirrored, failed, dropped copies and those in flight together.",
        accounts.iter().map(|account| (labels(account), account.outcomes.sampled)),
    )?;
    to.counter(
        "shadow_copies_mirrored",
        "Copies that the upstream answered, by the class of its status.",
        by(accounts, "status_class", |outcomes| STATUS_CLASSES.into_iter().zip(outcomes.mirrored_by_class)),
    )?;
    to.counter(
        "shadow_copies_failed",
        "Copies that the upstream did not answer, by reason.",
        by(accounts, "reason", |outcomes| {
            outcomes.failed_by_reason().map(|(reason, count)| (reason.label(), count))
        }),
    )?;
    to.counter(
        "shadow_copies_dropped",
        "Copies that were not sent, or not to their end, by reason.",
        by(accounts, "reason", |outcomes| {
            outcomes.dropped_by_reason().map(|(reason, count)| (reason.label(), count))
        }),
    )?;
    to.gauge(
        "shadow_copies_in_flight",
        "Copies without an outcome yet, waiting or on their way.",
        accounts.iter().map(|account| (labels(account), account.outcomes.in_flight())),
    )
}

fn upstreams(sample: &MetricsSample, to: &mut Families<'_>) -> fmt::Result {
    let upstreams = || sample.upstreams.iter().map(|upstream| ([("upstream", &*upstream.name)], upstream));
    to.histogram(
        "shadow_copy_duration_seconds",
        "Time from the start of sending a copy to the last byte of its answer. Bounds are true to 1 %.",
        upstreams().map(|(labels, upstream)| (labels, upstream.latency)),
    )?;
    to.counter(
        "shadow_upstream_connections_opened",
        "Connections opened to the upstream.",
        upstreams().map(|(labels, upstream)| (labels, upstream.connections_opened)),
    )?;
    to.gauge(
        "shadow_upstream_breaker_open",
        "1 while copies are dropped because the upstream failed too often, else 0.",
        upstreams().map(|(labels, upstream)| (labels, u64::from(upstream.breaker != BreakerState::Closed))),
    )?;
    to.gauge(
        "shadow_upstream_queued_copies",
        "Copies that wait for a place towards the upstream.",
        upstreams().map(|(labels, upstream)| (labels, upstream.queued)),
    )?;
    to.gauge(
        "shadow_upstream_queued_bytes",
        "Bytes of heads and bodies that wait for a place towards the upstream.",
        upstreams().map(|(labels, upstream)| (labels, upstream.queued_bytes)),
    )
}

fn labels(account: &CopySnapshot) -> [(&str, &str); 2] {
    [("route", &account.route), ("upstream", &account.upstream)]
}

/// The parts of every account, with the label that tells them apart.
fn by<'a, I: Iterator<Item = (&'static str, u64)>>(
    accounts: &'a [CopySnapshot],
    label: &'a str,
    parts: impl Fn(&'a Outcomes) -> I,
) -> impl Iterator<Item = ([(&'a str, &'a str); 3], u64)> {
    accounts.iter().flat_map(move |account| {
        let [route, upstream] = labels(account);
        parts(&account.outcomes).map(move |(part, count)| ([route, upstream, (label, part)], count))
    })
}
