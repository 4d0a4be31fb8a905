//! Virtual hosts: takes them with their routes, gives one list of routes in the order in which a gateway looks at them.
//!
//! Envoy, and whatever is built on it, first chooses the virtual host by the most specific of all domains, and then the
//! first route in it; if none matches, no other virtual host is asked.

use std::collections::BTreeMap;

use super::{
    output::{Condition, Match, Named, Output, Route, Shadow, Upstream},
    value::MatchRead,
};

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
    /// Envoy's domains, in lower case: `*`, `*.example.com`, `*-a.example.com`, `example.*`, or a name, perhaps with a
    /// port.
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
        let (plain, others): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| is_plain(host));
        let route = |rule: Rule| {
            let mut matches = if rule.matches_all() { Vec::new() } else { rule.matches };
            if !plain.is_empty() || !others.is_empty() {
                if matches.is_empty() {
                    matches.push(Match::default());
                }
                matches = matches.iter().flat_map(|one| for_hosts(one, &plain, &others)).collect();
            }
            let name = names.unique(rule.name.as_deref().unwrap_or(&name));
            Route { name, matches, shadow: rule.shadow }
        };
        rules.into_iter().map(route).collect()
    }
}

/// Whether a route's `hosts` can have it.
fn is_plain(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"*:/?#@[]\\".contains(&byte))
}

/// The match for hosts; those that aren't plain are conditions on the header.
fn for_hosts(one: &Match, plain: &[String], others: &[String]) -> Vec<Match> {
    let plain = Some(plain).filter(|plain| !plain.is_empty()).into_iter();
    let plain = plain.map(|plain| Match { hosts: plain.to_vec(), ..one.clone() });
    let others = others.iter().map(|host| {
        let port = if has_port(host) { "" } else { "(?::[0-9]+)?" };
        let pattern = format!("(?i){}{port}", regex::escape(host).replace("\\*", ".+"));
        let mut one = one.clone();
        let (name, value) = ("host".to_owned(), Condition::Regex(pattern));
        one.headers.push(Named { name, value, invert: false });
        one
    });
    plain.chain(others).collect()
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Rule {
    /// The rules that a gateway's rule becomes: what it matches gets the copies; what it may match gets none, but isn't
    /// left to later rules either, since those may mirror it.
    pub(super) fn of(name: Option<&str>, matches: Vec<MatchRead>, shadow: Vec<Shadow>) -> Vec<Self> {
        let matches_all = matches.is_empty();
        let (sure, unsure): (Vec<_>, Vec<_>) = matches.into_iter().partition(|one| one.is_sure);
        let plain = |matches: Vec<MatchRead>| matches.into_iter().map(|one| one.one).collect::<Vec<_>>();
        let name = name.map(str::to_owned);
        let mut rules = Vec::new();
        if matches_all || !sure.is_empty() {
            rules.push(Self { name: name.clone(), matches: plain(sure), shadow });
        }
        if !unsure.is_empty() {
            rules.push(Self { name, matches: plain(unsure), shadow: Vec::new() });
        }
        rules
    }

    fn matches_all(&self) -> bool {
        self.matches.is_empty() || self.matches.contains(&Match::default())
    }
}

/// How specific a host is; the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    /// Before the name without it, which is for all ports.
    WithPort,
    Exact,
    /// `*.example.com`, the longest first.
    Suffix(std::cmp::Reverse<usize>),
    /// `example.*`, the longest first.
    Prefix(std::cmp::Reverse<usize>),
    Any,
}

impl Specificity {
    fn of(host: &str) -> Self {
        match (host.strip_prefix('*'), host.strip_suffix('*')) {
            (Some(""), _) => Self::Any,
            (Some(suffix), _) => Self::Suffix(std::cmp::Reverse(suffix.len())),
            (None, Some(prefix)) => Self::Prefix(std::cmp::Reverse(prefix.len())),
            (None, None) if has_port(host) => Self::WithPort,
            (None, None) => Self::Exact,
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
    /// `name` as routes may be called, or with a number behind it if it was given before.
    fn unique(&mut self, name: &str) -> String {
        let refused = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        let name = if name.is_empty() { "route".to_owned() } else { name.replace(refused, "-") };
        loop {
            let count = self.0.entry(name.clone()).or_default();
            *count += 1;
            if *count == 1 {
                return name;
            }
            let numbered = format!("{name}-{count}");
            if !self.0.contains_key(&numbered) {
                self.0.insert(numbered.clone(), 1);
                return numbered;
            }
        }
    }
}
