//! Gloo Edge: VirtualService (`virtualHost.routes[].options.shadowing`, or `routePlugins.shadowing` before 1.3), RouteTable
//! where a route delegates to it, and Upstream for the address.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::{Document, Documents, Fields, Reader},
    output::{Condition, Match, Named, Path, PathRewrite, Percentage, Shadow, Tls, Upstream},
    value::{Inexpressible, ignoring_case},
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
        let mut hosts = reader.texts(&mut host, "domains");
        hosts.iter_mut().for_each(|host| *host = host.to_ascii_lowercase());
        if hosts.is_empty() {
            hosts.push("*".to_owned());
        }
        let routes = reader.objects(&mut host, "routes");
        let mut gloo =
            Gloo { reader: &mut reader, vhosts, upstreams: &upstreams, tables: &mut tables, service };
        let mut rules = Vec::new();
        routes.into_iter().for_each(|route| gloo.route(route, &mut rules));
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
    fn route(&mut self, mut route: Fields, rules: &mut Vec<Rule>) {
        let name = self.reader.text(&mut route, "name");
        if let Some(action) = self.reader.object(&mut route, "delegateAction") {
            return self.delegate(action, route, rules);
        }
        let matches = self.matches(&mut route);
        // Where the real request goes is the gateway's.
        let action = route.take("routeAction").or_else(|| route.take("redirectAction"));
        let _ = action.or_else(|| route.take("directResponseAction"));
        let mut shadows = Vec::new();
        for key in ["options", "routePlugins"] {
            if let Some(options) = self.reader.object(&mut route, key) {
                shadows.extend(self.options(options, &matches));
            }
        }
        self.reader.done(route);
        // Why not, was said already.
        if let Ok(matches) = matches {
            rules.push(Rule { name, matches, shadow: shadows });
        }
    }

    /// The routes of the table, which all lie below the delegating route's prefix.
    fn delegate(&mut self, mut action: Fields, mut route: Fields, rules: &mut Vec<Rule>) {
        let place = action.place().to_owned();
        let mut reference = self.reader.object(&mut action, "ref").unwrap_or(action);
        let target = self.reference(&mut reference);
        self.reader.done(reference);
        let parent = self.matches(&mut route);
        self.reader.done(route);
        let Some(routes) = target.and_then(|target| self.tables.remove(&target)) else {
            self.reader.left_out(place, "the RouteTable isn't in the file, or was delegated to before");
            return;
        };
        for child in routes {
            let inherits = !child.has("matchers") && !child.has("matcher");
            let first = rules.len();
            self.route(child, rules);
            if let (true, Ok(parent)) = (inherits, &parent) {
                rules[first..].iter_mut().for_each(|rule| rule.matches.clone_from(parent));
            }
        }
    }

    fn matches(&mut self, route: &mut Fields) -> Result<Vec<Match>, Inexpressible> {
        let mut matchers = self.reader.objects(route, "matchers");
        matchers.extend(self.reader.object(route, "matcher"));
        matchers.into_iter().map(|matcher| self.matcher(matcher)).collect()
    }

    fn matcher(&mut self, mut matcher: Fields) -> Result<Match, Inexpressible> {
        let reader = &mut *self.reader;
        let path = if let Some(exact) = reader.text(&mut matcher, "exact") {
            Some(Path::Exact(exact))
        } else if let Some(regex) = reader.text(&mut matcher, "regex") {
            Some(Path::Regex(reader.pattern(matcher.at("regex"), regex)?))
        } else {
            reader.text(&mut matcher, "prefix").map(Path::Prefix)
        };
        let is_exact_case = !matcher.has("caseSensitive") || reader.flag(&mut matcher, "caseSensitive");
        let path = if is_exact_case { path } else { path.map(ignoring_case) };
        // What begins with a slash is every path.
        let path = path.filter(|path| *path != Path::Prefix("/".to_owned()));
        let methods = reader.texts(&mut matcher, "methods");
        let headers = self.named(&mut matcher, "headers")?;
        let query = self.named(&mut matcher, "queryParameters")?;
        self.reader.all_understood(&matcher)?;
        Ok(Match { hosts: Vec::new(), path, methods, headers, query })
    }

    fn named(&mut self, matcher: &mut Fields, key: &str) -> Result<Vec<Named>, Inexpressible> {
        let reader = &mut *self.reader;
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
            all.push(Named { name, value, invert });
        }
        Ok(all)
    }

    fn options(
        &mut self,
        mut options: Fields,
        matches: &Result<Vec<Match>, Inexpressible>,
    ) -> Option<Shadow> {
        let shadowing = self.reader.object(&mut options, "shadowing");
        let shadow = shadowing.and_then(|shadowing| self.shadowing(shadowing));
        let Some(mut shadow) = shadow else {
            // What else is said of a route that mirrors nothing isn't needed.
            return None;
        };
        // As Envoy mirrors what it made of a request, its rewriting is the copy's too.
        if let Some(host) = self.reader.text(&mut options, "hostRewrite") {
            shadow.host_rewrite = Some(suffixed(&host));
        }
        if let Some(prefix) = self.reader.text(&mut options, "prefixRewrite") {
            let has_prefix = matches.as_ref().is_ok_and(|matches| {
                matches.iter().all(|one| matches!(one.path, Some(Path::Prefix(_) | Path::Exact(_))))
            });
            if has_prefix {
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

/// What Envoy makes of a rewritten host on the copy: the suffix stands before the port.
pub(super) fn suffixed(host: &str) -> String {
    String::from_utf8_lossy(&crate::shadow::host::suffixed(host.as_bytes(), crate::shadow::host::SUFFIX))
        .into_owned()
}

/// Hosts without what comes again.
pub(super) fn once_each(hosts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    hosts.into_iter().filter(|host| seen.insert(host.clone())).collect()
}
