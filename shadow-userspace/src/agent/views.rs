//! What the admin API shows of routes and upstreams.

use std::sync::Arc;

use http::Method;
use shadow_common::SampleBy;

use crate::{
    admin::{
        RouteStatus,
        sample::{ProgramSample, UpstreamSample},
        status::{self, ShadowStatus, UpstreamStatus},
    },
    capture::Usage,
    ledger::Snapshot,
    route::{
        SampleKey,
        matcher::{HostMatch, PathMatch, RouteMatch},
    },
    shadow::mirror::{Mirror, breaker::BreakerState, relay::Relay},
};

/// The routes in their order, with the rates and counts of the moment.
pub(super) fn routes(mirror: &Mirror, ledger: &Snapshot) -> Vec<RouteStatus> {
    let outcomes = |route: &str, upstream: &str| {
        let mut accounts = ledger.copies.iter();
        let account = accounts.find(|copy| &*copy.route == route && &*copy.upstream == upstream);
        account.map(|copy| copy.outcomes.clone()).unwrap_or_default()
    };
    let plan = mirror.plan();
    let routes = plan.table().routes().map(|route| RouteStatus {
        name: route.name().to_owned(),
        matches: words(&route.options().matches),
        sample_by: key(&route.options().sample_by),
        shadows: route
            .shadows()
            .map(|shadow| {
                let (upstream, percent) = (&shadow.options.upstream, shadow.percentage.percent());
                ShadowStatus::new(upstream, percent, &outcomes(route.name(), upstream))
            })
            .collect(),
    });
    routes.collect()
}

/// What a route matches, in a line.
fn words(matches: &[RouteMatch]) -> String {
    if matches.is_empty() {
        return "everything".to_owned();
    }
    matches.iter().map(words_of_one).collect::<Vec<_>>().join(" or ")
}

fn words_of_one(matched: &RouteMatch) -> String {
    let RouteMatch { hosts, path, methods, headers, query } = matched;
    let mut words = Vec::new();
    let host = |host: &HostMatch| match host {
        HostMatch::Any => "*".to_owned(),
        HostMatch::Exact(name) => name.clone(),
        HostMatch::Suffix(suffix) => format!("*{suffix}"),
    };
    if !hosts.is_empty() {
        words.push(format!("host {}", hosts.iter().map(host).collect::<Vec<_>>().join("|")));
    }
    words.extend(path.as_ref().map(|path| match path {
        PathMatch::Prefix(prefix) => format!("path {prefix}*"),
        PathMatch::Exact(path) => format!("path {path}"),
        PathMatch::Regex(pattern) => format!("path ~ {pattern}"),
    }));
    if !methods.is_empty() {
        words.push(format!("method {}", methods.iter().map(Method::as_str).collect::<Vec<_>>().join("|")));
    }
    words.extend(headers.iter().map(|header| condition("header", header.name.as_str(), header.invert)));
    words.extend(query.iter().map(|query| condition("query", &query.name, query.invert)));
    if words.is_empty() { "everything".to_owned() } else { words.join(", ") }
}

/// What it is compared with may be a secret.
fn condition(kind: &str, name: &str, invert: bool) -> String {
    format!("{kind} {}{name}", if invert { "not " } else { "" })
}

fn key(key: &SampleKey) -> String {
    match key {
        SampleKey::Request => "request".to_owned(),
        SampleKey::Connection => "connection".to_owned(),
        SampleKey::ClientIp => "client-ip".to_owned(),
        SampleKey::Header(name) => format!("header {name}"),
        SampleKey::Cookie(name) => format!("cookie {name}"),
    }
}

pub(super) const fn by_label(by: SampleBy) -> &'static str {
    match by {
        SampleBy::Request => "request",
        SampleBy::Connection => "connection",
        SampleBy::ClientIp => "client-ip",
    }
}

const fn breaker(state: BreakerState) -> status::BreakerState {
    match state {
        BreakerState::Closed => status::BreakerState::Closed,
        BreakerState::Open => status::BreakerState::Open,
        BreakerState::HalfOpen => status::BreakerState::Probing,
    }
}

pub(super) fn upstreams(mirror: &Mirror) -> Vec<UpstreamStatus> {
    let plan = mirror.plan();
    let upstream = |relay: &Arc<Relay>| {
        let gauges = relay.gauges();
        UpstreamStatus {
            name: gauges.upstream,
            url: relay.options().url.to_string(),
            breaker: breaker(gauges.breaker),
            in_flight: gauges.in_flight as u64,
            queued: gauges.queued as u64,
            connections_opened: gauges.connections,
        }
    };
    plan.relays().iter().map(upstream).collect()
}

pub(super) fn samples(mirror: &Mirror) -> Vec<UpstreamSample> {
    let plan = mirror.plan();
    let sample = |relay: &Arc<Relay>| {
        let gauges = relay.gauges();
        UpstreamSample {
            name: gauges.upstream,
            breaker: breaker(gauges.breaker),
            queued: gauges.queued as u64,
            queued_bytes: gauges.queued_bytes as u64,
            connections_opened: gauges.connections,
            latency: relay.latency().buckets(),
        }
    };
    plan.relays().iter().map(sample).collect()
}

/// What the kernel programs cost, if the kernel counts it.
pub(super) fn programs(usage: Option<&Usage>) -> Vec<ProgramSample> {
    let read = usage.map(Usage::read).unwrap_or_default().into_iter();
    read.map(|usage| ProgramSample { program: usage.program, runs: usage.runs, time: usage.time }).collect()
}
