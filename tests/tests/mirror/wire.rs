//! Requests as they may look on the wire: Hosts of every form, pipelining, slow writers, and what is not mirrored.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::common::{COPIES_LIMIT, scene};
use shadow_tests::{
    agent::{Agent, Options, Summary},
    lab::Family,
    scene::{Kind, Scene},
    service::Received,
};

/// A raw client: sends parts as they are, each in a segment of its own, and reads until the server closes.
fn talk(scene: &Scene, family: Family, parts: &[&str]) -> String {
    let address = scene.v1_address(family);
    let talk = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        for part in parts {
            stream.write_all(part.as_bytes())?;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    scene.lab.client.run(talk).unwrap()
}

fn start(scene: &Scene) -> Agent {
    Agent::start(&scene.lab.gateway, &Options::to(scene.v2_address(Family::V4))).unwrap()
}

/// The copies, once there are `count`, and the ledger.
fn finish(scene: &Scene, agent: Agent, count: usize) -> (Vec<Received>, Summary) {
    scene.v2.wait_for(count, COPIES_LIMIT).unwrap();
    let summary = agent.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    let copies = scene.v2.received().unwrap();
    assert_eq!(copies.len(), count, "{copies:?} {summary:?}");
    (copies, summary)
}

#[test]
fn hosts_are_suffixed_before_the_port() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = start(&scene);
    let cases = [
        ("a", "a-shadow"),
        ("a:8080", "a-shadow:8080"),
        ("[::1]:8080", "[::1]-shadow:8080"),
        ("[::1]", "[::1]-shadow"),
        ("shop.example", "shop.example-shadow"),
    ];
    for (index, (host, _)) in cases.iter().enumerate() {
        let request = format!("GET /host/{index} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let family = if index % 2 == 0 { Family::V4 } else { Family::V6 };
        assert!(talk(&scene, family, &[&request]).starts_with("HTTP/1.1 200"));
    }
    let (copies, _) = finish(&scene, agent, cases.len());
    for (index, (host, expected)) in cases.iter().enumerate() {
        let copy = copies.iter().find(|copy| copy.target == format!("/host/{index}")).unwrap();
        assert_eq!(copy.header("host"), Some(*expected), "the Host of a request for {host}");
    }
}

#[test]
fn a_request_without_host_is_copied_without_inventing_one() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = start(&scene);
    let answer = talk(&scene, Family::V4, &["GET /old HTTP/1.0\r\nX-Old: yes\r\n\r\n"]);
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (copies, _) = finish(&scene, agent, 1);
    assert_eq!((copies[0].target.as_str(), copies[0].header("x-old")), ("/old", Some("yes")));
    assert!(copies[0].header("host").is_none_or(str::is_empty), "{copies:?}");
}

#[test]
fn pipelined_requests_are_copied_one_by_one() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = start(&scene);
    let one_segment = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /3 \
                       HTTP/1.1\r\nHost: a\r\n\r\n";
    let parts = [one_segment, "GET /4 HTTP/1.1\r\nHo", "st: a\r\nConnection: close\r", "\n\r\n"];
    let answer = talk(&scene, Family::V4, &parts);
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 4, "{answer}");
    let (copies, _) = finish(&scene, agent, 4);
    let mut targets: Vec<_> = copies.iter().map(|copy| (copy.target.as_str(), copy.body_bytes)).collect();
    targets.sort_unstable();
    assert_eq!(targets, [("/1", 0), ("/2", 5), ("/3", 0), ("/4", 0)]);
}

#[test]
fn a_request_in_a_body_is_no_request() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = start(&scene);
    let inner = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = format!("POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", inner.len());
    let get = format!("GET /get HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", inner.len());
    let last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = talk(&scene, Family::V4, &[&head, inner, &get, inner, last]);
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    let (copies, _) = finish(&scene, agent, 3);
    assert!(copies.iter().all(|copy| copy.target != "/admin"), "{copies:?}");
}

#[test]
fn doubtful_framing_and_copies_of_copies_are_dropped_and_counted() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = start(&scene);
    let both = "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: \
                close\r\n\r\n0\r\n\r\n";
    talk(&scene, Family::V4, &[both]);
    talk(&scene, Family::V4, &["GET /loop HTTP/1.1\r\nHost: a-shadow\r\nConnection: close\r\n\r\n"]);
    talk(&scene, Family::V4, &["GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]);
    let (copies, summary) = finish(&scene, agent, 1);
    assert_eq!(copies[0].target, "/after");
    let dropped = |reason: &str| summary.requests.dropped.get(reason).copied().unwrap_or(0);
    assert_eq!((dropped("ambiguous"), dropped("loop")), (1, 1), "{summary:?}");
}

/// Invariant 5, on the noisiest level that can be asked for.
#[test]
fn no_log_has_a_body_or_a_header() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let noisy =
        Options::to(scene.v2_address(Family::V4)).with(&["--log", "trace,hyper=trace,hyper::proto=trace"]);
    let agent = Agent::start(&scene.lab.gateway, &noisy).unwrap();
    let sent = "POST /s3cret-target HTTP/1.1\r\nHost: a\r\nAuthorization: s3cret-token\r\nCookie: s3cret=1\r\nContent-Length: \
                11\r\n\r\ns3cret-bodyGET /s3cret HTTP/1.1\r\nHost : s3cret\r\n\r\n";
    talk(&scene, Family::V4, &[sent]);
    scene.v2.wait_for(1, COPIES_LIMIT).unwrap();
    let (log, summary) = agent.stop_with_log().unwrap();
    assert_eq!((summary.requests.mirrored, summary.dropped()), (1, 1), "{summary:?}");
    assert!(log.iter().any(|line| line.contains("attached")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("s3cret")), "{log:?}");
}
