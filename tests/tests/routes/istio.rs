//! Istio's mirroring tests: a VirtualService given to the agent as it is, at 100±0, 50±10, 10±5 and 0±0 percent.

use std::{net::IpAddr, path::Path};

use crate::{
    common::{COPIES_LIMIT, SHADOW_LAB, scene},
    stage::{Stage, block_on, get, stop, targets},
};
use shadow_tests::{
    dns::{Answers, NameServer},
    lab::Family,
    load::Connection,
    scene::Kind,
};

/// The path, its `mirrorPercentage`, and between how many of 100 requests v2 gets: too far from it once in millions.
const ROUTES: [(&str, &str, usize, usize); 4] = [
    ("/all", "", 100, 100),
    ("/half", "      mirrorPercentage: { value: 50.0 }\n", 40, 60),
    ("/tenth", "      mirrorPercentage: { value: 10 }\n", 5, 15),
    ("/none", "      mirrorPercentage: { value: 0.0 }\n", 0, 0),
];

/// So many requests for every percent.
const EACH: usize = 10;

fn virtual_service() -> String {
    let routes: String = ROUTES
        .iter()
        .map(|(path, percentage, ..)| {
            format!(
                "    - match: [{{ uri: {{ prefix: {path} }} }}]\n      \
                 route: [{{ destination: {{ host: b }} }}]\n      \
                 mirror: {{ host: c, port: {{ number: 8080 }} }}\n{percentage}"
            )
        })
        .collect();
    format!(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: mirror, namespace: apps }}
spec:
  hosts: [b]
  http:
{routes}"
    )
}

#[test]
fn mirroring_at_every_percentage() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address: IpAddr = scene.v2_address(Family::V4).ip();
    let names = [("c.apps.svc.cluster.local", address)];
    let _names = NameServer::start(&scene.lab, Path::new(SHADOW_LAB), Answers::Right, &names).unwrap();
    let stage = Stage::on(scene, &virtual_service());
    let to = stage.scene.v1_address(Family::V4);
    let users = || {
        block_on(async {
            let mut client = Connection::open(to).await?;
            for number in 0..100 * EACH {
                for (path, ..) in ROUTES {
                    client.ask(&get(&format!("{path}/{number}"), &["Host: b"])).await?;
                }
            }
            Ok(())
        })
    };
    stage.scene.lab.client.run(users).unwrap();
    let summary = stop(stage.agent);
    let all = usize::try_from(summary.requests.mirrored).unwrap();
    let copies = stage.scene.v2.wait_for(all, COPIES_LIMIT).unwrap();
    assert_eq!(copies.len(), all, "{summary:?}");
    for (path, _, least, most) in ROUTES {
        let copied = targets(&copies).iter().filter(|target| target.starts_with(path)).count();
        eprintln!("{path}: {copied} of {}", 100 * EACH);
        assert!((least * EACH..=most * EACH).contains(&copied), "{path}: {copied}");
    }
    assert!(copies.iter().all(|copy| copy.header("host") == Some("b-shadow")));
}
