//! curl as the user, nginx as v1 and v2: their access logs must tell the same.

use std::{collections::BTreeMap, fs};

use crate::common::{COPIES_LIMIT, scene};
use shadow_tests::{
    agent::{Agent, Options},
    lab::Family,
    nginx::Access,
    scene::{Kind, Scene},
    service::Received,
};

/// Runs curl in the client's namespace and returns the status that it reports for each request.
fn curl(scene: &Scene, arguments: &[&str]) -> String {
    let mut command = scene.lab.client.command("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--output", "/dev/null"]);
    command.args(["--write-out", "%{http_code} "]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn logs_and_bodies_of_both_upstreams_are_the_same() {
    let Some(scene) = scene(Kind::Nginx) else { return };
    let agent = Agent::start(&scene.lab.gateway, &Options::to(scene.v2_address(Family::V4))).unwrap();
    let file = scene.lab.directory().join("upload");
    fs::write(&file, vec![b'x'; 300_000]).unwrap();
    let upload = format!("@{}", file.display());
    let url = |path: &str| format!("http://{}/{path}", scene.v1_address(Family::V4));
    let six = |path: &str| format!("http://{}/{path}", scene.v1_address(Family::V6));
    let cases: &[&[&str]] = &[
        &[&url("get?x=1"), "-H", "X-Request-Id: get"],
        &[&six("six"), "-g", "-H", "X-Request-Id: six", "-H", "Host: shop.example"],
        &["-X", "DELETE", &url("item/7"), "-H", "X-Request-Id: delete"],
        &["--head", &url("head"), "-H", "X-Request-Id: head"],
        &["-d", "a=1&b=2", &url("form"), "-H", "X-Request-Id: form"],
        &["--http1.0", &url("old"), "-H", "X-Request-Id: old"],
        // curl waits for 100 Continue before a body of this size, if told to.
        &[
            "--data-binary",
            &upload,
            &url("expect"),
            "-H",
            "Expect: 100-continue",
            "-H",
            "X-Request-Id: expect",
        ],
        &[
            "--data-binary",
            &upload,
            &url("chunked"),
            "-H",
            "Transfer-Encoding: chunked",
            "-H",
            "X-Request-Id: chunked",
        ],
        &["-T", &file.display().to_string(), &url("put"), "-H", "X-Request-Id: put"],
    ];
    for case in cases {
        assert_eq!(curl(&scene, case), "200", "{case:?}");
    }
    let copies = scene.v2.wait_for(cases.len(), COPIES_LIMIT).unwrap();
    let summary = agent.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    assert_eq!(bodies(&copies), bodies(&scene.v1.received().unwrap()), "{summary:?}");

    let [v1, v2] =
        [&scene.v1, &scene.v2].map(|service| service.nginx.as_ref().unwrap().accesses(cases.len()).unwrap());
    let [v1, v2] = [by_id(&v1), by_id(&v2)];
    assert_eq!(v1.keys().collect::<Vec<_>>(), v2.keys().collect::<Vec<_>>());
    for (id, real) in &v1 {
        let copy = &v2[id];
        assert_eq!(
            (&real.method, &real.target, real.status),
            (&copy.method, &copy.target, copy.status),
            "{id}"
        );
        assert_eq!(copy.host, shadowed(&real.host), "{id}");
        if id != "chunked" {
            assert_eq!(real.length, copy.length, "{id}");
        }
    }
}

/// A Host and port, or IPv6 literal, as v2 should see it.
fn shadowed(host: &str) -> String {
    match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((name, port)) => format!("{name}-shadow:{port}"),
        None => format!("{host}-shadow"),
    }
}

fn bodies(received: &[Received]) -> BTreeMap<String, (u64, String)> {
    let id = |request: &Received| request.header("x-request-id").unwrap_or_default().to_owned();
    received.iter().map(|request| (id(request), (request.body_bytes, request.body_hash.clone()))).collect()
}

fn by_id(log: &[Access]) -> BTreeMap<String, Access> {
    log.iter().map(|access| (access.id.clone(), access.clone())).collect()
}
