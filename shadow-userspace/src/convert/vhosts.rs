//! Virtual hosts: takes them with their routes, gives one list of routes in the order in which a gateway looks at them.
//!
//! Envoy, and whatever is built on it, first chooses the virtual host by the most specific of all domains, and then the
//! first route in it; if none matches, no other virtual host is asked.

use std::collections::BTreeMap;

use super::output::{Match, Output, Route, Shadow, Upstream};

/// All virtual hosts, and the upstreams that they name.
#[derive(Debug, Default)]
pub(super) struct Vhosts {
    vhosts: Vec<Vhost>,
    upstreams: BTreeMap<String, Upstream>,
}

/// Hosts that share their routes.
#[derive(Debug)]
pub(super) struct Vhost {
    /// What routes are named after.
    pub(super) name: String,
    /// `*`, `*.example.com` or a name, in lower case.
    pub(super) hosts: Vec<String>,
    pub(super) rules: Vec<Rule>,
}

/// One route; its hosts are the virtual host's.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Its own name, if it has one.
    pub(super) name: Option<String>,
    /// Any of them; none: everything.
    pub(super) matches: Vec<Match>,
    pub(super) shadow: Vec<Shadow>,
}

impl Vhosts {
    pub(super) fn add(&mut self, vhost: Vhost) {
        self.vhosts.push(vhost);
    }

    /// The key of an upstream: `name`, or with a number behind it if another has that name.
    pub(super) fn upstream(&mut self, name: &str, upstream: &Upstream) -> String {
        let mut key = name.to_owned();
        let mut number = 2;
        while self.upstreams.get(&key).is_some_and(|known| known != upstream) {
            key = format!("{name}-{number}");
            number += 1;
        }
        self.upstreams.entry(key.clone()).or_insert_with(|| upstream.clone());
        key
    }

    /// None if nothing is mirrored.
    pub(super) fn into_output(self) -> Option<Output> {
        let mut groups: Vec<(Specificity, Vhost)> =
            self.vhosts.into_iter().flat_map(by_specificity).collect();
        groups.sort_by_key(|(specificity, _)| *specificity);
        let mut names = Names::default();
        let mut routes: Vec<Route> = Vec::new();
        let last = groups.len().saturating_sub(1);
        for (index, (_, vhost)) in groups.into_iter().enumerate() {
            let closes = index != last && !vhost.rules.iter().any(Rule::matches_all);
            routes.extend(vhost.routes(closes, &mut names));
        }
        // What follows the last route that mirrors changes nothing.
        let mirrored = routes.iter().rposition(|route| !route.shadow.is_empty())?;
        routes.truncate(mirrored + 1);
        let used =
            |name: &String| routes.iter().flat_map(|route| &route.shadow).any(|to| to.upstream == *name);
        let upstreams = self.upstreams.into_iter().filter(|(name, _)| used(name)).collect();
        Some(Output { upstreams, routes })
    }
}

impl Vhost {
    /// Its routes for its hosts; `closes`: and one for what none of them matches.
    fn routes(self, closes: bool, names: &mut Names) -> Vec<Route> {
        let Self { name, hosts, mut rules } = self;
        if closes {
            rules.push(Rule { name: Some(format!("{name}-rest")), matches: Vec::new(), shadow: Vec::new() });
        }
        let hosts = if hosts.iter().any(|host| host == "*") { Vec::new() } else { hosts };
        let route = |rule: Rule| {
            let mut matches = if rule.matches_all() { Vec::new() } else { rule.matches };
            if matches.is_empty() && !hosts.is_empty() {
                matches.push(Match::default());
            }
            matches.iter_mut().for_each(|one| {
                if one.hosts.is_empty() {
                    one.hosts.clone_from(&hosts);
                }
            });
            let name = names.unique(rule.name.as_deref().unwrap_or(&name));
            Route { name, matches, shadow: rule.shadow }
        };
        rules.into_iter().map(route).collect()
    }
}

impl Rule {
    fn matches_all(&self) -> bool {
        self.matches.is_empty() || self.matches.contains(&Match::default())
    }
}

/// How specific a host is; the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Exact,
    /// Wildcards, the longest first.
    Wildcard(std::cmp::Reverse<usize>),
    Any,
}

impl Specificity {
    fn of(host: &str) -> Self {
        match host.strip_prefix('*') {
            None => Self::Exact,
            Some("") => Self::Any,
            Some(suffix) => Self::Wildcard(std::cmp::Reverse(suffix.len())),
        }
    }
}

/// The virtual host once for each specificity of its hosts.
fn by_specificity(vhost: Vhost) -> Vec<(Specificity, Vhost)> {
    let mut groups: BTreeMap<Specificity, Vec<String>> = BTreeMap::new();
    for host in vhost.hosts {
        groups.entry(Specificity::of(&host)).or_default().push(host);
    }
    let (name, rules) = (vhost.name, vhost.rules);
    let group =
        |(specificity, hosts)| (specificity, Vhost { name: name.clone(), hosts, rules: rules.clone() });
    groups.into_iter().map(group).collect()
}

/// Names that were given.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    /// `name`, or with a number behind it if it was given before.
    fn unique(&mut self, name: &str) -> String {
        loop {
            let count = self.0.entry(name.to_owned()).or_default();
            *count += 1;
            if *count == 1 {
                return name.to_owned();
            }
            let numbered = format!("{name}-{count}");
            if !self.0.contains_key(&numbered) {
                self.0.insert(numbered.clone(), 1);
                return numbered;
            }
        }
    }
}
