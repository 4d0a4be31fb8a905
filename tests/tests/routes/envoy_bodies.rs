//! Envoy's shadow policy integration tests, by their names, as far as they are about bodies that take their time. The
//! two about back-pressure are inverted: here nothing that v2 does may hold a user up.

use std::{path::Path, time::Duration, time::Instant};

use crate::{
    common::{COPIES_LIMIT, SHADOW_LAB, scene},
    stage::{Stage, as_client, block_on, dropped, post, request, stop, until, write},
};
use shadow_tests::{
    agent::{Agent, Options},
    child::Child,
    fault::server::{self, Behaviour},
    lab::Family,
    load::Connection,
    scene::{Kind, Scene, serve},
};
use tokio::time::sleep;

const ALL: &str =
    "upstreams:\n  v2: { url: $V2, stream_above: 64KiB }\nroutes: [{ shadow: { upstream: v2 } }]\n";
const MIB: usize = 1 << 20;

/// How a user leaves amid his request.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Reset,
    End,
}

/// A user sends half of a request, and leaves when v2 is in the middle of its copy.
fn leave_amid_a_request(leave: Leave) {
    let Some(stage) = Stage::new(ALL) else { return };
    let body = "x".repeat(MIB);
    let wire = post("/half", &[], &body);
    let half = &wire[..wire.len() / 2];
    let begun = || stage.agent.ctl_json(&["status"]).unwrap()["upstreams"][0]["in_flight"] == 1;
    as_client(&stage.scene, || {
        block_on(async {
            let mut client = Connection::open(stage.scene.v1_address(Family::V4)).await?;
            client.send(half).await?;
            until("the copy to be on its way", begun);
            match leave {
                Leave::Reset => client.reset(),
                Leave::End => Ok(()),
            }
        })
    })
    .unwrap();
    until("v2 to see the end", || !stage.scene.v2.incomplete().is_empty());
    let incomplete = stage.scene.v2.incomplete();
    let (_, summary) = stage.finish(0);
    assert_eq!(incomplete.len(), 1, "{incomplete:?}");
    assert_eq!(dropped(&summary, "incomplete"), 1, "{leave:?}: {summary:?}");
}

#[test]
fn request_mirror_policy_with_downstream_reset() {
    leave_amid_a_request(Leave::Reset);
}

#[test]
fn request_mirror_policy_with_early_downstream_timeout() {
    leave_amid_a_request(Leave::End);
}

/// Another v1, on a port of its own.
const OTHER_V1: &str = "10.77.0.2:8081";

fn with_other_v1(scene: &Scene) -> Agent {
    let mut options = Options::file(write(scene, ALL));
    options.port = 8081;
    Agent::start(&scene.lab.gateway, &options).unwrap()
}

/// v1 resets amid the request: it isn't whole, so neither is the copy.
#[test]
fn request_mirror_policy_with_main_upstream_reset() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = OTHER_V1.parse().unwrap();
    let _v1 = v1_that_resets(&scene);
    let agent = with_other_v1(&scene);
    as_client(&scene, || {
        block_on(async {
            let mut client = Connection::open(address).await?;
            let wire = post("/reset", &[], &"x".repeat(MIB));
            // The rest is never sent: the reset may come before or after this part is written.
            let _ = client.send(&wire[..MIB / 2]).await;
            let _ = client.answer().await;
            Ok(())
        })
    })
    .unwrap();
    let summary = stop(agent);
    assert_eq!(scene.v2.received().unwrap(), Vec::new());
    assert_eq!((summary.requests.sampled, summary.requests.mirrored), (1, 0), "{summary:?}");
}

fn v1_that_resets(scene: &Scene) -> Child {
    let mut command = scene.lab.gateway.command(SHADOW_LAB);
    command.args(["fault", "--listen", OTHER_V1, "--behaviour", "reset-in-mid-response"]);
    let v1 = Child::spawn("v1 that resets", &mut command).unwrap();
    scene.lab.wait_for_listener(&scene.lab.gateway, OTHER_V1.parse().unwrap()).unwrap();
    v1
}

/// The user gives up waiting for v1 after his whole request; its copy goes on.
#[test]
fn request_mirror_policy_with_late_downstream_timeout_and_shadow_complete() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = OTHER_V1.parse().unwrap();
    let slow = ["--delay-ms", "5000"];
    let _v1 = serve(&scene.lab, &scene.lab.gateway, Path::new(SHADOW_LAB), &[address], &slow).unwrap();
    let agent = with_other_v1(&scene);
    as_client(&scene, || {
        block_on(async {
            let mut client = Connection::open(address).await?;
            client.send(&post("/late", &[], "a body")).await?;
            sleep(Duration::from_millis(100)).await;
            client.reset()
        })
    })
    .unwrap();
    assert_eq!(scene.v2.wait_for(1, COPIES_LIMIT).unwrap().len(), 1);
    let summary = stop(agent);
    assert_eq!(summary.requests.mirrored, 1, "{summary:?}");
}

/// A request larger than what any buffer of the copy holds is no trouble for v1, nor for v2.
#[test]
fn main_request_over_buffer_limit() {
    let config = "upstreams:\n  v2: { url: $V2, stream_above: 1KiB, stream_buffer: 1MiB }\n\
                  routes: [{ shadow: { upstream: v2 } }]\n";
    let Some(stage) = Stage::new(config) else { return };
    let body = "x".repeat(65 << 10);
    stage.talk(&[post("/dynamo/url", &[], &body)]);
    let (copies, summary) = stage.finish(1);
    assert_eq!(copies[0].body_bytes, body.len() as u64);
    assert_eq!(summary.requests.mirrored, 1, "{summary:?}");
}

/// Beyond the limit of the copy, or of all copies of the route, there is none; the user has his answer.
fn over_the_limit_of_the_copy(config: &str) {
    let Some(stage) = Stage::new(config) else { return };
    let body = "x".repeat(65 << 10);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    stage.talk(&[
        post("/dynamo/url", &[], &body),
        request("POST", "/dynamo/url", &["Transfer-Encoding: chunked"], &chunked),
    ]);
    let (_, summary) = stage.finish(0);
    assert_eq!(dropped(&summary, "body_too_large"), 2, "{summary:?}");
}

#[test]
fn shadow_request_over_buffer_limit() {
    over_the_limit_of_the_copy("routes: [{ shadow: { upstream: $V2, max_body: 1KiB } }]\n");
}

#[test]
fn shadow_request_over_route_buffer_limit() {
    over_the_limit_of_the_copy("defaults: { max_body: 1KiB }\nroutes: [{ shadow: { upstream: $V2 } }]\n");
}

/// v2 takes a connection and then nothing; how many large requests users get through meanwhile, and how.
fn beside_a_v2_that_reads_nothing(before: usize) {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8099".parse().unwrap();
    let _silent = server::start(&scene.lab, Path::new(SHADOW_LAB), address, Behaviour::Silent).unwrap();
    let config = "upstreams:\n  v2:\n    url: http://10.78.0.2:8099\n    timeout: 60s\n    max_in_flight: 1\n    \
                  stream_above: 64KiB\n    stream_buffer: 1MiB\nroutes: [{ shadow: { upstream: v2 } }]\ngrace: 1s\n";
    let stage = Stage::on(scene, config);
    let small = post("/small", &[], "x");
    // What goes to v2 first takes the only place; without it the large one does.
    stage.talk(&vec![small; before]);
    let large = post("/large", &[], &"x".repeat(16 * MIB));
    let start = Instant::now();
    stage.talk(&[large]);
    let took = start.elapsed();
    let summary = stop(stage.agent);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let ledger = &summary.requests;
    assert_eq!((ledger.sampled, ledger.mirrored), (1 + before as u64, 0), "{summary:?}");
    if before == 0 {
        assert_eq!(dropped(&summary, "backlog"), 1, "{summary:?}");
    }
}

/// Inverted: the user doesn't wait for the shadow's connection.
#[test]
fn backed_up_connection_before_shadow_begins() {
    beside_a_v2_that_reads_nothing(1);
}

/// Inverted: the user doesn't wait for the shadow's buffer.
#[test]
fn backed_up_connection_after_shadow_begins() {
    beside_a_v2_that_reads_nothing(0);
}

/// v2 answers and closes before it has read the body; what it said counts, and the user has his own answer.
#[test]
fn shadow_answers_before_the_body() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8099".parse().unwrap();
    let _early = server::start(&scene.lab, Path::new(SHADOW_LAB), address, Behaviour::Early).unwrap();
    let stage = Stage::on(scene, "routes: [{ shadow: { upstream: 'http://10.78.0.2:8099' } }]\n");
    stage.talk(&[post("/early", &[], "a body")]);
    let summary = stop(stage.agent);
    let ledger = &summary.requests;
    assert_eq!(ledger.mirrored_by_status["4xx"] + summary.failed(), 1, "{summary:?}");
}
