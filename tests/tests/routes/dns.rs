//! v2 by its name: several addresses are used alike, and changes are followed.

use std::{net::IpAddr, path::Path};

use crate::{
    common::{SHADOW_LAB, scene},
    stage::{Stage, get, service, stop, until},
};
use shadow_tests::{
    dns::{Answers, NameServer},
    scene::{Kind, Service},
};

const CONFIG: &str = "upstreams:\n  v2: { url: 'http://v2.test:8100', dns_refresh: 1s }\n\
                      routes: [{ shadow: { upstream: v2 } }]\n";

fn addresses() -> [IpAddr; 2] {
    ["10.78.0.3", "10.78.0.4"].map(|address| address.parse().unwrap())
}

#[test]
fn two_addresses_are_balanced_and_one_that_is_gone_gets_no_more() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let [one, two] = addresses();
    scene.lab.v2.ip(&["address add 10.78.0.3/24 dev eth0", "address add 10.78.0.4/24 dev eth0"]).unwrap();
    let services =
        [one, two].map(|address| service(&scene, &address.to_string(), &format!("{address}:8100"), &[]));
    let received = |service: &Service| service.received().unwrap().len();
    let names = [("v2.test", one), ("v2.test", two)];
    let server = NameServer::start(&scene.lab, Path::new(SHADOW_LAB), Answers::Right, &names).unwrap();
    let stage = Stage::on(scene, CONFIG);
    let some = vec![get("/", &[]); 100];
    stage.talk(&some);
    until("100 copies", || services.iter().map(received).sum::<usize>() == 100);
    let [first, second] = services.each_ref().map(received);
    assert!(first.abs_diff(second) <= 20, "{first} and {second}");
    server.set(&names[1..]).unwrap();
    // Within a second or so of use the name is resolved again.
    until("the first address to get no more", || {
        let before = received(&services[0]);
        stage.talk(&some[..10]);
        let all = || services.iter().map(received).sum::<usize>();
        let status = || stage.agent.ctl_json(&["status"]).unwrap();
        until("copies to arrive", || status()["requests"]["in_flight"] == 0 && all().is_multiple_of(10));
        received(&services[0]) == before
    });
    let summary = stop(stage.agent);
    assert_eq!(summary.failed() + summary.dropped(), 0, "{summary:?}");
}
