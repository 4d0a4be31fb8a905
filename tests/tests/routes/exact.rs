//! Ten thousand requests at 100 % over real nginx as v1 and v2: their access logs say the same, each request once.

use std::collections::BTreeMap;

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{stop, write},
};
use shadow_tests::{
    agent::{Agent, Options},
    lab::Family,
    load::Load,
    nginx::Access,
    plan::{Bodies, Plan},
    scene::{Kind, Service},
};

const REQUESTS: u32 = 10_000;

/// Method, target, body length and status by the request's name; and that no name comes twice.
fn accesses(service: &Service) -> BTreeMap<String, (String, String, String, u16)> {
    let log = service.nginx.as_ref().unwrap().accesses(REQUESTS as usize).unwrap();
    let lines = log.len();
    let what = |access: Access| (access.id, (access.method, access.target, access.length, access.status));
    let by_id: BTreeMap<_, _> = log.into_iter().map(what).collect();
    assert_eq!(by_id.len(), lines, "a request is there twice");
    by_id
}

#[test]
fn ten_thousand_requests_are_in_both_access_logs_once() {
    let Some(scene) = scene(Kind::Nginx) else { return };
    let config = write(&scene, "routes: [{ shadow: { upstream: $V2 } }]\n");
    let agent = Agent::start(&scene.lab.gateway, &Options::file(config)).unwrap();
    let plan = Plan { bodies: Bodies::Even(1000), ..Plan::even("exact", "shop.example:8080") };
    let load = Load::new(scene.v1_address(Family::V4), plan, REQUESTS, 32);
    let report = load.run(&scene.lab.client).unwrap();
    assert_eq!((report.correct, &report.errors), (REQUESTS, &Vec::new()));
    scene.v2.wait_for(REQUESTS as usize, COPIES_LIMIT).unwrap();
    let summary = stop(agent);
    let ledger = &summary.requests;
    assert_eq!((ledger.sampled, ledger.mirrored), (REQUESTS.into(), REQUESTS.into()), "{summary:?}");
    let [v1, v2] = [&scene.v1, &scene.v2].map(accesses);
    assert_eq!((v1.len(), v2.len()), (REQUESTS as usize, REQUESTS as usize));
    assert!(v1 == v2, "{:?}", v1.iter().find(|(id, access)| v2.get(*id) != Some(access)));
}
