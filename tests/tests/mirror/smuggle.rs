//! Clients that hide a request in a body, at the start of a segment of its own, while the service has answered already:
//! v2 receives nothing that v1 did not take for a request.

use std::collections::BTreeSet;

use crate::common::{in_the_middle, scene};
use shadow_tests::{
    agent::{Agent, Options},
    lab::Family,
    load::Connection,
    nginx::EARLY,
    scene::{Kind, Scene},
};

const DECOY: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// How many clients try.
const CLIENTS: usize = 60;

/// Sends a request of which the service has no need to see the body, and the body when it has answered.
async fn attack(connection: &mut Connection, client: usize) -> anyhow::Result<()> {
    let method = ["GET", "POST", "PUT"][client % 3];
    let is_chunked = client % 4 == 3;
    // The body is the decoy alone, or goes on after it.
    let decoys = 1 + client / 2 % 2;
    let framing = match is_chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {}", decoys * DECOY.len()),
    };
    let head = format!("{method} {EARLY}{client} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
    let answer = connection.ask(head.as_bytes()).await?;
    anyhow::ensure!((answer.status, answer.body.as_slice()) == (200, b"early"), "{answer:?}");
    for _ in 0..decoys {
        if is_chunked {
            connection.send(format!("{:x}\r\n", DECOY.len()).as_bytes()).await?;
        }
        connection.send(DECOY.as_bytes()).await?;
        if is_chunked {
            connection.send(b"\r\n").await?;
        }
    }
    if is_chunked {
        connection.send(b"0\r\n\r\n").await?;
    }
    Ok(())
}

/// Honest requests behind it.
async fn go_on(connection: &mut Connection, client: usize) -> anyhow::Result<()> {
    for number in 0..3 {
        let wire = format!("GET /real/{client}/{number} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = connection.ask(wire.as_bytes()).await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(())
}

/// All clients attack, after a first request and with a pause behind it.
fn attack_all(scene: &Scene, meanwhile: impl FnOnce() -> Option<Agent>) -> Option<Agent> {
    let address = scene.v1_address(Family::V4);
    in_the_middle(scene, meanwhile, |pause| {
        let talk = async {
            let mut connections = Vec::new();
            for client in 0..CLIENTS {
                let mut connection = Connection::open(address).await?;
                connection.ask(format!("GET /first/{client} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await?;
                connections.push(connection);
            }
            pause();
            for (client, connection) in connections.iter_mut().enumerate() {
                attack(connection, client).await?;
                go_on(connection, client).await?;
            }
            Ok(())
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(talk)
    })
}

/// What v2 received of what v1 took for a request; nothing else may be there.
fn targets(scene: &Scene, agent: Agent) -> BTreeSet<String> {
    let summary = agent.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    // v2's service is behind nginx, which answers some by itself: its log has all.
    let copies = scene.v2.nginx.as_ref().unwrap().accesses(summary.requests.mirrored as usize).unwrap();
    let real = scene.v1.nginx.as_ref().unwrap().accesses(CLIENTS * 5).unwrap();
    let real: BTreeSet<_> = real.into_iter().map(|access| access.target).collect();
    assert!(!real.contains("/smuggled"));
    let targets: BTreeSet<_> = copies.iter().map(|access| access.target.clone()).collect();
    assert_eq!(targets.difference(&real).collect::<Vec<_>>(), [""; 0], "{summary:?}");
    assert_eq!(
        (targets.len(), copies.len() as u64),
        (copies.len(), summary.requests.mirrored),
        "{summary:?}"
    );
    targets
}

fn start(scene: &Scene, attach: &str, rate: &str) -> Agent {
    let options = Options::to(scene.v2_address(Family::V4)).attach(attach).rate(rate);
    Agent::start(&scene.lab.gateway, &options).unwrap()
}

#[test]
fn bodies_are_no_requests_whatever_is_sampled() {
    for (attach, rate) in [("tc", "100%"), ("tc", "30%"), ("xdp-native", "30%"), ("xdp-generic", "70%")] {
        let Some(scene) = scene(Kind::Nginx) else { return };
        let agent = start(&scene, attach, rate);
        attack_all(&scene, || None);
        if rate == "100%" {
            scene.v2.nginx.as_ref().unwrap().accesses(CLIENTS * 5).unwrap();
        }
        let targets = targets(&scene, agent);
        let expected = if rate == "100%" { CLIENTS * 5 } else { CLIENTS / 2 };
        assert!(targets.len() >= expected, "{attach} {rate}: {}", targets.len());
    }
}

/// The agent comes after the first request: the next bytes behind an answer that it sees are the bodies.
#[test]
fn bodies_are_no_requests_for_one_who_comes_late() {
    for attach in ["tc", "xdp-native"] {
        let Some(scene) = scene(Kind::Nginx) else { return };
        let agent = attack_all(&scene, || Some(start(&scene, attach, "100%"))).unwrap();
        let targets = targets(&scene, agent);
        // What can be confirmed is picked up.
        let last = (0..CLIENTS).filter(|client| targets.contains(&format!("/real/{client}/2"))).count();
        assert_eq!(last, CLIENTS, "{attach}: {targets:?}");
    }
}
