//! Gloo Edge: VirtualService (`virtualHost.routes[].options.shadowing`, or `routePlugins.shadowing` before 1.3), RouteTable
//! where a route delegates to it, and Upstream for the address.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::{Document, Documents, Fields, Reader},
    output::{Condition, Match, Named, Path, PathRewrite, Percentage, Shadow, Tls, Upstream},
    value::{Inexpressible, MatchRead},
    vhosts::{Rule, Vhost, Vhosts},
};

/// A reference: namespace and name.
type Ref = (String, String);

/// What the file says of upstreams; of some that it can't be carried over.
type Upstreams = BTreeMap<Ref, Option<Upstream>>;

/// Says whether there was a document of Gloo's.
pub(super) fn convert(documents: &mut Documents, vhosts: &mut Vhosts) -> bool {
    let upstreams = upstreams(documents);
    let (tables, mut reader) = documents.take("gateway.solo.io", "RouteTable");
    let mut tables: BTreeMap<Ref, Vec<Fields>> = tables
        .into_iter()
        .map(|(table, mut spec)| {
            let routes = reader.objects(&mut spec, "routes");
            reader.done(spec);
            ((table.namespace, table.name), routes)
        })
        .collect();
    let (services, mut reader) = documents.take("gateway.solo.io", "VirtualService");
    let known = !services.is_empty();
    for (service, mut spec) in services {
        let Some(mut host) = reader.object(&mut spec, "virtualHost") else { continue };
        let hosts = reader.hosts(&mut host, "domains");
        let routes = reader.objects(&mut host, "routes");
        let mut gloo =
            Gloo { reader: &mut reader, vhosts, upstreams: &upstreams, tables: &mut tables, service };
        let mut rules = Vec::new();
        routes.into_iter().for_each(|route| gloo.route(route, &[], &mut rules));
        let name = gloo.service.name;
        reader.done(host);
        reader.done(spec);
        vhosts.add(Vhost { name, hosts, rules });
    }
    for ((namespace, name), _) in tables {
        reader.left_out(
            format!("RouteTable {namespace}.{name}"),
            "no route of a VirtualService here delegates to it",
        );
    }
    known
}

/// What is needed to read a virtual service's routes.
struct Gloo<'a, 'n> {
    reader: &'a mut Reader<'n>,
    vhosts: &'a mut Vhosts,
    upstreams: &'a Upstreams,
    tables: &'a mut BTreeMap<Ref, Vec<Fields>>,
    service: Document,
}

impl Gloo<'_, '_> {
    /// `parent`: what the route that delegates to this one matches.
    fn route(&mut self, mut route: Fields, parent: &[MatchRead], rules: &mut Vec<Rule>) {
        let name = self.reader.text(&mut route, "name");
        let matches = matches(self.reader, &mut route);
        let _ = route.take("inheritableMatchers");
        let Some(matches) = below(parent, matches) else {
            let why = "it lies outside of what the route that delegates to it matches";
            return self.reader.left_out(route.place(), why);
        };
        if let Some(action) = self.reader.object(&mut route, "delegateAction") {
            return self.delegate(action, route, &matches, rules);
        }
        // Where the real request goes is the gateway's.
        let action = route.take("routeAction").or_else(|| route.take("redirectAction"));
        let _ = action.or_else(|| route.take("directResponseAction"));
        let mut shadows = Vec::new();
        for key in ["options", "routePlugins"] {
            if let Some(options) = self.reader.object(&mut route, key) {
                shadows.extend(self.options(options, &matches));
            }
        }
        let shadows = self.reader.once_each(route.place(), shadows);
        self.reader.done(route);
        if shadows.iter().any(|shadow| shadow.path_rewrite.is_some()) {
            // Each path is rewritten by itself.
            let everything = || vec![MatchRead::sure(Match::default())];
            let matches = if matches.is_empty() { everything() } else { matches };
            let (sure, unsure): (Vec<_>, Vec<_>) = matches.into_iter().partition(|one| one.is_sure);
            for one in sure {
                rules.extend(Rule::of(name.as_deref(), vec![with_path(one)], shadows.clone()));
            }
            if !unsure.is_empty() {
                rules.extend(Rule::of(name.as_deref(), unsure, Vec::new()));
            }
            return;
        }
        rules.extend(Rule::of(name.as_deref(), matches, shadows));
    }

    /// The routes of the table. Where they aren't known, what may be theirs isn't left to later routes.
    fn delegate(&mut self, mut action: Fields, route: Fields, parent: &[MatchRead], rules: &mut Vec<Rule>) {
        let place = action.place().to_owned();
        let mut reference = self.reader.object(&mut action, "ref").unwrap_or(action);
        let target = self.reference(&mut reference);
        self.reader.done(reference);
        self.reader.done(route);
        let Some(routes) = target.and_then(|target| self.tables.remove(&target)) else {
            self.reader.left_out(place, "the RouteTable isn't in the file, or was delegated to before");
            rules.push(Rule {
                name: None,
                matches: parent.iter().map(|one| one.one.clone()).collect(),
                shadow: Vec::new(),
            });
            return;
        };
        for child in routes {
            self.route(child, parent, rules);
        }
    }

    fn options(&mut self, mut options: Fields, matches: &[MatchRead]) -> Option<Shadow> {
        let shadowing = self.reader.object(&mut options, "shadowing");
        let shadow = shadowing.and_then(|shadowing| self.shadowing(shadowing));
        let Some(mut shadow) = shadow else {
            // What else is said of a route that mirrors nothing isn't needed.
            return None;
        };
        // As Envoy mirrors what it made of a request, its rewriting is the copy's too.
        shadow.host_rewrite = self.reader.new_host(&mut options, "hostRewrite");
        if let Some(prefix) = self.reader.new_path(&mut options, "prefixRewrite") {
            let is_regex = |one: &MatchRead| one.is_sure && matches!(one.one.path, Some(Path::Regex(_)));
            if !matches.iter().any(is_regex) {
                shadow.path_rewrite = Some(PathRewrite::Prefix { prefix });
            } else {
                self.reader.left_out(options.at("prefixRewrite"), "the route matches by no prefix");
            }
        }
        self.reader.done(options);
        Some(shadow)
    }

    fn shadowing(&mut self, mut shadowing: Fields) -> Option<Shadow> {
        let mut upstream = self.reader.object(&mut shadowing, "upstream")?;
        let reference = self.reference(&mut upstream);
        self.reader.done(upstream);
        // As everywhere in Gloo's API, what isn't said is 0.
        let percent = self.reader.number(&mut shadowing, "percentage").unwrap_or(0.0);
        let place = shadowing.place().to_owned();
        let Some(percentage) = Percentage::new(percent) else {
            self.reader.left_out(shadowing.at("percentage"), "it is not from 0 to 100");
            return None;
        };
        self.reader.done(shadowing);
        let (namespace, name) = reference?;
        let upstream = match self.upstreams.get(&(namespace.clone(), name.clone())) {
            Some(Some(upstream)) => upstream.clone(),
            Some(None) => {
                self.reader.left_out(place, &format!("the address of {namespace}.{name} isn't known"));
                return None;
            }
            None => self.guess(&place, &namespace, &name),
        };
        self.reader.address(&place, upstream.url.clone())?;
        let upstream = self.vhosts.upstream(&name, &upstream);
        Some(Shadow {
            upstream,
            percentage,
            host_rewrite: None,
            headers: Default::default(),
            path_rewrite: None,
        })
    }

    fn reference(&mut self, fields: &mut Fields) -> Option<Ref> {
        let namespace = self.reader.text(fields, "namespace");
        let name = self.reader.text(fields, "name")?;
        Some((namespace.unwrap_or_else(|| self.service.namespace.clone()), name))
    }

    /// An upstream that the file doesn't describe: Gloo's discovery names those that it finds
    /// `NAMESPACE-SERVICE-PORT`.
    fn guess(&mut self, place: &str, namespace: &str, name: &str) -> Upstream {
        let discovered = name.rsplit_once('-').and_then(|(rest, port)| {
            let port: u16 = port.parse().ok()?;
            let (namespace, service) = rest.split_once('-')?;
            Some(format!("http://{service}.{namespace}:{port}"))
        });
        let url = discovered.unwrap_or_else(|| format!("http://{name}"));
        let what = format!(
            "the Upstream {namespace}.{name} isn't in the file, so {url} is a guess: correct `upstreams.{name}.url`"
        );
        self.reader.note(place, what);
        Upstream { url, tls: None }
    }
}

fn upstreams(documents: &mut Documents) -> Upstreams {
    let (found, mut reader) = documents.take("gloo.solo.io", "Upstream");
    let mut upstreams = Upstreams::new();
    for (document, mut spec) in found {
        let tls = reader.object(&mut spec, "sslConfig");
        let upstream = if let Some(fixed) = reader.object(&mut spec, "static") {
            fixed_upstream(fixed, tls, &mut reader)
        } else if let Some(service) = reader.object(&mut spec, "kube") {
            kube_upstream(service, tls, &mut reader)
        } else {
            reader.left_out(spec.place(), "only upstreams of the types static and kube have an address here");
            None
        };
        // Discovery's own.
        let _ = spec.take("discoveryMetadata");
        reader.done(spec);
        upstreams.insert((document.namespace, document.name), upstream);
    }
    upstreams
}

fn fixed_upstream(mut fixed: Fields, tls: Option<Fields>, reader: &mut Reader<'_>) -> Option<Upstream> {
    let mut hosts = reader.objects(&mut fixed, "hosts").into_iter();
    let uses_tls = reader.flag(&mut fixed, "useTls");
    let mut first = hosts.next()?;
    let host = reader.text(&mut first, "addr")?;
    let port = reader.number(&mut first, "port");
    let sni = reader.text(&mut first, "sniAddr");
    reader.done(first);
    for other in hosts {
        reader.left_out(other.place(), "an upstream has one name; give one that resolves to all addresses");
    }
    reader.done(fixed);
    Some(upstream(&host, port, uses_tls, sni, tls, reader))
}

fn kube_upstream(mut service: Fields, tls: Option<Fields>, reader: &mut Reader<'_>) -> Option<Upstream> {
    let name = reader.text(&mut service, "serviceName")?;
    let namespace = reader.text(&mut service, "serviceNamespace").unwrap_or_else(|| "default".to_owned());
    let port = reader.number(&mut service, "servicePort");
    reader.done(service);
    Some(upstream(&format!("{name}.{namespace}"), port, false, None, tls, reader))
}

fn upstream(
    host: &str,
    port: Option<f64>,
    uses_tls: bool,
    sni: Option<String>,
    tls: Option<Fields>,
    reader: &mut Reader<'_>,
) -> Upstream {
    let uses_tls = uses_tls || tls.is_some();
    let sni = tls.map_or(sni.clone(), |mut tls| {
        let named = reader.text(&mut tls, "sni");
        reader.done(tls);
        named.or(sni)
    });
    let scheme = if uses_tls { "https" } else { "http" };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let tls = sni.filter(|_| uses_tls).map(|server_name| Tls { server_name });
    Upstream { url: format!("{scheme}://{host}{port}"), tls }
}

fn matches(reader: &mut Reader<'_>, route: &mut Fields) -> Vec<MatchRead> {
    let read = |reader: &mut Reader<'_>, mut one: Fields| {
        vec![reader.matched(|reader, to| matcher(reader, &mut one, to))]
    };
    let mut matches = reader.each_match(route, "matchers", read);
    if route.has("matcher") {
        let one = reader.object(route, "matcher");
        matches
            .extend(one.map_or_else(|| vec![MatchRead::unsure(Match::default())], |one| read(reader, one)));
    }
    matches
}

fn matcher(reader: &mut Reader<'_>, matcher: &mut Fields, to: &mut Match) -> Result<(), Inexpressible> {
    let (key, path) = if let Some(exact) = reader.text(matcher, "exact") {
        ("exact", Path::Exact(exact))
    } else if let Some(regex) = reader.text(matcher, "regex") {
        ("regex", Path::Regex(reader.pattern(matcher.at("regex"), regex)?))
    } else {
        ("prefix", Path::Prefix(reader.text(matcher, "prefix").unwrap_or_default()))
    };
    let ignores_case = matcher.has("caseSensitive") && !reader.flag(matcher, "caseSensitive");
    to.path = reader.path(matcher.at(key), path, ignores_case)?;
    let methods = reader.texts(matcher, "methods");
    to.methods = reader.methods(matcher.at("methods"), methods)?;
    to.headers = named(reader, matcher, "headers")?;
    to.query = named(reader, matcher, "queryParameters")?;
    reader.all_understood(matcher)
}

fn named(reader: &mut Reader<'_>, matcher: &mut Fields, key: &str) -> Result<Vec<Named>, Inexpressible> {
    let mut all = Vec::new();
    for mut one in reader.objects(matcher, key) {
        let name = reader.text(&mut one, "name").unwrap_or_default();
        let value = reader.text(&mut one, "value").filter(|value| !value.is_empty());
        let is_regex = reader.flag(&mut one, "regex");
        let value = match value {
            None => Condition::Present(true),
            Some(pattern) if is_regex => Condition::Regex(reader.pattern(one.at("value"), pattern)?),
            Some(value) => Condition::Exact(value),
        };
        let invert = reader.flag(&mut one, "invertMatch");
        reader.all_understood(&one)?;
        all.push(if key == "headers" {
            reader.header(one.place(), name, value, invert)?
        } else {
            reader.parameter(one.place(), name, value, invert)?
        });
    }
    Ok(all)
}

/// What a route of a table matches: its own matches as far as they lie below its parent's, and those where it has none.
/// None: nothing.
fn below(parent: &[MatchRead], own: Vec<MatchRead>) -> Option<Vec<MatchRead>> {
    if parent.is_empty() {
        return Some(own);
    }
    if own.is_empty() {
        return Some(parent.to_vec());
    }
    let both = own.iter().flat_map(|own| parent.iter().filter_map(move |parent| both(parent, own)));
    Some(both.collect()).filter(|both: &Vec<_>| !both.is_empty())
}

fn both(parent: &MatchRead, own: &MatchRead) -> Option<MatchRead> {
    let is_sure = parent.is_sure && own.is_sure;
    let (parent, mut one) = (parent.one.clone(), own.one.clone());
    match (&parent.path, &one.path) {
        (None, _) => {}
        (Some(Path::Prefix(above)), Some(Path::Prefix(path) | Path::Exact(path) | Path::Regex(path)))
            if path.starts_with(above) => {}
        (above, None) if !is_sure => one.path.clone_from(above),
        _ => return None,
    }
    if one.methods.is_empty() {
        one.methods = parent.methods;
    }
    for (to, from) in [(&mut one.headers, parent.headers), (&mut one.query, parent.query)] {
        let new: Vec<_> = from.into_iter().filter(|condition| !to.contains(condition)).collect();
        to.extend(new);
    }
    Some(MatchRead { one, is_sure })
}

/// A path's prefix can be replaced only if it is said.
fn with_path(mut one: MatchRead) -> MatchRead {
    one.one.path.get_or_insert_with(|| Path::Prefix("/".to_owned()));
    one
}

/// Hosts without what comes again.
pub(super) fn once_each(hosts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    hosts.into_iter().filter(|host| seen.insert(host.clone())).collect()
}
