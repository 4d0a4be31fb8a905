//! Which routes can be for a host: takes routes, gives their positions in order.
//!
//! A route that is for certain hosts only isn't looked at for others, so that many of them cost no more than one.

use std::{borrow::Cow, collections::HashMap};

use foldhash::fast::RandomState;

use super::{
    RouteOptions,
    matcher::{HostMatch, RouteMatch},
};

/// Positions of routes, each list ascending.
#[derive(Debug)]
pub(super) struct HostIndex {
    /// Of those that are for certain hosts only, by each of these in lower case.
    exact: HashMap<String, Vec<usize>, RandomState>,
    /// Of all others.
    others: Vec<usize>,
}

impl HostIndex {
    pub(super) fn new(routes: &[RouteOptions]) -> Self {
        let mut index = Self { exact: HashMap::default(), others: Vec::new() };
        for (position, route) in routes.iter().enumerate() {
            index.add(position, &route.matches);
        }
        index
    }

    fn add(&mut self, position: usize, matches: &[RouteMatch]) {
        let Some(hosts) = exact_hosts(matches) else { return self.others.push(position) };
        for host in hosts {
            let positions = self.exact.entry(host.to_ascii_lowercase()).or_default();
            if positions.last() != Some(&position) {
                positions.push(position);
            }
        }
    }

    /// The routes that can be for `host`, in order.
    pub(super) fn candidates(&self, host: &str) -> impl Iterator<Item = usize> {
        let is_lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
        let host = if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) };
        let exact = self.exact.get(&*host).map(Vec::as_slice).unwrap_or_default();
        merged(exact, &self.others)
    }
}

/// All hosts of the matches, if they are exact ones and every match has some.
fn exact_hosts(matches: &[RouteMatch]) -> Option<Vec<&str>> {
    let mut hosts = Vec::new();
    for one in matches {
        for host in &one.hosts {
            let HostMatch::Exact(name) = host else { return None };
            hosts.push(name.as_str());
        }
        if one.hosts.is_empty() {
            return None;
        }
    }
    (!hosts.is_empty()).then_some(hosts)
}

/// Two ascending lists as one.
fn merged<'a>(mut one: &'a [usize], mut other: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    std::iter::from_fn(move || {
        let is_one = match (one.first(), other.first()) {
            (Some(first), Some(second)) => first < second,
            (first, _) => first.is_some(),
        };
        let list = if is_one { &mut one } else { &mut other };
        let (&first, rest) = list.split_first()?;
        *list = rest;
        Some(first)
    })
}
