//! Which route, which shadows, at which rate.

use http::Method;
use proptest::prelude::*;

use super::*;
use crate::route::{
    matcher::{HostMatch, PathMatch, RouteMatch},
    testing::{flow, get, matching, percent, random, route, sampled_by, three_sigma},
};

mod rates;
mod samples;

/// Decides about a request that is in every sample but those of 0 %.
fn decide(table: &RouteTable, head: &RequestHead) -> Decision {
    table.decide(head, &flow(1), Dice::undrawn(0, 0))
}

fn copies(route: usize, shadows: &[usize]) -> Decision {
    Decision::Copies(route, shadows.iter().copied().collect())
}

fn under(host: Option<HostMatch>, prefix: &str) -> RouteMatch {
    RouteMatch {
        hosts: host.into_iter().collect(),
        path: Some(PathMatch::Prefix(prefix.to_owned())),
        ..RouteMatch::default()
    }
}

fn at(host: &str, path: &str) -> RequestHead {
    RequestHead::parse(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap()
}

#[test]
fn the_first_route_that_matches_counts() {
    let exact = |name: &str| Some(HostMatch::Exact(name.to_owned()));
    let table = RouteTable::new(&[
        matching(route("pets-a", &[100.0]), vec![under(exact("a"), "/pets")]),
        matching(route("pets", &[100.0]), vec![under(None, "/pets")]),
        matching(route("a", &[100.0]), vec![under(exact("a"), "/")]),
        matching(route("b-or-x", &[100.0]), vec![under(exact("B"), "/"), under(None, "/x")]),
    ]);
    for (host, path, expected) in [
        ("a", "/pets/1", copies(0, &[0])),
        ("A:80", "/pets/1", copies(0, &[0])),
        ("b", "/pets/1", copies(1, &[0])),
        ("a", "/x", copies(2, &[0])),
        ("b", "/y", copies(3, &[0])),
        ("c", "/x", copies(3, &[0])),
        ("c", "/y", Decision::Pass(PassReason::NoRoute)),
    ] {
        assert_eq!(decide(&table, &at(host, path)), expected, "{host} {path}");
    }
    // A route that isn't drawn doesn't leave the request to the next.
    let table = RouteTable::new(&[route("none", &[0.0]), route("all", &[100.0])]);
    assert_eq!(decide(&table, &get("")), Decision::Pass(PassReason::NotDrawn));
    assert_eq!(decide(&RouteTable::new(&[]), &get("")), Decision::Pass(PassReason::NoRoute));
}

#[test]
fn a_method_that_is_not_mirrored_leaves_the_copy_out() {
    let mut options = route("all", &[100.0, 100.0, 0.0]);
    options.shadows[1].methods = Some(vec![Method::POST]);
    let post = RequestHead::parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    let table = RouteTable::new(std::slice::from_ref(&options));
    assert_eq!(decide(&table, &get("")), copies(0, &[0]));
    assert_eq!(decide(&table, &post), copies(0, &[0, 1]));
    options.shadows.remove(0);
    let table = RouteTable::new(&[options]);
    assert_eq!(decide(&table, &get("")), Decision::Pass(PassReason::Method));
    table.set_rate("all/v1", SampleRate::NONE).unwrap();
    assert_eq!(
        decide(&table, &get("")),
        Decision::Pass(PassReason::NotDrawn),
        "nothing was drawn to leave out"
    );
}

fn any_host() -> impl Strategy<Value = HostMatch> {
    prop_oneof![
        4 => "[abAB]".prop_map(HostMatch::Exact),
        1 => "\\.[ab]".prop_map(HostMatch::Suffix),
        1 => Just(HostMatch::Any),
    ]
}

fn any_match() -> impl Strategy<Value = RouteMatch> {
    let path = proptest::option::of("/[xy]?".prop_map(PathMatch::Prefix));
    (proptest::collection::vec(any_host(), 0..3), path).prop_map(|(hosts, path)| RouteMatch {
        hosts,
        path,
        ..RouteMatch::default()
    })
}

proptest! {
    #[test]
    fn the_index_hides_no_route(
        routes in proptest::collection::vec(proptest::collection::vec(any_match(), 0..3), 0..8),
        host in "[abABc](\\.[ab])?(:80)?",
        path in "/[xyz]?",
    ) {
        let routes: Vec<_> = routes.into_iter().map(|matches| matching(route("", &[100.0]), matches)).collect();
        let head = at(&host, &path);
        let fits = |route: &RouteOptions| {
            route.matches.is_empty() || route.matches.iter().any(|one| one.fits(&Parts::of(&head)))
        };
        let expected = match routes.iter().position(fits) {
            Some(position) => copies(position, &[0]),
            None => Decision::Pass(PassReason::NoRoute),
        };
        prop_assert_eq!(decide(&RouteTable::new(&routes), &head), expected);
    }
}
