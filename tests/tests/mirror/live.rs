//! Changes while the agent runs: on real packets, each takes effect with the next request.

use std::time::Duration;

use crate::common::scene;
use anyhow::Result;
use shadow_common::{Counter, CounterKind, SampleBy};
use shadow_tests::{
    bench::statistics::Statistics,
    child::poll,
    lab::{Family, NIC, PORT},
    load::Connection,
    scene::{Kind, Scene},
};
use shadow_userspace::capture::{AttachMode, Control, EXPORT, Live, LiveOptions};

fn attach(scene: &Scene) -> Live {
    let options = LiveOptions {
        interfaces: vec![NIC.to_owned()],
        netns: Some(scene.lab.gateway.path()),
        ports: vec![PORT],
        rate: "0%".parse().unwrap(),
        attach: AttachMode::Tc,
        ..LiveOptions::default()
    };
    Live::attach(&options).unwrap()
}

/// The payload of the records that are there. When an answer has come, so has all of its request.
fn exported(live: &mut Live) -> Vec<u8> {
    let mut bytes = Vec::new();
    while live.drain(Duration::ZERO, |segment| bytes.extend_from_slice(segment.payload)).unwrap() > 0 {}
    bytes
}

/// The same, waiting for the first of them.
fn awaited(live: &mut Live) -> Vec<u8> {
    poll(Duration::from_secs(5), "a record", || {
        let bytes = exported(live);
        Ok((!bytes.is_empty()).then_some(bytes))
    })
    .unwrap()
}

const GET: &[u8] = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &[u8] = b"POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
const BODY: &[u8] = b"0123456789";

type Change = (&'static str, fn(&Control, bool));

const CHANGES: [Change; 4] = [
    ("rate", |control, on| control.set_rate(if on { "100%" } else { "0%" }.parse().unwrap()).unwrap()),
    ("sampling", |control, on| {
        let by = if on { SampleBy::ClientIp } else { SampleBy::Request };
        control.set_sampling(by, if on { "100%" } else { "0%" }.parse().unwrap()).unwrap();
    }),
    ("pause", |control, on| control.set_paused(!on).unwrap()),
    ("ports", |control, on| control.set_ports(if on { &[PORT] } else { &[] }).unwrap()),
];

/// On one connection: a request, a head, the change, its body, two requests with the change taken back between them.
async fn talk(live: &mut Live, client: &mut Connection, (name, change): Change) -> Result<()> {
    let control = live.control();
    change(&control, true);
    client.ask(GET).await?;
    assert_eq!(exported(live), GET, "{name}");
    client.send(HEAD).await?;
    assert_eq!(awaited(live), HEAD, "{name}");
    change(&control, false);
    client.ask(BODY).await?;
    assert_eq!(exported(live), BODY, "{name}: what is in flight is finished");
    client.ask(GET).await?;
    assert_eq!(exported(live), b"", "{name}: nothing new is taken");
    change(&control, true);
    client.ask(GET).await?;
    assert_eq!(exported(live), GET, "{name}: and on again");
    Ok(())
}

#[test]
fn each_change_takes_effect_with_the_next_request() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let mut live = attach(&scene);
    let address = scene.v1_address(Family::V4);
    let all = || {
        let all = async {
            let mut client = Connection::open(address).await?;
            for change in CHANGES {
                talk(&mut live, &mut client, change).await?;
            }
            Ok(())
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(all)
    };
    scene.lab.client.run(all).unwrap();
    live.detach();
    let counters = live.control().counters().unwrap();
    assert!(counters.is_balanced(), "{counters:?}");
}

/// By the programs' own counters, and by the kernel's account of their runs.
#[test]
fn what_each_program_sees_is_counted() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let mut live = attach(&scene);
    let statistics = Statistics::on().unwrap();
    let usage = live.usage();
    let before = usage.read();
    let address = scene.v1_address(Family::V4);
    let ask = || {
        let ask = async { Connection::open(address).await?.ask(GET).await };
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ask)
    };
    scene.lab.client.run(ask).unwrap();
    drop(statistics);
    live.detach();
    let (after, counters) = (usage.read(), live.control().counters().unwrap());
    let [before, after] = [before, after].map(|usage| match &usage[..] {
        [one] => (one.program.clone(), one.runs, one.time),
        _ => panic!("{usage:?}"),
    });
    assert_eq!(after.0, EXPORT);
    let [came, went] = [Counter::IngressSeen, Counter::EgressSeen].map(|counter| counters.get(counter));
    // A connection takes three segments one way and two the other at the least, with its request and its answer.
    assert!(came >= 3 && went >= 2, "{counters:?}");
    let runs = after.1 - before.1;
    assert!(runs >= 5 && runs <= came + went && after.2 > before.2, "{before:?} {after:?} {counters:?}");
    let passed: u64 = counters.of(CounterKind::Passed).map(|(_, count)| count).sum();
    assert_eq!(came + went, passed + counters.get(Counter::Matched), "{counters:?}");
}
