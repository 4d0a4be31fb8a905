//! What a decision about a request costs, by the number of routes: `cargo bench -p shadow-userspace --bench routes`.
//!
//! The request is for the last route, so that a table that is searched from the front looks at all.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use shadow_common::{FlowKey, SampleBy};
use shadow_userspace::{
    capture::SampleRate,
    http::RequestHead,
    route::{
        Dice, RouteOptions, RouteTable, SampleKey, ShadowOptions,
        matcher::{HostMatch, PathMatch, RouteMatch},
    },
};

/// A route with one shadow that gets everything.
fn route(name: String, matches: Vec<RouteMatch>, sample_by: SampleKey) -> RouteOptions {
    let shadow = ShadowOptions {
        upstream: "v2".to_owned(),
        percentage: SampleRate::ALL,
        policy: Arc::default(),
        methods: None,
        timeout: None,
        max_body: 1 << 30,
        max_in_flight: None,
    };
    RouteOptions { name, matches, sample_by, shadows: vec![shadow] }
}

/// A route for one host or, without one, for a prefix.
fn numbered(number: usize, by_host: bool) -> RouteOptions {
    let host = by_host.then(|| HostMatch::Exact(format!("host-{number}.example.com")));
    let path = (!by_host).then(|| PathMatch::Prefix(format!("/api/v1/service-{number}/")));
    let one = RouteMatch { hosts: host.into_iter().collect(), path, ..RouteMatch::default() };
    route(format!("route-{number}"), vec![one], SampleKey::Request)
}

/// A request for the route with this number, with the headers of a browser.
fn request(number: usize) -> RequestHead {
    let text = format!(
        "GET /api/v1/service-{number}/pets/4711?fields=name HTTP/1.1\r\n\
         Host: host-{number}.example.com:8080\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\r\n\
         Accept: application/json\r\n\
         Cookie: theme=dark; session=7f3c2d1e9b8a4c05\r\n\
         X-User: 4711\r\n\r\n"
    );
    RequestHead::parse(text).expect("is a request")
}

fn decide(criterion: &mut Criterion, name: &str, routes: &[RouteOptions], head: &RequestHead) {
    let table = RouteTable::new(routes);
    let flow = FlowKey { client_port: 40_000, service_port: 8080, ..FlowKey::default() };
    let dice = Dice::new(SampleBy::Request, 1 << 31, 7, 0x1234_5678);
    criterion.bench_function(name, |bencher| bencher.iter(|| table.decide(black_box(head), &flow, dice)));
}

fn by_number(criterion: &mut Criterion) {
    for (kind, by_host) in [("exact hosts", true), ("path prefixes", false)] {
        for count in [1, 10, 100, 1000] {
            let routes: Vec<_> = (0..count).map(|number| numbered(number, by_host)).collect();
            decide(criterion, &format!("{kind}/{count}"), &routes, &request(count - 1));
        }
    }
}

fn by_key(criterion: &mut Criterion) {
    let header = SampleKey::Header("x-user".parse().expect("is a name"));
    let cookie = SampleKey::Cookie("session".to_owned());
    let keys = [
        ("request", SampleKey::Request),
        ("connection", SampleKey::Connection),
        ("client-ip", SampleKey::ClientIp),
        ("header", header),
        ("cookie", cookie),
    ];
    for (name, key) in keys {
        let routes = [route("all".to_owned(), Vec::new(), key)];
        decide(criterion, &format!("sampled by/{name}"), &routes, &request(0));
    }
}

criterion_group!(benches, by_number, by_key);
criterion_main!(benches);
