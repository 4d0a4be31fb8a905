//! Istio: VirtualService (`http[].mirror`, `mirrors`, `mirrorPercentage`, and `mirrorPercent` as it was before).

use super::{
    document::{Document, Documents, Fields, Reader},
    gloo::once_each,
    output::{Condition, Match, Mutations, Named, Path, PathRewrite, Percentage, Shadow, Upstream},
    value::{Inexpressible, MatchRead},
    vhosts::{Rule, Vhost, Vhosts},
};
use crate::route::matcher::full_match;

/// Says whether there was a document of Istio's.
pub(super) fn convert(documents: &mut Documents, vhosts: &mut Vhosts) -> bool {
    let (services, mut reader) = documents.take("networking.istio.io", "VirtualService");
    let known = !services.is_empty();
    for (service, mut spec) in services {
        let hosts = reader.texts(&mut spec, "hosts");
        let hosts = once_each(hosts.iter().flat_map(|host| names_of(host, &service.namespace)).collect());
        let routes = reader.objects(&mut spec, "http");
        let mut istio = Istio { reader: &mut reader, vhosts, service };
        let rules = routes.into_iter().flat_map(|route| istio.route(route)).collect();
        let name = istio.service.name;
        if spec.has("gateways") {
            let place = spec.at("gateways");
            let _ = spec.take("gateways");
            reader.left_out(place, "the agent mirrors what passes the interface that it is attached to");
        }
        let _ = spec.take("exportTo");
        reader.done(spec);
        vhosts.add(Vhost { name, hosts, rules });
    }
    known
}

/// Every name that clients may call a host by: a short one stands for a service of the document's namespace.
fn names_of(host: &str, namespace: &str) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    if host.contains(['.', '*']) || host.is_empty() {
        return vec![if host.is_empty() { "*".to_owned() } else { host }];
    }
    let suffixes = ["".to_owned(), format!(".{namespace}"), format!(".{namespace}.svc"), full(namespace)];
    suffixes.iter().map(|suffix| format!("{host}{suffix}")).collect()
}

fn full(namespace: &str) -> String {
    format!(".{namespace}.svc.cluster.local")
}

struct Istio<'a, 'n> {
    reader: &'a mut Reader<'n>,
    vhosts: &'a mut Vhosts,
    service: Document,
}

impl Istio<'_, '_> {
    /// Several rules if the path is rewritten by what each of several matches says.
    fn route(&mut self, mut route: Fields) -> Vec<Rule> {
        let name = self.reader.text(&mut route, "name");
        let matches = self.reader.each_match(&mut route, "match", matches);
        let shadow = self.mirrors(&mut route);
        let shadow = self.reader.once_each(route.place(), shadow);
        // Where the real request goes is the gateway's.
        for key in ["route", "redirect", "directResponse", "timeout", "retries", "fault", "corsPolicy"] {
            let _ = route.take(key);
        }
        let rewrite = self.reader.object(&mut route, "rewrite");
        let headers = self.reader.object(&mut route, "headers");
        if shadow.is_empty() {
            for fields in [rewrite, headers].into_iter().flatten() {
                drop(fields);
            }
            self.reader.done(route);
            return Rule::of(name.as_deref(), matches, shadow);
        }
        let changes = headers.map(|headers| self.headers(headers)).unwrap_or_default();
        let rewrite = rewrite.map(|rewrite| self.rewrite(rewrite)).unwrap_or_default();
        self.reader.done(route);
        let shadow: Vec<_> = shadow
            .into_iter()
            .map(|to| Shadow { host_rewrite: rewrite.host.clone(), headers: changes.clone(), ..to })
            .collect();
        let Some(path) = rewrite.path else { return Rule::of(name.as_deref(), matches, shadow) };
        let matches = if matches.is_empty() { vec![MatchRead::sure(Match::default())] } else { matches };
        let (sure, unsure): (Vec<_>, Vec<_>) = matches.into_iter().partition(|one| one.is_sure);
        let sure = sure.into_iter();
        let mut rules: Vec<_> = sure.map(|one| rewritten(name.clone(), one.one, &shadow, &path)).collect();
        if !unsure.is_empty() {
            rules.extend(Rule::of(name.as_deref(), unsure, Vec::new()));
        }
        rules
    }

    /// A share that can't be read is none: all would be more than was asked for.
    fn mirrors(&mut self, route: &mut Fields) -> Vec<Shadow> {
        let is_given = route.has("mirrorPercentage");
        let percent = match self.reader.object(route, "mirrorPercentage") {
            Some(mut percent) => {
                let value = self.reader.number(&mut percent, "value").unwrap_or(0.0);
                self.reader.done(percent);
                Some(value)
            }
            None => None,
        };
        let mut percent = percent.or(is_given.then_some(0.0));
        for key in ["mirrorPercent", "mirror_percent"] {
            let is_given = route.has(key);
            let number = self.reader.number(route, key);
            percent = percent.or(number).or(is_given.then_some(0.0));
        }
        let single = self.reader.object(route, "mirror");
        let single = single.and_then(|to| self.destination(to, percent.unwrap_or(100.0)));
        let mut shadow: Vec<_> = single.into_iter().collect();
        for mut mirror in self.reader.objects(route, "mirrors") {
            let is_given = mirror.has("percentage");
            let percent = match self.reader.object(&mut mirror, "percentage") {
                Some(mut percent) => self.reader.number(&mut percent, "value").unwrap_or(0.0),
                None if is_given => 0.0,
                None => 100.0,
            };
            let to = self.reader.object(&mut mirror, "destination");
            shadow.extend(to.and_then(|to| self.destination(to, percent)));
            self.reader.done(mirror);
        }
        shadow
    }

    fn destination(&mut self, mut to: Fields, percent: f64) -> Option<Shadow> {
        let host = self.reader.text(&mut to, "host")?;
        let Some(percentage) = Percentage::new(percent) else {
            self.reader.left_out(to.place(), "its percentage is not from 0 to 100");
            return None;
        };
        let host = if host.contains('.') { host } else { host + &full(&self.service.namespace) };
        let port = match self.reader.object(&mut to, "port") {
            Some(mut port) => self.reader.number(&mut port, "number"),
            None => None,
        };
        let subset = self.reader.text(&mut to, "subset");
        let host = subset.as_ref().map_or(host.clone(), |subset| of_subset(&host, subset));
        let url = self.reader.address(to.place(), format!("http://{host}:{}", port.unwrap_or(80.0)))?;
        if let Some(subset) = subset {
            let what = format!(
                "subsets are the mesh's, so {url} is a guess: give {subset} a name of its own that resolves to it \
                 alone, and correct `upstreams.{host}.url`"
            );
            self.reader.note(to.at("subset"), what);
        }
        if port.is_none() {
            let what = format!("no port is given, so 80 is a guess: correct `upstreams.{host}.url`");
            self.reader.note(to.place(), what);
        }
        self.reader.done(to);
        let upstream = self.vhosts.upstream(&host, &Upstream { url, tls: None });
        let (headers, path_rewrite) = (Mutations::default(), None);
        Some(Shadow { upstream, percentage, host_rewrite: None, headers, path_rewrite })
    }

    /// Changes of the request; those of the response are the gateway's.
    fn headers(&mut self, mut headers: Fields) -> Mutations {
        let _ = headers.take("response");
        let request = self.reader.object(&mut headers, "request");
        self.reader.done(headers);
        request.map(|request| self.reader.mutations(request)).unwrap_or_default()
    }

    fn rewrite(&mut self, mut rewrite: Fields) -> Rewrite {
        let host = self.reader.new_host(&mut rewrite, "authority");
        let mut path = self.reader.new_path(&mut rewrite, "uri").map(|prefix| PathRewrite::Prefix { prefix });
        if let Some(mut regex) = self.reader.object(&mut rewrite, "uriRegexRewrite") {
            let pattern = self.reader.text(&mut regex, "match").unwrap_or_default();
            let substitution = self.reader.text(&mut regex, "rewrite").unwrap_or_default();
            if let Ok(regex) = self.reader.pattern(regex.place().to_owned(), pattern) {
                path = Some(PathRewrite::Regex { regex, substitution: groups(&substitution) });
            }
        }
        self.reader.done(rewrite);
        Rewrite { host, path }
    }
}

/// One match, as several if it is about headers that may be absent.
fn matches(reader: &mut Reader<'_>, mut one: Fields) -> Vec<MatchRead> {
    let mut without = Vec::new();
    let read = reader.matched(|reader, to| conditions(reader, &mut one, to, &mut without));
    let mut all = vec![read];
    for header in without {
        // Istio takes an absent header for an empty one, and a condition of the agent's never holds for it.
        let absent = Named { value: Condition::Present(false), invert: false, ..header.clone() };
        let forms = if holds_for_empty(&header.value) { vec![header] } else { vec![header, absent] };
        let with = |one: &MatchRead, form: &Named| {
            let mut one = one.clone();
            one.one.headers.push(form.clone());
            one
        };
        all = all.iter().flat_map(|one| forms.iter().map(|form| with(one, form))).collect();
    }
    all
}

/// The conditions of a match; those of `withoutHeaders` on values are told apart.
fn conditions(
    reader: &mut Reader<'_>,
    one: &mut Fields,
    to: &mut Match,
    without: &mut Vec<Named>,
) -> Result<(), Inexpressible> {
    /// Each doubles the matches.
    const MAX_WITHOUT: usize = 4;
    // Its name is for logs.
    let _ = one.take("name");
    let ignores_case = reader.flag(one, "ignoreUriCase");
    if let Some(uri) = one.take("uri") {
        let uri = path(reader.string_match(one.at("uri"), uri)?);
        to.path = reader.path(one.at("uri"), uri, ignores_case)?;
    }
    if let Some(method) = one.take("method") {
        let place = one.at("method");
        to.methods = match reader.string_match(place.clone(), method)? {
            Condition::Exact(method) => reader.methods(place, vec![method])?,
            Condition::Present(_) => Vec::new(),
            _ => return Err(reader.refuse(place, "methods are matched by their whole name")),
        };
    }
    for (place, name, value) in reader.entries(one, "headers") {
        let value = reader.string_match(place.clone(), value)?;
        to.headers.push(reader.header(&place, name, value, false)?);
    }
    if let Some(authority) = one.take("authority") {
        let value = reader.string_match(one.at("authority"), authority)?;
        to.headers.push(Named { name: "host".to_owned(), value, invert: false });
    }
    for (place, name, value) in reader.entries(one, "queryParams") {
        let value = reader.string_match(place.clone(), value)?;
        to.query.push(reader.parameter(&place, name, value, false)?);
    }
    let mut values = Vec::new();
    for (place, name, value) in reader.entries(one, "withoutHeaders") {
        let value = reader.string_match(place.clone(), value)?;
        let header = reader.header(&place, name, value, true)?;
        let to = if matches!(header.value, Condition::Present(_)) { &mut to.headers } else { &mut values };
        to.push(header);
    }
    if values.len() > MAX_WITHOUT {
        return Err(reader.refuse(one.at("withoutHeaders"), "there are too many of them"));
    }
    reader.all_understood(one)?;
    *without = values;
    Ok(())
}

fn holds_for_empty(condition: &Condition) -> bool {
    match condition {
        Condition::Exact(text) | Condition::Prefix(text) => text.is_empty(),
        Condition::Regex(pattern) => full_match(pattern).is_ok_and(|pattern| pattern.is_match("")),
        Condition::Present(_) => false,
    }
}

/// A name for a subset of a service's: `reviews-v2.prod.svc...`. The service's own would be that of v1, too.
fn of_subset(host: &str, subset: &str) -> String {
    let (service, domain) = host.split_at(host.find('.').unwrap_or(host.len()));
    format!("{service}-{subset}{domain}")
}

#[derive(Default)]
struct Rewrite {
    host: Option<String>,
    path: Option<PathRewrite>,
}

/// A rule whose copies get another path. What matches no prefix is rewritten whole.
fn rewritten(name: Option<String>, mut one: Match, shadow: &[Shadow], path: &PathRewrite) -> Rule {
    let path = match path {
        PathRewrite::Prefix { prefix } if one.path.is_none() => {
            one.path = Some(Path::Prefix("/".to_owned()));
            PathRewrite::Prefix { prefix: prefix.clone() }
        }
        PathRewrite::Prefix { prefix } if matches!(one.path, Some(Path::Regex(_))) => {
            PathRewrite::Regex { regex: "^.*$".to_owned(), substitution: prefix.replace('$', "$$") }
        }
        other => other.clone(),
    };
    let shadow = shadow.iter().map(|to| Shadow { path_rewrite: Some(path.clone()), ..to.clone() }).collect();
    Rule { name, matches: vec![one], shadow }
}

/// RE2 writes groups as `\1`, the agent as `${1}`.
fn groups(substitution: &str) -> String {
    let mut out = String::with_capacity(substitution.len());
    let mut characters = substitution.chars();
    while let Some(character) = characters.next() {
        match character {
            '$' => out.push_str("$$"),
            '\\' => match characters.next() {
                Some(digit) if digit.is_ascii_digit() => out.push_str(&format!("${{{digit}}}")),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

fn path(condition: Condition) -> Path {
    match condition {
        Condition::Exact(exact) => Path::Exact(exact),
        Condition::Prefix(prefix) => Path::Prefix(prefix),
        Condition::Regex(regex) => Path::Regex(regex),
        Condition::Present(_) => Path::Prefix("/".to_owned()),
    }
}
