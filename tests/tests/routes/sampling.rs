//! Several upstreams of a route, and several routes: samples nest, the first match counts, each route has its share.

use std::collections::BTreeSet;

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, block_on, get, stop, targets, v3},
};
use shadow_tests::{lab::Family, load::Connection, scene::Kind, service::Received};

const REQUESTS: usize = 2_000;

/// Sends requests for these paths in turn, each with a number, over one connection.
fn ask_in_turn(stage: &Stage, paths: &[&str]) {
    let to = stage.scene.v1_address(Family::V4);
    let users = || {
        block_on(async {
            let mut client = Connection::open(to).await?;
            for number in 0..REQUESTS {
                for path in paths {
                    client.ask(&get(&format!("{path}/{number}"), &[])).await?;
                }
            }
            Ok(())
        })
    };
    stage.scene.lab.client.run(users).unwrap();
}

fn is_near(found: usize, n: usize, p: f64) -> bool {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap());
    (float(found) - float(n) * p).abs() <= 3.0 * (float(n) * p * (1.0 - p)).sqrt()
}

/// v2 at 40 %, v3 at 10 %: what each received.
fn two_upstreams() -> Option<[Vec<Received>; 2]> {
    let config = "routes:\n  - shadow:\n      - { upstream: $V2, percentage: 40 }\n      \
                  - { upstream: $V3, percentage: { numerator: 1000, denominator: 10000 } }\n";
    let scene = scene(Kind::Plain)?;
    let v3 = v3(&scene);
    let stage = Stage::on(scene, config);
    ask_in_turn(&stage, &["/x"]);
    let summary = stop(stage.agent);
    let both = [stage.scene.v2.received().unwrap(), v3.received().unwrap()];
    let copies = both.iter().map(|copies| copies.len() as u64).sum::<u64>();
    assert_eq!(summary.requests.mirrored, copies, "{summary:?}");
    Some(both)
}

/// One number for each request, so v3's requests are among v2's. A miss of 3σ is drawn again.
#[test]
fn samples_of_two_upstreams_nest() {
    for last in [false, true] {
        let Some([v2, v3]) = two_upstreams() else { return };
        let set = |copies| targets(copies).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert!(set(&v3).is_subset(&set(&v2)), "{} and {}", v2.len(), v3.len());
        let near = is_near(v2.len(), REQUESTS, 0.4) && is_near(v3.len(), REQUESTS, 0.1);
        assert!(near || !last, "{} and {} of {REQUESTS}", v2.len(), v3.len());
        if near {
            return;
        }
    }
}

/// The kernel samples at the highest rate; each route has its own share all the same, and the first match counts.
#[test]
fn each_route_has_its_percentage() {
    let config = "routes:\n  \
                  - { name: few, match: { path: { prefix: /few } }, shadow: { upstream: $V2, percentage: 5 } }\n  \
                  - { name: many, match: { path: { prefix: /many } }, shadow: { upstream: $V2, percentage: 60% } }\n  \
                  - { name: none, match: { path: { prefix: /none } }, shadow: [] }\n  \
                  - { name: some, shadow: { upstream: $V2, percentage: 12.5 } }\n";
    for last in [false, true] {
        let Some(stage) = Stage::new(config) else { return };
        ask_in_turn(&stage, &["/few", "/many", "/none", "/rest"]);
        let summary = stop(stage.agent);
        let mirrored = usize::try_from(summary.requests.mirrored).unwrap();
        let copies = stage.scene.v2.wait_for(mirrored, COPIES_LIMIT).unwrap();
        assert_eq!(copies.len(), mirrored, "{summary:?}");
        let count = |path: &str| targets(&copies).iter().filter(|target| target.starts_with(path)).count();
        let found = ["/few", "/many", "/none", "/rest"].map(count);
        assert_eq!(found[2], 0);
        // Each route has its account, and each request that got no copy its reason.
        let v2 = format!("http://{}", stage.scene.v2_address(Family::V4));
        for (route, copies) in [("few", found[0]), ("many", found[1]), ("some", found[3])] {
            assert_eq!(summary.account(route, &v2).unwrap().mirrored, copies as u64, "{route}: {summary:?}");
        }
        let near = [(0, 0.05), (1, 0.6), (3, 0.125)].iter().all(|&(at, p)| is_near(found[at], REQUESTS, p));
        assert!(near || !last, "{found:?} of {REQUESTS} each");
        if near {
            return;
        }
    }
}
