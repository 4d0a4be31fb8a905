//! Which route a request takes, and what its copy looks like at v2, each kind of condition and of change once.

use crate::{
    common::COPIES_LIMIT,
    stage::{Stage, copy_of, dropped, get, post, request, sorted, stop},
};
use shadow_tests::service::Received;

/// Each route says by a header which it was.
const ROUTES: &str = "
routes:
  - name: host
    match: { hosts: ['*.example.org', exact.test] }
    shadow: { upstream: $V2, headers: { set: { x-route: host } } }
  - { name: exact, match: { path: { exact: /exact } }, shadow: { upstream: $V2, headers: { set: { x-route: exact } } } }
  - name: regex
    match: { path: { regex: '/r/[0-9]+' }, methods: [GET] }
    shadow: { upstream: $V2, headers: { set: { x-route: regex } } }
  - name: header
    match:
      - headers:
          - { name: x-a, exact: b }
          - { name: x-b, present: true }
          - { name: x-c, regex: 'v[12]', invert: true }
      - { headers: [{ name: x-any, prefix: pre }] }
    shadow: { upstream: $V2, headers: { set: { x-route: header } } }
  - name: query
    match: { query: [{ name: debug, exact: '1' }] }
    shadow: { upstream: $V2, headers: { set: { x-route: query } } }
  - { name: prefix, match: { path: { prefix: /p } }, shadow: { upstream: $V2, headers: { set: { x-route: prefix } } } }
";

/// Requests, and the route that each takes; none: no copy.
const TAKEN: [(&str, &[&str], Option<&str>); 17] = [
    ("/host", &["Host: a.example.org:8080"], Some("host")),
    ("/host/exact", &["Host: EXACT.test"], Some("host")),
    ("/host/none", &["Host: example.org"], None),
    ("/exact", &[], Some("exact")),
    ("/exact?a=1", &[], Some("exact")),
    ("/exact/below", &[], None),
    ("/r/12", &[], Some("regex")),
    ("/r/12a", &[], None),
    // As in Envoy, a header that is absent has no value of which anything holds, inverted or not.
    ("/h/1", &["X-A: b", "X-B: any"], None),
    ("/h/2", &["X-A: b", "X-B: any", "X-C: v1"], None),
    ("/h/3", &["X-A: b", "X-B: any", "X-C: v3"], Some("header")),
    ("/h/4", &["X-A: b"], None),
    ("/h/5", &["X-Any: prefixed"], Some("header")),
    ("/q?x=2&debug=1", &[], Some("query")),
    ("/q?debug=11", &[], None),
    // The first that matches counts.
    ("/p?debug=1", &[], Some("query")),
    ("/p/below", &[], Some("prefix")),
];

#[test]
fn the_first_route_that_matches_is_taken() {
    let Some(stage) = Stage::new(ROUTES) else { return };
    stage.talk(&TAKEN.map(|(target, headers, _)| get(target, headers)));
    stage.talk(&[post("/r/1", &[], "not a GET")]);
    let expected = TAKEN.iter().filter(|(.., route)| route.is_some()).count();
    stage.scene.v2.wait_for(expected, COPIES_LIMIT).unwrap();
    let summary = stop(stage.agent);
    let copies = stage.scene.v2.received().unwrap();
    for (target, _, route) in TAKEN {
        let found = copies.iter().find(|copy| copy.target == target);
        assert_eq!(found.and_then(|copy| copy.header("x-route")), route, "{target}");
    }
    assert_eq!(summary.requests.mirrored, expected as u64, "{summary:?}");
}

#[test]
fn paths_are_rewritten() {
    let config = "
routes:
  - { match: { path: { prefix: /api } }, shadow: { upstream: $V2, path_rewrite: { prefix: /v2 } } }
  - { match: { path: { prefix: /from } }, shadow: { upstream: $V2, path_rewrite: { from: /from/here, to: /there } } }
  - { shadow: { upstream: $V2, path_rewrite: { regex: '^/([a-z]+)/([0-9]+)$', substitution: '/$2/$1' } } }
";
    let Some(stage) = Stage::new(config) else { return };
    stage.talk(&["/api/pets?a=1", "/from/here/x", "/pets/12?q=1", "/other"].map(|target| get(target, &[])));
    let (copies, _) = stage.finish(4);
    assert_eq!(sorted(&copies), ["/12/pets?q=1", "/other", "/there/x", "/v2/pets?a=1"]);
}

#[test]
fn forwarded_for_and_traceparent() {
    let config = "routes: [{ shadow: { upstream: $V2, forwarded_for: true, traceparent: child } }]\n";
    let Some(stage) = Stage::new(config) else { return };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [&*format!("traceparent: {parent}"), "X-Forwarded-For: 192.0.2.7"];
    stage.talk(&[get("/child", &headers), get("/none", &[])]);
    let (copies, _) = stage.finish(2);
    let child = copy_of(&copies, "/child");
    assert_eq!(child.header("x-forwarded-for"), Some("192.0.2.7, 10.77.0.1"), "{child:?}");
    let trace = child.header("traceparent").unwrap();
    assert_eq!((trace.len(), &trace[..36], &trace[52..]), (parent.len(), &parent[..36], "-01"), "{trace}");
    assert_ne!(trace, parent);
    let none = copy_of(&copies, "/none");
    assert_eq!((none.header("x-forwarded-for"), none.header("traceparent")), (Some("10.77.0.1"), None));
}

/// RFC 9110, 7.6.1: what is said of the connection, or named by it, isn't said to v2.
#[test]
fn hop_by_hop_headers_stay_behind() {
    let Some(stage) = Stage::new("routes: [{ shadow: { upstream: $V2 } }]\n") else { return };
    let hop =
        ["Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "TE: trailers", "X-End: 1"];
    stage.talk(&[get("/hop", &hop), post("/expect", &["Expect: nothing-special"], "body")]);
    let (copies, _) = stage.finish(2);
    let has = |copy: &Received, name: &str| copy.header(name).is_some();
    let hop = copy_of(&copies, "/hop");
    assert_eq!(
        ["x-hop", "keep-alive", "te", "x-end"].map(|name| has(hop, name)),
        [false, false, false, true]
    );
    assert!(!has(copy_of(&copies, "/expect"), "expect"));
}

/// Neither tunnels nor what leads to one is mirrored; it is counted. v1 refuses them here.
#[test]
fn connect_and_upgrades_are_counted() {
    let Some(stage) = Stage::new("routes: [{ shadow: { upstream: $V2 } }]\n") else { return };
    let upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
    stage.talk(&[request("GET", "/upgrade", &upgrade, ""), get("/after", &[])]);
    stage.talk(&[get("/other", &[])]);
    stage.scene.v2.wait_for(1, COPIES_LIMIT).unwrap();
    let summary = stop(stage.agent);
    assert_eq!(dropped(&summary, "upgrade"), 1, "{summary:?}");
    let copies = stage.scene.v2.received().unwrap();
    assert!(!sorted(&copies).contains(&"/upgrade"), "{copies:?}");
    assert!(sorted(&copies).contains(&"/other"), "{copies:?}");
}
