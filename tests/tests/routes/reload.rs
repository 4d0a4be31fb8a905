//! The configuration changes under load: no request is lost, none comes twice, and what is wrong changes nothing.

use std::{fs, thread, time::Duration};

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, get, stop, v3, wait, write},
};
use nix::sys::signal::Signal;
use shadow_tests::{
    agent::{Agent, Options},
    compare::compare,
    lab::Family,
    load::Load,
    plan::Plan,
    scene::Kind,
};

const REQUESTS: u32 = 3_000;
const TO_V2: &str = "routes: [{ name: all, shadow: { upstream: $V2 } }]\n";
const TO_V3: &str = "routes: [{ name: all, shadow: { upstream: $V3 } }]\n";
const LIMIT: Duration = Duration::from_secs(10);

/// Every half second the other of two configurations, read again by a signal or by `ctl`.
#[test]
fn no_request_is_lost_when_the_upstream_changes_under_load() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let v3 = v3(&scene);
    let mut stage = Stage::on(scene, TO_V2);
    let mut load = Load::new(stage.scene.v1_address(Family::V4), Plan::even("reload", "shop"), REQUESTS, 16);
    load.rate = Some(500.0);
    let report = thread::scope(|scope| {
        let users = scope.spawn(|| load.run(&stage.scene.lab.client).unwrap());
        for change in 1..10 {
            let to_v3 = change % 2 == 1;
            write(&stage.scene, if to_v3 { TO_V3 } else { TO_V2 });
            if change % 3 == 0 {
                stage.agent.signal(Signal::SIGHUP).unwrap();
            } else {
                stage.agent.ctl(&["reload"]).unwrap();
            }
            thread::sleep(Duration::from_millis(500));
        }
        users.join().unwrap()
    });
    assert_eq!((report.correct, &report.errors), (REQUESTS, &Vec::new()));
    let v3_has = v3.received().unwrap().len();
    let v2_has = stage.scene.v2.wait_for(REQUESTS as usize - v3_has, COPIES_LIMIT).unwrap().len();
    let summary = stop(stage.agent);
    assert!(v2_has > 300 && v3_has > 300, "{v2_has} and {v3_has}");
    let copies = [stage.scene.v2.received().unwrap(), v3.received().unwrap()].concat();
    let verdict = compare(&load.plan, REQUESTS, &copies);
    let found = (verdict.exact, &verdict.wrong, &verdict.missing);
    assert_eq!(found, (REQUESTS as usize, &Vec::new(), &Vec::new()), "{summary:?}");
    let ledger = &summary.requests;
    assert_eq!((ledger.sampled, ledger.mirrored), (REQUESTS.into(), REQUESTS.into()), "{summary:?}");
}

#[test]
fn an_invalid_file_is_refused_and_the_old_one_stays() {
    let Some(mut stage) = Stage::new(TO_V2) else { return };
    let path = stage.scene.lab.directory().join("shadow.yaml");
    let wrong: [(&str, &[&str]); 3] = [
        (
            "routes:\n  - shadow: { upstream: $V2, percentage: 150 }\n",
            &["shadow.yaml:2:", "percentage", "150"],
        ),
        ("routes:\n  - shadow: { upstream: $V2, percentag: 15 }\n", &["shadow.yaml:2:", "percentage"]),
        ("routes: [\n", &["shadow.yaml"]),
    ];
    for (number, (text, words)) in wrong.into_iter().enumerate() {
        write(&stage.scene, text);
        let refused = stage.agent.ctl(&["reload"]).unwrap_err().to_string();
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
        stage.talk(&[get(&format!("/{number}"), &[])]);
        wait(&stage.scene, number + 1);
    }
    fs::remove_file(&path).unwrap();
    stage.agent.signal(Signal::SIGHUP).unwrap();
    stage.agent.wait_for_log("shadow.yaml", LIMIT).unwrap();
    stage.talk(&[get("/gone", &[])]);
    let (_, summary) = stage.finish(4);
    assert_eq!(summary.requests.mirrored, 4, "{summary:?}");
}

/// What needs to attach anew is refused as a whole; the old configuration stays.
#[test]
fn another_interface_needs_a_restart() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let file = |interface: &str, route: &str| {
        format!("capture: {{ interfaces: [{interface}], ports: [8080], attach: tc }}\n{route}")
    };
    let v3 = v3(&scene);
    let mut options = Options::file(write(&scene, &file("nic0", TO_V2)));
    options.capture_by_file = true;
    let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
    let stage = Stage { agent, scene };
    write(&stage.scene, &file("lo", TO_V3));
    let refused = stage.agent.ctl(&["reload"]).unwrap_err().to_string();
    assert!(refused.contains("restart") && refused.contains("lo"), "{refused}");
    stage.talk(&[get("/", &[])]);
    wait(&stage.scene, 1);
    stop(stage.agent);
    assert_eq!((stage.scene.v2.received().unwrap().len(), v3.received().unwrap().len()), (1, 0));
}
