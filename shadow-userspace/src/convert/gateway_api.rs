//! The Kubernetes Gateway API: HTTPRoute, whose rules mirror by filters of the type RequestMirror.
//!
//! Its rules have no order: the most specific match counts (`HTTPRouteRule.matches` in the API's reference). So each
//! match becomes a route of its own, in that order.

use std::cmp::Reverse;

use super::{
    document::{Document, Documents, Fields, Reader},
    output::{Condition, Match, Mutations, Named, Path, PathRewrite, Percentage, Shadow, Upstream},
    value::{Inexpressible, MatchRead},
    vhosts::{Rule, Vhost, Vhosts},
};

const GROUP: &str = "gateway.networking.k8s.io";

/// Says whether there was an HTTPRoute.
pub(super) fn convert(documents: &mut Documents, vhosts: &mut Vhosts) -> bool {
    let (routes, mut reader) = documents.take(GROUP, "HTTPRoute");
    let known = !routes.is_empty();
    let mut by_host: Vec<(String, String, Vec<Ranked>)> = Vec::new();
    for (route, mut spec) in routes {
        let hosts = reader.hosts(&mut spec, "hostnames");
        let rules = reader.objects(&mut spec, "rules");
        let mut api = Api { reader: &mut reader, vhosts, route };
        let ranked: Vec<_> = rules.into_iter().flat_map(|rule| api.rule(rule)).collect();
        let name = api.route.name;
        // Which gateways it belongs to is told by the interface that the agent is attached to.
        let _ = spec.take("parentRefs");
        reader.done(spec);
        for host in hosts {
            match by_host.iter_mut().find(|(known, ..)| *known == host) {
                Some((.., known)) => known.extend(ranked.iter().cloned()),
                None => by_host.push((host, name.clone(), ranked.clone())),
            }
        }
    }
    for (host, name, mut ranked) in by_host {
        // Of equals the first stays first.
        ranked.sort_by_key(|ranked| ranked.rank);
        let rules = ranked.into_iter().map(|ranked| ranked.rule).collect();
        vhosts.add(Vhost { name, hosts: vec![host], rules });
    }
    known
}

/// One match, and where it comes in the order.
#[derive(Clone)]
struct Ranked {
    rank: Rank,
    rule: Rule,
}

/// Exact paths first, then the longest prefix, a method, most headers, most query parameters. Where a regular expression
/// comes is left to implementations; here before prefixes.
type Rank = (u8, Reverse<usize>, bool, Reverse<usize>, Reverse<usize>);

struct Api<'a, 'n> {
    reader: &'a mut Reader<'n>,
    vhosts: &'a mut Vhosts,
    route: Document,
}

/// What the filters of a rule make of a copy.
#[derive(Default)]
struct Filters {
    shadow: Vec<Shadow>,
    headers: Mutations,
    host: Option<String>,
    path: Option<Rewrite>,
}

#[derive(Clone)]
enum Rewrite {
    Whole(String),
    Prefix(String),
}

impl Api<'_, '_> {
    fn rule(&mut self, mut rule: Fields) -> Vec<Ranked> {
        let name = self.reader.text(&mut rule, "name");
        let mut prefixes = Vec::new();
        let mut matches = self.reader.each_match(&mut rule, "matches", |reader, mut one| {
            let mut prefix = None;
            let read = reader.matched(|reader, to| conditions(reader, &mut one, to, &mut prefix));
            prefixes.push(prefix);
            vec![read]
        });
        if matches.is_empty() {
            matches.push(MatchRead::sure(Match::default()));
        }
        let mut filters = Filters::default();
        for filter in self.reader.objects(&mut rule, "filters") {
            self.filter(filter, &mut filters);
        }
        for mut backend in self.reader.objects(&mut rule, "backendRefs") {
            if backend.take("filters").is_some() {
                self.reader.left_out(backend.at("filters"), "the agent doesn't know which backend is chosen");
            }
        }
        // Where the real request goes, and how, is the gateway's.
        for key in ["timeouts", "retry", "sessionPersistence"] {
            let _ = rule.take(key);
        }
        filters.shadow = self.reader.once_each(rule.place(), std::mem::take(&mut filters.shadow));
        self.reader.done(rule);
        let prefixes = prefixes.into_iter().chain(std::iter::repeat(None));
        let matches = matches.into_iter().zip(prefixes);
        matches.map(|(one, prefix)| ranked(name.as_deref(), one, prefix, &filters)).collect()
    }

    fn filter(&mut self, mut filter: Fields, filters: &mut Filters) {
        match self.reader.text(&mut filter, "type").as_deref() {
            Some("RequestMirror") => {
                let mirror = self.reader.object(&mut filter, "requestMirror");
                filters.shadow.extend(mirror.and_then(|mirror| self.mirror(mirror)));
            }
            // Gateways that mirror by Envoy mirror what they made of the request.
            Some("RequestHeaderModifier") => {
                if let Some(modifier) = self.reader.object(&mut filter, "requestHeaderModifier") {
                    filters.headers = self.modifier(modifier);
                }
            }
            Some("URLRewrite") => {
                if let Some(rewrite) = self.reader.object(&mut filter, "urlRewrite") {
                    self.rewrite(rewrite, filters);
                }
            }
            Some("ResponseHeaderModifier" | "RequestRedirect" | "CORS") => return,
            _ => {
                self.reader.left_out(filter.place(), "the agent has no such filter");
                return;
            }
        }
        self.reader.done(filter);
    }

    fn mirror(&mut self, mut mirror: Fields) -> Option<Shadow> {
        let is_given = mirror.has("percent") || mirror.has("fraction");
        let percent = self.reader.number(&mut mirror, "percent");
        let fraction = self.reader.object(&mut mirror, "fraction").map(|mut fraction| {
            let numerator = self.reader.number(&mut fraction, "numerator").unwrap_or(0.0);
            let denominator = self.reader.number(&mut fraction, "denominator").unwrap_or(100.0);
            (numerator, denominator)
        });
        // All would be more than was asked for.
        let percent = percent.or((is_given && fraction.is_none()).then_some(0.0));
        let percentage = match (percent, fraction) {
            (Some(percent), _) => Percentage::new(percent),
            (None, Some((numerator, denominator))) => fraction_of(numerator, denominator),
            (None, None) => Some(Percentage::Whole(100)),
        };
        let Some(percentage) = percentage else {
            self.reader.left_out(mirror.place(), "its share is not from 0 to all");
            return None;
        };
        let mut backend = self.reader.object(&mut mirror, "backendRef")?;
        let _ = backend.take("group").or_else(|| backend.take("weight"));
        let kind = self.reader.text(&mut backend, "kind").unwrap_or_else(|| "Service".to_owned());
        let name = self.reader.text(&mut backend, "name")?;
        let namespace = self.reader.text(&mut backend, "namespace");
        let namespace = namespace.unwrap_or_else(|| self.route.namespace.clone());
        let port = self.reader.number(&mut backend, "port");
        let place = backend.place().to_owned();
        if kind != "Service" {
            self.reader.left_out(place, "only services have an address here");
            return None;
        }
        self.reader.done(backend);
        self.reader.done(mirror);
        if port.is_none() {
            self.reader.note(
                place.clone(),
                format!("no port is given, so 80 is a guess: correct `upstreams.{name}.url`"),
            );
        }
        let url = format!("http://{name}.{namespace}.svc:{}", port.unwrap_or(80.0));
        let url = self.reader.address(&place, url)?;
        let upstream = self.vhosts.upstream(&name, &Upstream { url, tls: None });
        let (headers, path_rewrite) = (Mutations::default(), None);
        Some(Shadow { upstream, percentage, host_rewrite: None, headers, path_rewrite })
    }

    /// `set` and `add` are lists of names and values here.
    fn modifier(&mut self, mut modifier: Fields) -> Mutations {
        let mut changes = Mutations::default();
        for (key, to) in [("set", &mut changes.set), ("add", &mut changes.add)] {
            for mut header in self.reader.objects(&mut modifier, key) {
                let name = self.reader.text(&mut header, "name").unwrap_or_default();
                let value = self.reader.text(&mut header, "value").unwrap_or_default();
                self.reader.change(to, header.place().to_owned(), name, value);
            }
        }
        changes.remove = self.reader.texts(&mut modifier, "remove");
        changes.remove.retain(|name| super::value::is_mutable(name));
        self.reader.done(modifier);
        changes
    }

    fn rewrite(&mut self, mut rewrite: Fields, filters: &mut Filters) {
        filters.host = self.reader.new_host(&mut rewrite, "hostname");
        if let Some(mut path) = self.reader.object(&mut rewrite, "path") {
            // Which of the two it is, is said twice.
            let _ = path.take("type");
            let whole = self.reader.new_path(&mut path, "replaceFullPath").map(Rewrite::Whole);
            let prefix = self.reader.new_path(&mut path, "replacePrefixMatch").map(Rewrite::Prefix);
            filters.path = whole.or(prefix);
            self.reader.done(path);
        }
        self.reader.done(rewrite);
    }
}

/// The conditions of a match, and its prefix if it has one.
fn conditions(
    reader: &mut Reader<'_>,
    one: &mut Fields,
    to: &mut Match,
    prefix: &mut Option<String>,
) -> Result<(), Inexpressible> {
    if let Some(mut path) = reader.object(one, "path") {
        let kind = reader.text(&mut path, "type").unwrap_or_else(|| "PathPrefix".to_owned());
        let value = reader.text(&mut path, "value").unwrap_or_else(|| "/".to_owned());
        let place = path.at("value");
        to.path = match kind.as_str() {
            "Exact" => reader.path(place, Path::Exact(value), false)?,
            "RegularExpression" => Some(Path::Regex(reader.pattern(place, value)?)),
            "PathPrefix" => {
                reader.path(place, Path::Prefix(value.clone()), false)?;
                let trimmed = value.trim_end_matches('/');
                *prefix = Some(trimmed.to_owned());
                segments(trimmed)
            }
            _ => return Err(reader.refuse(path.at("type"), "the agent has no such path match")),
        };
    }
    let methods = reader.text(one, "method").into_iter().collect();
    to.methods = reader.methods(one.at("method"), methods)?;
    to.headers = named(reader, one, "headers")?;
    to.query = named(reader, one, "queryParams")?;
    reader.all_understood(one)
}

fn named(reader: &mut Reader<'_>, one: &mut Fields, key: &str) -> Result<Vec<Named>, Inexpressible> {
    let mut all = Vec::new();
    for mut condition in reader.objects(one, key) {
        let kind = reader.text(&mut condition, "type").unwrap_or_else(|| "Exact".to_owned());
        let name = reader.text(&mut condition, "name").unwrap_or_default();
        let value = reader.text(&mut condition, "value").unwrap_or_default();
        let value = match kind.as_str() {
            "Exact" => Condition::Exact(value),
            "RegularExpression" => Condition::Regex(reader.pattern(condition.at("value"), value)?),
            _ => return Err(reader.refuse(condition.at("type"), "the agent has no such match")),
        };
        reader.all_understood(&condition)?;
        all.push(if key == "headers" {
            reader.header(condition.place(), name, value, false)?
        } else {
            reader.parameter(condition.place(), name, value, false)?
        });
    }
    Ok(all)
}

/// A prefix of whole segments: `/foo` matches `/foo` and `/foo/bar`, and not `/foobar`.
fn segments(prefix: &str) -> Option<Path> {
    if prefix.is_empty() { None } else { Some(Path::Regex(format!("{}(?:/.*)?", regex::escape(prefix)))) }
}

fn ranked(name: Option<&str>, one: MatchRead, prefix: Option<String>, filters: &Filters) -> Ranked {
    let MatchRead { one, is_sure } = one;
    let (kind, length) = match (&one.path, &prefix) {
        (Some(Path::Exact(path)), _) => (0, path.len()),
        (Some(Path::Regex(pattern)), None) => (1, pattern.len()),
        // Its path may be any, so that it may come before all others.
        (None, None) if !is_sure => (0, usize::MAX),
        (_, prefix) => (2, prefix.as_ref().map_or(0, String::len)),
    };
    let rank = if is_sure {
        (kind, Reverse(length), one.methods.is_empty(), Reverse(one.headers.len()), Reverse(one.query.len()))
    } else {
        // It may have more conditions than any other.
        (kind, Reverse(length), false, Reverse(usize::MAX), Reverse(usize::MAX))
    };
    let path = filters.path.clone().map(|rewrite| rewritten(rewrite, prefix.as_deref()));
    let shadow = filters.shadow.iter().filter(|_| is_sure).map(|to| Shadow {
        host_rewrite: filters.host.clone(),
        headers: filters.headers.clone(),
        path_rewrite: path.clone(),
        ..to.clone()
    });
    let name = name.map(str::to_owned);
    Ranked { rank, rule: Rule { name, matches: matches_of(one), shadow: shadow.collect() } }
}

/// None if it matches everything.
fn matches_of(one: Match) -> Vec<Match> {
    if one == Match::default() { Vec::new() } else { vec![one] }
}

fn rewritten(rewrite: Rewrite, prefix: Option<&str>) -> PathRewrite {
    let literal = |text: &str| text.replace('$', "$$");
    match (rewrite, prefix) {
        (Rewrite::Prefix(to), Some(prefix)) => {
            let to = to.trim_end_matches('/');
            // Where nothing is left of the path, a slash is.
            let substitution = if to.is_empty() {
                "/${rest}".to_owned()
            } else {
                format!("{}${{slash}}${{rest}}", literal(to))
            };
            let regex = format!("^{}(?P<slash>/?)(?P<rest>.*)$", regex::escape(prefix));
            PathRewrite::Regex { regex, substitution }
        }
        (Rewrite::Whole(to) | Rewrite::Prefix(to), _) => {
            PathRewrite::Regex { regex: "^.*$".to_owned(), substitution: literal(&to) }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole, and in the range"
)]
fn fraction_of(numerator: f64, denominator: f64) -> Option<Percentage> {
    let is_count = |number: f64| number.fract() == 0.0 && (0.0..=4_294_967_295.0).contains(&number);
    let is_share =
        is_count(numerator) && is_count(denominator) && denominator > 0.0 && numerator <= denominator;
    is_share.then_some(Percentage::Fraction { numerator: numerator as u64, denominator: denominator as u64 })
}
