//! What the file's values mean: takes a [`Document`], gives a valid configuration, or everything that is wrong with it.
//!
//! [`upstreams`] and [`routes`] read their sections, [`mod@matches`] and [`copies`] those of a route, [`place`] the rest;
//! [`words`] says what texts are of a kind. A fault knows its key; where that stands is known to the file alone.

mod copies;
mod matches;
mod place;
mod reader;
mod routes;
mod upstreams;
pub(crate) mod words;

use std::sync::Arc;

use http::HeaderName;

use crate::{
    agent::SummaryFormat,
    config::{
        Config, Loaded,
        file::{Document, Fault},
        values,
    },
    route::RouteOptions,
    shadow::{
        copy::policy::{HostRule, LOOP_HEADER, LoopGuard},
        options::OWN_MARK,
    },
};

use reader::Reader;

/// How long copies may take to finish once the agent is told to stop, unless the file says otherwise.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Checks it all. `is_live`: requests are captured, so that it must be said where, and the kernel must know the agent's
/// own connections.
pub(super) fn document(document: &Document, is_live: bool) -> Result<Loaded, Vec<Fault>> {
    let mut reader = Reader::default();
    let loop_header = loop_header(&mut reader, document);
    let safe_only = reader
        .optional("safe_methods_only", document.safe_methods_only.as_ref(), values::flag)
        .unwrap_or(false);
    let redaction = Arc::new(place::redaction(&mut reader, &document.redact));
    let defaults = routes::section_of(&document.defaults);
    let shared = routes::Shared { defaults, loop_header, redaction, safe_only };
    let capture = place::capture(&mut reader, &document.capture, is_live);
    let own_mark = if is_live { OWN_MARK } else { 0 };
    let mut upstreams = upstreams::Upstreams::read(&mut reader, document, own_mark);
    let routes = routes::routes(&mut reader, document, &shared, &mut upstreams);
    let admin = place::admin(&mut reader, &document.admin);
    let grace = reader.optional("grace", document.grace.as_ref(), values::duration).unwrap_or(GRACE);
    let summary = reader.optional("summary", document.summary.as_ref(), |text| {
        words::word(text, &[("text", SummaryFormat::Text), ("json", SummaryFormat::Json)])
    });
    let log = document.log.as_ref();
    let log = reader.optional("log", log, |text| words::log_filter(text).map(|_| text.to_owned()));
    let faults = reader.into_faults();
    if !faults.is_empty() {
        return Err(faults);
    }
    let used: Vec<_> = shadows(&routes).map(|shadow| shadow.upstream.clone()).collect();
    let loop_guard = LoopGuard { header: shared.loop_header, suffixes: suffixes(&routes) };
    let config = Config { capture, upstreams: upstreams.used(&used), routes, loop_guard, admin, grace };
    Ok(Loaded { config, summary: summary.unwrap_or_default(), log, notes: Vec::new() })
}

fn shadows(routes: &[RouteOptions]) -> impl Iterator<Item = &crate::route::ShadowOptions> {
    routes.iter().flat_map(|route| &route.shadows)
}

/// Every suffix that copies get.
fn suffixes(routes: &[RouteOptions]) -> Vec<String> {
    let mut suffixes: Vec<String> = shadows(routes)
        .filter_map(|shadow| match &shadow.policy.host {
            HostRule::Suffix(suffix) if !suffix.is_empty() => Some(suffix.clone()),
            _ => None,
        })
        .collect();
    suffixes.sort_unstable();
    suffixes.dedup();
    suffixes
}

fn loop_header(reader: &mut Reader, document: &Document) -> HeaderName {
    let default = HeaderName::from_static(LOOP_HEADER);
    let given = reader.optional("loop_header", document.loop_header.as_ref(), |text| {
        let name = words::header_name(text)?;
        copies::is_own(&name).map_or(Ok(name), |_| {
            Err(format!("{text:?} has a meaning of its own: give one like x-shadow-copy"))
        })
    });
    given.unwrap_or(default)
}
