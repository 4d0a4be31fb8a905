//! An agent that comes later: connections that are open already are picked up at their next request.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::common::{COPIES_LIMIT, in_the_middle, keep_asking, scene};
use shadow_tests::{
    agent::{Agent, Options},
    lab::Family,
    scene::{Kind, Scene},
};

fn start(scene: &Scene, attach: &str) -> Agent {
    Agent::start(&scene.lab.gateway, &Options::to(scene.v2_address(Family::V4)).attach(attach)).unwrap()
}

/// Of requests 0 to 5 the first is sent before the agent comes. The next tells where the one after it begins.
#[test]
fn open_connections_are_picked_up() {
    const CONNECTIONS: usize = 20;
    for (family, attach) in [(Family::V4, "tc"), (Family::V6, "xdp-native"), (Family::V4, "xdp-generic")] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let agent = keep_asking(&scene, family, CONNECTIONS, 6, || start(&scene, attach));
        let expected: BTreeSet<_> = (0..CONNECTIONS)
            .flat_map(|number| (2..6).map(move |request| format!("/{number}/{request}")))
            .collect();
        scene.v2.wait_for(expected.len(), COPIES_LIMIT).unwrap();
        let summary = agent.stop().unwrap();
        assert!(summary.balances(), "{summary:?}");
        let copies = scene.v2.received().unwrap();
        let found: BTreeSet<_> = copies.iter().map(|copy| copy.target.clone()).collect();
        assert_eq!((copies.len(), found), (expected.len(), expected), "{attach}: {summary:?}");
    }
}

/// A client that attacks: its body holds a request, in a segment of its own, while the service has answered already.
/// Whoever comes in the middle of it must not take the body for a request.
#[test]
fn body_bytes_are_no_request_for_one_who_comes_late() {
    let Some(scene) = scene(Kind::Nginx) else { return };
    let address = scene.v1_address(Family::V4);
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = format!(
        "POST /outer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        2 * inner.len()
    );
    let talk = |pause: &dyn Fn()| {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        let mut answer = [0; 4096];
        stream.write_all(b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let _ = stream.read(&mut answer)?;
        pause();
        stream.write_all(head.as_bytes())?;
        // The interim answer: the body's first segment follows an answer.
        let length = stream.read(&mut answer)?;
        anyhow::ensure!(answer[..length].starts_with(b"HTTP/1.1 100"), "{}", answer[..length].escape_ascii());
        stream.write_all(inner.as_bytes())?;
        stream.write_all(inner.as_bytes())?;
        let length = stream.read(&mut answer)?;
        anyhow::ensure!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", answer[..length].escape_ascii());
        stream.write_all(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    };
    let agent = in_the_middle(&scene, || start(&scene, "tc"), talk);
    scene.v2.wait_for(1, COPIES_LIMIT).unwrap();
    let summary = agent.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    let targets: Vec<_> = scene.v2.received().unwrap().into_iter().map(|copy| copy.target).collect();
    assert_eq!(targets, ["/last"], "{summary:?}");
}
