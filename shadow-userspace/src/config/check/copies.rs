//! How a route's copies differ from what clients sent: takes a shadow's section, gives the policy.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::{
    config::{
        check::{
            Reader,
            routes::{Level, Shared},
            words,
        },
        file::{Entries, HeaderChange, HeaderChanges, Scalar, model::PathRewrite as PathSection},
        values,
    },
    route::matcher::{PathMatch, RouteMatch},
    shadow::copy::{
        host,
        policy::{CopyPolicy, HeaderMutation, HostRule, PathRewrite, Trace},
        reserved::is_reserved,
    },
};

pub(super) fn policy(
    reader: &mut Reader,
    level: &Level<'_>,
    shared: &Shared,
    matches: &[RouteMatch],
) -> CopyPolicy {
    let (path, given) = level.pick("headers", |section| &section.headers);
    let headers = mutations(reader, given, &path, &shared.loop_header);
    let (path, given) = level.pick("path_rewrite", |section| &section.path_rewrite);
    let rewrite = given.as_ref().and_then(|section| path_rewrite(reader, section, &path, matches));
    let (path, given) = level.pick("forwarded_for", |section| &section.forwarded_for);
    let forwarded_for = reader.optional(&path, given.as_ref(), values::flag).unwrap_or(false);
    let (path, given) = level.pick("traceparent", |section| &section.traceparent);
    let trace = reader.optional(&path, given.as_ref(), |text| {
        words::word(text, &[("keep", Trace::Keep), ("child", Trace::Child)])
    });
    CopyPolicy {
        host: host_rule(reader, level),
        headers,
        path: rewrite,
        forwarded_for,
        trace: trace.unwrap_or_default(),
        redaction: Arc::clone(&shared.redaction),
        loop_header: shared.loop_header.clone(),
    }
}

/// What the route itself says counts before the defaults, whichever of the two keys it is.
fn host_rule(reader: &mut Reader, level: &Level<'_>) -> HostRule {
    let default = || HostRule::Suffix(host::SUFFIX.to_owned());
    for (section, path) in [(level.own, level.path), (level.defaults, "defaults")] {
        let (rewrite, suffix) = (&section.host_rewrite, &section.host_suffix);
        let suffix_path = format!("{path}.host_suffix");
        let suffix = reader.optional(&suffix_path, suffix.as_ref(), words::host_suffix);
        if let Some(rewrite) = rewrite {
            if suffix.is_some_and(|suffix| !suffix.is_empty()) {
                reader.fault(suffix_path, "host_rewrite replaces the whole host: leave out one of the two");
            }
            let host = reader.read(&format!("{path}.host_rewrite"), rewrite, words::host);
            return host.map_or_else(default, HostRule::Rewrite);
        }
        if let Some(suffix) = suffix {
            return HostRule::Suffix(suffix);
        }
    }
    default()
}

fn mutations(
    reader: &mut Reader,
    changes: &HeaderChanges,
    path: &str,
    loop_header: &HeaderName,
) -> Vec<HeaderMutation> {
    let mut mutations = Vec::new();
    for change in &changes.0 {
        match change {
            HeaderChange::Set(entries) => {
                let pairs = pairs(reader, entries, &format!("{path}.set"), loop_header);
                mutations.extend(pairs.into_iter().map(|(name, value)| HeaderMutation::Set(name, value)));
            }
            HeaderChange::Add(entries) => {
                let pairs = pairs(reader, entries, &format!("{path}.add"), loop_header);
                mutations.extend(pairs.into_iter().map(|(name, value)| HeaderMutation::Add(name, value)));
            }
            HeaderChange::Remove(names) => {
                let names =
                    reader.list(&format!("{path}.remove"), names, |name| changeable(name, loop_header));
                mutations.extend(names.into_iter().map(HeaderMutation::Remove));
            }
        }
    }
    mutations
}

fn pairs(
    reader: &mut Reader,
    entries: &Entries<Scalar>,
    path: &str,
    loop_header: &HeaderName,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut pairs: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in &entries.0 {
        let path = format!("{path}.{name}");
        let value = reader.read(&path, value, words::header_value);
        let name = reader.read(&path, &name.as_str().into(), |name| changeable(name, loop_header));
        let (Some(name), Some(value)) = (name, value) else { continue };
        if pairs.iter().any(|(other, _)| *other == name) {
            reader.fault(path, format!("{name} stands here twice; case makes no difference"));
        }
        pairs.push((name, value));
    }
    pairs
}

/// A header that may be changed.
pub(super) fn changeable(text: &str, loop_header: &HeaderName) -> Result<HeaderName, String> {
    let name = words::header_name(text)?;
    if name == loop_header {
        return Err(format!("{name} marks copies and can't be changed here; loop_header names it"));
    }
    is_own(&name).map_or(Ok(name), Err)
}

/// Why a header is the agent's own affair.
pub(super) fn is_own(name: &HeaderName) -> Option<String> {
    match name.as_str() {
        "host" => Some("host is changed by host_rewrite and host_suffix".to_owned()),
        "content-length" => Some("content-length is what the copy's body has; leave it out".to_owned()),
        _ if is_reserved(name) => {
            Some(format!("{name} belongs to the connection and can't be changed; leave it out"))
        }
        _ => None,
    }
}

fn path_rewrite(
    reader: &mut Reader,
    section: &PathSection,
    path: &str,
    matches: &[RouteMatch],
) -> Option<PathRewrite> {
    let at = |key: &str| format!("{path}.{key}");
    match (&section.prefix, &section.from, &section.to, &section.regex, &section.substitution) {
        (Some(to), None, None, None, None) => {
            let to = reader.read(&at("prefix"), to, words::path)?;
            let from = matched(matches).map_err(|why| reader.fault(at("prefix"), why)).ok()?;
            Some(PathRewrite::Prefix { from, to })
        }
        (None, Some(from), Some(to), None, None) => {
            let from = reader.read(&at("from"), from, words::path);
            let to = reader.read(&at("to"), to, words::path);
            Some(PathRewrite::Prefix { from: from?, to: to? })
        }
        (None, None, None, Some(regex), Some(substitution)) => {
            let pattern = reader.read(&at("regex"), regex, words::pattern)?;
            Some(PathRewrite::Regex { pattern, substitution: substitution.0.clone() })
        }
        _ => {
            reader.fault(path, "give prefix alone, or from and to, or regex and substitution");
            None
        }
    }
}

/// What the paths that a route matches begin with.
fn matched(matches: &[RouteMatch]) -> Result<String, &'static str> {
    let mut begins = matches.iter().map(|one| match &one.path {
        Some(PathMatch::Prefix(path) | PathMatch::Exact(path)) => Some(path),
        _ => None,
    });
    let first = begins.next().flatten();
    match first {
        Some(first) if begins.all(|other| other == Some(first)) => Ok(first.clone()),
        Some(_) => Err("the route matches several paths, so it is open what is replaced: give from and to"),
        None => Err("the route matches no path by prefix or exact, so nothing is replaced: give from and to"),
    }
}
