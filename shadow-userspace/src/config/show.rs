//! A configuration as it is understood, for people: what is not said and has its default is left out.

use std::fmt::Display;

use crate::{
    config::{CaptureConfig, Config, Loaded},
    route::{
        RouteOptions, RouteTable, SampleKey, ShadowOptions,
        matcher::{HostMatch, PathMatch, RouteMatch, ValueMatch},
    },
    shadow::{
        copy::{
            host,
            policy::{CopyPolicy, HeaderMutation, HostRule, PathRewrite, Trace},
        },
        options::{Order, UpstreamOptions},
    },
};

/// All of it, in lines.
pub(crate) fn text(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut lines = vec![capture(&config.capture)];
    for upstream in &config.upstreams {
        lines.push(self::upstream(upstream));
    }
    for route in &config.routes {
        lines.push(String::new());
        self::route(&mut lines, route);
    }
    lines.push(String::new());
    lines.push(kernel(config));
    lines.push(guard(config));
    lines.join("\n") + "\n"
}

fn capture(capture: &CaptureConfig) -> String {
    let list = |items: Vec<String>, flag: &str| match items.as_slice() {
        [] => format!("what {flag} says"),
        items => items.join(", "),
    };
    let interfaces = list(capture.interfaces.clone(), "--interface");
    let ports = list(capture.ports.iter().map(u16::to_string).collect(), "--port");
    format!("capture: {interfaces}; port {ports}")
}

/// Bytes as people write them.
fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    unit.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// `name value` for what isn't as it would be anyway.
fn unless<T: PartialEq>(
    parts: &mut Vec<String>,
    name: &str,
    value: &T,
    default: &T,
    show: impl Fn(&T) -> String,
) {
    if value != default {
        parts.push(format!("{name} {}", show(value)));
    }
}

fn upstream(upstream: &UpstreamOptions) -> String {
    let usual = UpstreamOptions::new(upstream.url.clone());
    let mut parts = Vec::new();
    let time = |time: &std::time::Duration| format!("{time:?}");
    let size = |size: &usize| bytes(*size as u64);
    unless(&mut parts, "timeout", &upstream.timeout, &usual.timeout, time);
    unless(&mut parts, "connect_timeout", &upstream.connect_timeout, &usual.connect_timeout, time);
    unless(&mut parts, "idle_timeout", &upstream.idle_timeout, &usual.idle_timeout, time);
    unless(&mut parts, "dns_refresh", &upstream.dns_refresh, &usual.dns_refresh, time);
    unless(&mut parts, "max_response", &upstream.max_response, &usual.max_response, |size| bytes(*size));
    unless(&mut parts, "max_in_flight", &upstream.max_in_flight, &usual.max_in_flight, usize::to_string);
    unless(&mut parts, "max_queue", &upstream.max_queue, &usual.max_queue, usize::to_string);
    unless(&mut parts, "max_queue_bytes", &upstream.max_queue_bytes, &usual.max_queue_bytes, size);
    unless(&mut parts, "max_rps", &upstream.max_rps, &usual.max_rps, |rate| {
        rate.map_or_else(String::new, |rate| rate.to_string())
    });
    unless(&mut parts, "breaker", &upstream.breaker, &usual.breaker, |breaker| {
        breaker.map_or_else(
            || "off".to_owned(),
            |breaker| format!("after {} failures for {:?}", breaker.failures, breaker.open_for),
        )
    });
    if upstream.order == Order::PerConnection {
        parts.push("order per_connection".to_owned());
    }
    unless(&mut parts, "stream_above", &upstream.stream_above, &usual.stream_above, size);
    unless(&mut parts, "stream_buffer", &upstream.stream_buffer, &usual.stream_buffer, size);
    parts.extend(upstream.tls.ca_file.as_ref().map(|file| format!("ca_file {}", file.display())));
    parts.extend(upstream.tls.server_name.as_ref().map(|name| format!("server_name {name}")));
    if upstream.tls.insecure {
        parts.push("any certificate is taken".to_owned());
    }
    let name = if upstream.name == usual.name { String::new() } else { format!("{} is ", upstream.name) };
    joined(format!("upstream {name}{}", upstream.url), &parts)
}

fn joined(first: String, parts: &[String]) -> String {
    if parts.is_empty() { first } else { format!("{first}; {}", parts.join(", ")) }
}

fn route(lines: &mut Vec<String>, route: &RouteOptions) {
    lines.push(format!("route {}", route.name));
    match route.matches.as_slice() {
        [] => lines.push("  matches everything".to_owned()),
        matches => {
            for (index, one) in matches.iter().enumerate() {
                lines.push(format!("  {} {}", if index == 0 { "matches" } else { "or" }, matched(one)));
            }
        }
    }
    match &route.sample_by {
        SampleKey::Request => {}
        SampleKey::Connection => lines.push("  all requests of a connection, or none".to_owned()),
        SampleKey::ClientIp => lines.push("  all requests of a client's address, or none".to_owned()),
        SampleKey::Header(name) => lines.push(format!("  all requests with the same {name}, or none")),
        SampleKey::Cookie(name) => lines.push(format!("  all requests with the same cookie {name}, or none")),
    }
    if route.shadows.is_empty() {
        lines.push("  copies nothing".to_owned());
    }
    lines.extend(route.shadows.iter().map(shadow));
}

/// Conditions of a match, all of which must hold.
fn matched(one: &RouteMatch) -> String {
    let mut parts = Vec::new();
    let host = |host: &HostMatch| match host {
        HostMatch::Any => "*".to_owned(),
        HostMatch::Exact(name) => name.clone(),
        HostMatch::Suffix(suffix) => format!("*{suffix}"),
    };
    if !one.hosts.is_empty() {
        parts.push(format!("host {}", any_of(one.hosts.iter().map(host))));
    }
    parts.extend(one.path.as_ref().map(|path| match path {
        PathMatch::Prefix(prefix) => format!("path {prefix}..."),
        PathMatch::Exact(path) => format!("path {path}"),
        PathMatch::Regex(regex) => format!("path ~ {}", pattern(regex)),
    }));
    if !one.methods.is_empty() {
        parts.push(format!("method {}", any_of(one.methods.iter())));
    }
    let headers = one.headers.iter();
    parts.extend(
        headers.map(|header| condition("header", header.name.as_str(), &header.value, header.invert)),
    );
    let query = one.query.iter();
    parts.extend(query.map(|query| condition("query", &query.name, &query.value, query.invert)));
    if parts.is_empty() { "everything".to_owned() } else { parts.join(" and ") }
}

fn any_of(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" or ")
}

fn condition(kind: &str, name: &str, value: &ValueMatch, invert: bool) -> String {
    let not = if invert { "not " } else { "" };
    let what = match value {
        ValueMatch::Present => "there".to_owned(),
        ValueMatch::Exact(text) => format!("{text:?}"),
        ValueMatch::Prefix(text) => format!("{text:?}..."),
        ValueMatch::Regex(regex) => format!("~ {}", pattern(regex)),
    };
    format!("{kind} {name} is {not}{what}")
}

/// As it was given.
fn pattern(regex: &regex::Regex) -> &str {
    let text = regex.as_str();
    text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text)
}

fn shadow(shadow: &ShadowOptions) -> String {
    let mut parts = policy(&shadow.policy);
    parts.extend(shadow.methods.as_ref().map(|methods| format!("only {}", any_of(methods.iter()))));
    parts.extend(shadow.timeout.map(|timeout| format!("timeout {timeout:?}")));
    unless(&mut parts, "max_body", &shadow.max_body, &(1 << 30), |size| bytes(*size as u64));
    parts.extend(shadow.max_in_flight.map(|count| format!("max_in_flight {count}")));
    joined(format!("  copies {} to {}", shadow.percentage, shadow.upstream), &parts)
}

/// Values that headers are given may be secrets.
fn policy(policy: &CopyPolicy) -> Vec<String> {
    let mut parts = Vec::new();
    match &policy.host {
        HostRule::Suffix(suffix) if suffix == host::SUFFIX => {}
        HostRule::Suffix(suffix) if suffix.is_empty() => parts.push("host as it is".to_owned()),
        HostRule::Suffix(suffix) => parts.push(format!("host_suffix {suffix}")),
        HostRule::Rewrite(host) => parts.push(format!("host {}", host.to_str().unwrap_or_default())),
    }
    parts.extend(policy.headers.iter().map(|mutation| match mutation {
        HeaderMutation::Set(name, _) => format!("sets {name}"),
        HeaderMutation::Add(name, _) => format!("adds {name}"),
        HeaderMutation::Remove(name) => format!("removes {name}"),
    }));
    parts.extend(policy.path.as_ref().map(|rewrite| match rewrite {
        PathRewrite::Prefix { from, to } => format!("path {from}... becomes {to}..."),
        PathRewrite::Regex { pattern, substitution } => format!("path: {pattern} becomes {substitution}"),
    }));
    if policy.forwarded_for {
        parts.push("forwarded_for".to_owned());
    }
    if policy.trace == Trace::Child {
        parts.push("traceparent child".to_owned());
    }
    parts
}

fn kernel(config: &Config) -> String {
    let table = RouteTable::new(&config.routes);
    let (by, rate) = table.kernel_sampling();
    let what = match by {
        shadow_common::SampleBy::Request => "requests",
        shadow_common::SampleBy::Connection => "connections",
        shadow_common::SampleBy::ClientIp => "client addresses",
    };
    format!("the kernel samples {rate} of the {what}")
}

/// What keeps copies from being copied, and secrets in.
fn guard(config: &Config) -> String {
    let LoopGuardWords { header, suffixes } = LoopGuardWords::of(config);
    let redacted = config
        .routes
        .iter()
        .flat_map(|route| &route.shadows)
        .map(|shadow| &shadow.policy.redaction)
        .next()
        .map(|redaction| {
            let headers = redaction.headers.iter().map(|name| format!("header {name}"));
            let cookies = redaction.cookies.iter().map(|name| format!("cookie {name}"));
            let query = redaction.query.iter().map(|name| format!("query {name}"));
            let json = redaction.json.iter().map(|pointer| format!("JSON {pointer}"));
            headers.chain(cookies).chain(query).chain(json).collect::<Vec<_>>()
        })
        .filter(|redacted| !redacted.is_empty());
    let redacted =
        redacted.map(|redacted| format!("\nredacted: {}", redacted.join(", "))).unwrap_or_default();
    format!("never copied: requests with {header}{suffixes}{redacted}")
}

struct LoopGuardWords<'a> {
    header: &'a str,
    suffixes: String,
}

impl<'a> LoopGuardWords<'a> {
    fn of(config: &'a Config) -> Self {
        let suffixes = config.loop_guard.suffixes.iter();
        let suffixes = suffixes.map(|suffix| format!(", or for a host that ends in {suffix}")).collect();
        Self { header: config.loop_guard.header.as_str(), suffixes }
    }
}
