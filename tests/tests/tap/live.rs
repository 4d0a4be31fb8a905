//! `tap` on an interface: what the load sends is what it lists, with the answers.

use std::{collections::BTreeMap, time::Duration};

use nix::sys::signal::Signal;
use shadow_tests::{
    agent::binary,
    child::{Child, poll},
    lab::{Family, NIC, PORT},
    load::Load,
    plan::{Plan, Sent},
    scene::{Kind, Scene},
    service::{ANSWER_BYTES, Answer},
    tap::{Listed, parse},
};

use crate::{common::scene, script::of_body};

const REQUESTS: u32 = 200;
const LIMIT: Duration = Duration::from_secs(20);

/// `tap` on the gateway's NIC, attached.
fn start(scene: &Scene) -> Child {
    let mut command = scene.lab.gateway.command(binary().unwrap());
    command.args(["tap", "--interface", NIC, "--port", &PORT.to_string(), "--format", "json"]);
    let tap = Child::spawn("shadow-agent tap", command.arg("--show-secrets")).unwrap();
    tap.stderr().wait_for("attached", LIMIT).unwrap();
    tap
}

/// Ends it once it has listed so many, or after the limit, and reads what it listed.
fn finish(mut tap: Child, count: usize) -> Vec<Listed> {
    // What is missing shows in what is listed.
    let _ = poll(LIMIT, "exchanges", || Ok((tap.stdout().all().len() >= count).then_some(())));
    tap.signal(Signal::SIGINT).unwrap();
    let status = tap.wait(LIMIT).unwrap();
    assert!(status.success(), "{status}: {}", tap.stderr().all().join("\n"));
    parse(tap.stdout().all().join("\n").as_bytes()).unwrap()
}

/// What the lab's service answers to a request.
fn answer(request: &Sent) -> Vec<u8> {
    let mut body = serde_json::to_vec(&Answer {
        method: request.method.clone(),
        target: request.target.clone(),
        body_bytes: request.body.len() as u64,
        body_hash: request.body_hash(),
    })
    .unwrap();
    let wanted = request.header(ANSWER_BYTES).map_or(0, |value| value.parse().unwrap());
    body.resize(body.len().max(wanted), b' ');
    body
}

#[test]
fn what_is_sent_is_listed_with_its_answers() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let tap = start(&scene);
    let plan = Plan::mixed("tap", "shop.example");
    let report =
        Load::new(scene.v1_address(Family::V4), plan.clone(), REQUESTS, 8).run(&scene.lab.client).unwrap();
    assert_eq!((report.correct, report.errors), (REQUESTS, Vec::new()));
    let url = format!("http://{}/curl", scene.v1_address(Family::V6));
    let mut curl = scene.lab.client.command("curl");
    let curl =
        curl.args(["--silent", "--globoff", "--data", "a=1", "--max-time", "20", &url]).output().unwrap();
    assert!(curl.status.success());

    let listed = finish(tap, REQUESTS as usize + 1);
    let mut by_target: BTreeMap<&str, &Listed> = listed.iter().map(|one| (one.target(), one)).collect();
    assert_eq!((listed.len(), by_target.len()), (REQUESTS as usize + 1, REQUESTS as usize + 1));
    let of_curl = by_target.remove("/curl").unwrap();
    let answered = of_curl.response.as_ref().map(|response| (response.status, response.body_sha256.clone()));
    assert_eq!((of_curl.body_bytes, answered), (3, Some((200, of_body(&curl.stdout).1))));
    for number in 0..REQUESTS {
        let request = plan.request(number);
        let found = by_target[request.target.as_str()];
        assert!(found.is_complete(), "{found:?}");
        assert_eq!(found.method.as_deref(), Some(request.method.as_str()));
        let sent: Vec<_> = found.headers.iter().flatten().take(request.headers.len()).cloned().collect();
        assert_eq!(sent, request.headers, "{}", request.target);
        assert_eq!(
            (found.body_bytes, found.body_sha256.clone()),
            of_body(&request.body),
            "{}",
            request.target
        );
        let response = found.response.as_ref().unwrap();
        let expected = of_body(&answer(&request));
        assert_eq!((response.body_bytes, response.body_sha256.clone()), expected, "{}", request.target);
    }
}
