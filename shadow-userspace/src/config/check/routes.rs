//! The routes: takes their sections, gives what each matches and where its copies go.

use std::{collections::HashSet, sync::Arc};

use http::{HeaderName, Method};

use crate::{
    capture::SampleRate,
    config::{
        check::{Reader, copies, matches, upstreams::Upstreams},
        file::{
            Document, Either,
            model::{Defaults, Fraction, Route, Shadow},
        },
        values,
    },
    route::{RouteOptions, SampleKey, ShadowOptions, matcher::RouteMatch},
    shadow::copy::redact::Redaction,
};

/// Largest body that is mirrored, unless the file says otherwise. Streaming makes memory independent of it.
const MAX_BODY: usize = 1 << 30;

/// What all routes share.
pub(super) struct Shared {
    pub(super) defaults: Shadow,
    pub(super) loop_header: HeaderName,
    pub(super) redaction: Arc<Redaction>,
    pub(super) safe_only: bool,
}

/// The copies' part of the defaults.
pub(super) fn section_of(defaults: &Defaults) -> Shadow {
    let defaults = defaults.clone();
    Shadow {
        upstream: None,
        percentage: None,
        host_suffix: defaults.host_suffix,
        host_rewrite: defaults.host_rewrite,
        headers: defaults.headers,
        path_rewrite: defaults.path_rewrite,
        methods: defaults.methods,
        // An upstream has them for all of its routes.
        timeout: None,
        max_in_flight: None,
        max_body: defaults.max_body,
        forwarded_for: defaults.forwarded_for,
        traceparent: defaults.traceparent,
    }
}

pub(super) fn routes(
    reader: &mut Reader,
    document: &Document,
    shared: &Shared,
    upstreams: &mut Upstreams,
) -> Vec<RouteOptions> {
    if document.routes.0.is_empty() {
        reader.fault("", "no route: name at least one under routes, or give --shadow URL");
    }
    let mut names = HashSet::new();
    let mut routes = Vec::new();
    for (index, section) in document.routes.0.iter().enumerate() {
        let path = format!("routes[{index}]");
        let name =
            section.name.as_ref().map_or_else(|| format!("route-{}", index + 1), |name| name.0.clone());
        if let Some(what) = refused_name(&name) {
            reader.fault(format!("{path}.name"), format!("{name:?} is no route's name: {what}"));
        }
        if !names.insert(name.clone()) {
            reader.fault(format!("{path}.name"), format!("{name:?} is another route's name already"));
        }
        routes.push(route(reader, section, name, &path, shared, upstreams));
    }
    routes
}

/// Names are arguments of `ctl`, where a slash is followed by an upstream.
fn refused_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.contains('/') || name.contains(char::is_whitespace) || name.contains(char::is_control) {
        Some("give one without slashes and spaces")
    } else {
        None
    }
}

fn route(
    reader: &mut Reader,
    section: &Route,
    name: String,
    path: &str,
    shared: &Shared,
    upstreams: &mut Upstreams,
) -> RouteOptions {
    let matches = section.r#match.0.iter().enumerate();
    let matches: Vec<_> = matches
        .map(|(index, section)| matches::route_match(reader, section, &format!("{path}.match[{index}]")))
        .collect();
    let sample_by = section
        .sample_by
        .as_ref()
        .and_then(|section| matches::sample_by(reader, section, &format!("{path}.sample_by")))
        .unwrap_or(SampleKey::Request);
    let Some(sections) = &section.shadow else {
        reader.fault(path, "no shadow: say where copies go, or give `shadow: []` for nowhere");
        return RouteOptions { name, matches, sample_by, shadows: Vec::new() };
    };
    let mut shadows: Vec<ShadowOptions> = Vec::new();
    for (index, section) in sections.0.iter().enumerate() {
        let path = format!("{path}.shadow[{index}]");
        let Some(shadow) = shadow(reader, section, &path, shared, &matches, upstreams) else { continue };
        if shadows.iter().any(|other| other.upstream == shadow.upstream) {
            let upstream = &shadow.upstream;
            reader.fault(format!("{path}.upstream"), format!("this route has {upstream:?} already"));
        }
        shadows.push(shadow);
    }
    RouteOptions { name, matches, sample_by, shadows }
}

/// A key's value, or the default, with the path of where it stands.
pub(super) struct Level<'a> {
    pub(super) own: &'a Shadow,
    pub(super) path: &'a str,
    pub(super) defaults: &'a Shadow,
}

impl<'a> Level<'a> {
    pub(super) fn pick<T: Default + PartialEq>(
        &self,
        key: &str,
        get: impl Fn(&'a Shadow) -> &'a T,
    ) -> (String, &'a T) {
        let own = get(self.own);
        if *own == T::default() {
            (format!("defaults.{key}"), get(self.defaults))
        } else {
            (format!("{}.{key}", self.path), own)
        }
    }
}

fn shadow(
    reader: &mut Reader,
    section: &Shadow,
    path: &str,
    shared: &Shared,
    matches: &[RouteMatch],
    upstreams: &mut Upstreams,
) -> Option<ShadowOptions> {
    let level = Level { own: section, path, defaults: &shared.defaults };
    let at = |key: &str| format!("{path}.{key}");
    let percentage = match &section.percentage {
        Some(given) => percentage(reader, given, &at("percentage")),
        None => Some(SampleRate::ALL),
    };
    let policy = copies::policy(reader, &level, shared, matches);
    let methods = methods(reader, &level, shared.safe_only);
    let timeout = reader.optional(&at("timeout"), section.timeout.as_ref(), values::duration);
    let (key, given) = level.pick("max_body", |section| &section.max_body);
    let max_body = reader.optional(&key, given.as_ref(), values::size).unwrap_or(MAX_BODY);
    let max_in_flight = reader.optional(&at("max_in_flight"), section.max_in_flight.as_ref(), values::count);
    let upstream = match &section.upstream {
        Some(given) => upstreams.find(reader, &at("upstream"), given.as_str()),
        None => {
            reader.fault(path, "no upstream: give a name or a URL");
            None
        }
    };
    Some(ShadowOptions {
        upstream: upstream?,
        percentage: percentage?,
        policy: Arc::new(policy),
        methods,
        timeout,
        max_body,
        max_in_flight: max_in_flight.map(|count| count as usize),
    })
}

fn percentage(reader: &mut Reader, given: &Either<Fraction>, path: &str) -> Option<SampleRate> {
    const ADVICE: &str =
        "give 0 to 100, such as 5 or 12.5%, or a fraction such as { numerator: 1, denominator: 1000 }";
    match given {
        Either::Text(text) => reader.read(path, text, |text| {
            text.parse::<SampleRate>().map_err(|_| format!("{text:?} is no percentage: {ADVICE}"))
        }),
        Either::Section(Fraction { numerator: None, .. }) => {
            reader.fault(path, format!("no numerator: {ADVICE}"));
            None
        }
        Either::Section(Fraction { numerator: Some(numerator), denominator }) => {
            let whole = |text: &str| text.parse().map_err(|_| format!("{text:?} is no whole number"));
            let numerator: u32 = reader.read(&format!("{path}.numerator"), numerator, whole)?;
            let denominator = match denominator {
                Some(given) => reader.read(&format!("{path}.denominator"), given, whole)?,
                None => 100,
            };
            let refused = format!("{numerator}/{denominator} is no share: {ADVICE}");
            SampleRate::from_fraction(numerator, denominator).map_err(|_| reader.fault(path, refused)).ok()
        }
    }
}

/// Those that are mirrored; none: all.
fn methods(reader: &mut Reader, level: &Level<'_>, safe_only: bool) -> Option<Vec<Method>> {
    const SAFE: [Method; 3] = [Method::GET, Method::HEAD, Method::OPTIONS];
    let (path, given) = level.pick("methods", |section| &section.methods);
    let given = reader.list(&path, given, super::words::method);
    match (given.is_empty(), safe_only) {
        (true, false) => None,
        (true, true) => Some(SAFE.to_vec()),
        (false, false) => Some(given),
        (false, true) => {
            let left: Vec<_> = given.into_iter().filter(|method| SAFE.contains(method)).collect();
            if left.is_empty() {
                reader.fault(path, "safe_methods_only leaves none of them: give GET, HEAD or OPTIONS");
            }
            Some(left)
        }
    }
}
