//! Istio: VirtualService (`http[].mirror`, `mirrors`, `mirrorPercentage`, and `mirrorPercent` as it was before).

use super::{
    document::{Document, Documents, Fields, Reader},
    gloo::{once_each, suffixed},
    output::{Condition, Match, Mutations, Named, Path, PathRewrite, Percentage, Shadow, Upstream},
    value::{Inexpressible, ignoring_case},
    vhosts::{Rule, Vhost, Vhosts},
};

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
        let matches = self.reader.objects(&mut route, "match");
        let matches: Vec<_> = matches.into_iter().map(|one| self.matches(one)).collect();
        let had_matches = !matches.is_empty();
        let shadow = self.mirrors(&mut route);
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
            let matches: Vec<_> = matches.into_iter().flatten().collect();
            // Every condition was inexpressible: nothing is known to match.
            if had_matches && matches.is_empty() {
                return Vec::new();
            }
            return vec![Rule { name, matches, shadow }];
        }
        let changes = headers.map(|headers| self.headers(headers)).unwrap_or_default();
        let rewrite = rewrite.map(|rewrite| self.rewrite(rewrite)).unwrap_or_default();
        self.reader.done(route);
        let shadow: Vec<_> = shadow
            .into_iter()
            .map(|to| Shadow { host_rewrite: rewrite.host.clone(), headers: changes.clone(), ..to })
            .collect();
        let matches: Vec<Match> = matches.into_iter().flatten().collect();
        if had_matches && matches.is_empty() {
            return Vec::new();
        }
        let Some(path) = rewrite.path else { return vec![Rule { name, matches, shadow }] };
        let matches = if matches.is_empty() { vec![Match::default()] } else { matches };
        matches.into_iter().map(|one| rewritten(name.clone(), one, &shadow, &path)).collect()
    }

    fn matches(&mut self, mut one: Fields) -> Result<Match, Inexpressible> {
        let reader = &mut *self.reader;
        // Its name is for logs.
        let _ = one.take("name");
        let ignores_case = reader.flag(&mut one, "ignoreUriCase");
        let path = match one.take("uri") {
            Some(uri) => Some(path(reader.string_match(one.at("uri"), uri)?)),
            None => None,
        };
        let path = if ignores_case { path.map(ignoring_case) } else { path };
        let path = path.filter(|path| *path != Path::Prefix("/".to_owned()));
        let methods = match one.take("method") {
            Some(method) => match reader.string_match(one.at("method"), method)? {
                Condition::Exact(method) => vec![method],
                Condition::Present(_) => Vec::new(),
                _ => return Err(reader.refuse(one.at("method"), "methods are matched by their whole name")),
            },
            None => Vec::new(),
        };
        let mut headers = Vec::new();
        for (key, invert) in [("headers", false), ("withoutHeaders", true)] {
            for (place, name, value) in reader.entries(&mut one, key) {
                headers.push(Named { name, value: reader.string_match(place, value)?, invert });
            }
        }
        if let Some(authority) = one.take("authority") {
            let value = reader.string_match(one.at("authority"), authority)?;
            headers.push(Named { name: "host".to_owned(), value, invert: false });
        }
        let mut query = Vec::new();
        for (place, name, value) in reader.entries(&mut one, "queryParams") {
            query.push(Named { name, value: reader.string_match(place, value)?, invert: false });
        }
        reader.all_understood(&one)?;
        Ok(Match { hosts: Vec::new(), path, methods, headers, query })
    }

    fn mirrors(&mut self, route: &mut Fields) -> Vec<Shadow> {
        let percent = match self.reader.object(route, "mirrorPercentage") {
            Some(mut percent) => {
                let value = self.reader.number(&mut percent, "value").unwrap_or(0.0);
                self.reader.done(percent);
                Some(value)
            }
            None => None,
        };
        let percent = ["mirrorPercent", "mirror_percent"]
            .into_iter()
            .fold(percent, |percent, key| percent.or(self.reader.number(route, key)));
        let single = self.reader.object(route, "mirror");
        let single = single.and_then(|to| self.destination(to, percent.unwrap_or(100.0)));
        let mut shadow: Vec<_> = single.into_iter().collect();
        for mut mirror in self.reader.objects(route, "mirrors") {
            let percent = match self.reader.object(&mut mirror, "percentage") {
                Some(mut percent) => self.reader.number(&mut percent, "value").unwrap_or(0.0),
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
        if port.is_none() {
            let what = format!("no port is given, so 80 is a guess: correct `upstreams.{host}.url`");
            self.reader.note(to.place(), what);
        }
        if to.has("subset") {
            let _ = to.take("subset");
            let why = "subsets are the mesh's; give the subset a name of its own that resolves to it alone";
            self.reader.left_out(to.at("subset"), why);
        }
        self.reader.done(to);
        let url = format!("http://{host}:{}", port.unwrap_or(80.0));
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
        let host = self.reader.text(&mut rewrite, "authority").map(|host| suffixed(&host));
        let mut path = self.reader.text(&mut rewrite, "uri").map(|prefix| PathRewrite::Prefix { prefix });
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
