//! Gateway API's conformance tests of mirroring, by their names: an HTTPRoute given to the agent as it is, with
//! services that the name server knows. The percentages: 500 requests, ten at a time, within ±3·sqrt(n·p·(1−p)).

use std::{net::IpAddr, path::Path};

use crate::{
    common::{COPIES_LIMIT, SHADOW_LAB, scene},
    stage::{Stage, get, sorted, stop, v3, write},
};
use shadow_tests::{
    agent::{Agent, Options},
    dns::{Answers, NameServer},
    lab::Family,
    load::Load,
    plan::{Bodies, Plan},
    scene::{Kind, Scene},
};

fn route(rules: &str) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: request-mirror
  namespace: infra
spec:
  parentRefs:
    - name: same-namespace
  rules:
{rules}"
    )
}

fn rule(path: &str, mirrors: &[(&str, u16, &str)]) -> String {
    let filters: String = mirrors
        .iter()
        .map(|(name, port, share)| {
            format!(
                "        - type: RequestMirror\n          requestMirror:\n            \
                 backendRef: {{ name: {name}, namespace: infra, port: {port} }}\n{share}"
            )
        })
        .collect();
    format!(
        "    - matches:\n        - path: {{ type: PathPrefix, value: {path} }}\n      filters:\n{filters}      \
         backendRefs:\n        - {{ name: infra-backend-v1, port: 8080 }}\n"
    )
}

const PERCENT_20: &str = "            percent: 20\n";
const FRACTION_50: &str = "            fraction: { numerator: 50, denominator: 100 }\n";

/// The services have addresses; v3 is v2's neighbour by its port.
fn names(scene: &Scene) -> NameServer {
    let address: IpAddr = scene.v2_address(Family::V4).ip();
    let names = [("infra-backend-v2.infra.svc", address), ("infra-backend-v3.infra.svc", address)];
    NameServer::start(&scene.lab, Path::new(SHADOW_LAB), Answers::Right, &names).unwrap()
}

#[test]
fn http_route_request_mirror() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let _names = names(&scene);
    let file = route(&rule("/mirror", &[("infra-backend-v2", 8080, "")]));
    let stage = Stage::on(scene, &file);
    // A prefix is one of whole segments.
    stage.talk(&["/mirror", "/mirror/below", "/mirrored", "/"].map(|target| get(target, &[])));
    let (copies, summary) = stage.finish(2);
    assert_eq!(sorted(&copies), ["/mirror", "/mirror/below"]);
    assert!(copies.iter().all(|copy| copy.header("host") == Some("shop.example-shadow")), "{copies:?}");
    assert_eq!(summary.requests.mirrored, 2, "{summary:?}");
}

#[test]
fn http_route_request_multiple_mirrors() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let _names = names(&scene);
    let v3 = v3(&scene);
    let mirrors = [("infra-backend-v2", 8080, ""), ("infra-backend-v3", 8090, "")];
    let stage = Stage::on(scene, &route(&rule("/multi-mirror", &mirrors)));
    stage.talk(&[get("/multi-mirror", &[]), get("/other", &[])]);
    for service in [&stage.scene.v2, &v3] {
        service.wait_for(1, COPIES_LIMIT).unwrap();
    }
    let summary = stop(stage.agent);
    for service in [&stage.scene.v2, &v3] {
        assert_eq!(sorted(&service.received().unwrap()), ["/multi-mirror"], "{summary:?}");
    }
    assert_eq!(summary.requests.mirrored, 2, "{summary:?}");
}

/// 500 requests below a path, and how many of them v2 got.
fn mirrored_of_500(share: &str) -> Option<usize> {
    let scene = scene(Kind::Plain)?;
    let _names = names(&scene);
    // The plan's requests are below /items.
    let file = route(&rule("/items", &[("infra-backend-v2", 8080, share)]));
    let agent = Agent::start(&scene.lab.gateway, &Options::file(write(&scene, &file))).unwrap();
    let plan = Plan { bodies: Bodies::None, ..Plan::light("percent", "shop") };
    let report = Load::new(scene.v1_address(Family::V4), plan, 500, 10).run(&scene.lab.client).unwrap();
    assert_eq!((report.correct, report.errors), (500, Vec::new()));
    let summary = stop(agent);
    let copies = scene.v2.received().unwrap().len();
    assert_eq!(summary.requests.mirrored, copies as u64, "{summary:?}");
    Some(copies)
}

/// A right agent misses once in 370 draws, so a miss is drawn again.
#[test]
fn http_route_request_percentage_mirror() {
    for (share, p) in [(PERCENT_20, 0.2), (FRACTION_50, 0.5)] {
        let tolerance = 3.0 * (500.0_f64 * p * (1.0 - p)).sqrt();
        let is_near =
            |copies: usize| (f64::from(u32::try_from(copies).unwrap()) - 500.0 * p).abs() <= tolerance;
        let Some(first) = mirrored_of_500(share) else { return };
        if !is_near(first) {
            let second = mirrored_of_500(share).unwrap();
            assert!(is_near(second), "{first} and {second} of 500 at {p}");
        }
    }
}
