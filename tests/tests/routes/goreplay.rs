//! What GoReplay's own tests are about: keep-alive, chunked bodies, IPv6, and sampling by a header's hash.

use std::collections::BTreeMap;

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, get, request, sorted, stop, talk},
};
use shadow_tests::{fnv, lab::Family, scene::Kind};

const ALL: &str = "routes: [{ shadow: { upstream: $V2 } }]\n";

#[test]
fn keep_alive() {
    let Some(stage) = Stage::new(ALL) else { return };
    let targets: Vec<String> = (100..300).map(|number| format!("/{number}")).collect();
    stage.talk(&targets.iter().map(|target| get(target, &[])).collect::<Vec<_>>());
    let (copies, summary) = stage.finish(targets.len());
    assert_eq!(sorted(&copies), targets);
    assert_eq!(summary.requests.mirrored, 200, "{summary:?}");
}

#[test]
fn chunked() {
    let Some(stage) = Stage::new(ALL) else { return };
    let chunks =
        "4\r\nWiki\r\n5;name=value\r\npedia\r\ne\r\n in\r\n\r\nchunks.\r\n0\r\nX-Trailer: last\r\n\r\n";
    stage.talk(&[request("POST", "/chunked", &["Transfer-Encoding: chunked", "Trailer: X-Trailer"], chunks)]);
    let (copies, _) = stage.finish(1);
    let body = "Wikipedia in\r\n\r\nchunks.";
    assert_eq!((copies[0].body_bytes, &copies[0].body_hash), (23, &fnv::hash(body.as_bytes())));
}

#[test]
fn ipv6() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let v2 = format!("http://{}", scene.v2_address(Family::V6));
    let stage = Stage::on(scene, &format!("routes: [{{ shadow: {{ upstream: '{v2}' }} }}]\n"));
    talk(&stage.scene, Family::V6, &[get("/six", &["Host: [fd77::2]:8080"])]);
    let (copies, _) = stage.finish(1);
    assert_eq!(copies[0].header("host"), Some("[fd77::2]-shadow:8080"));
}

const USERS: usize = 200;
const OF_EACH: usize = 5;

/// Copies by user at 50 %, each user's requests on many connections.
fn copies_by_user(sample_by: &str, header: impl Fn(usize) -> String) -> Option<BTreeMap<String, usize>> {
    let config =
        format!("routes: [{{ sample_by: {sample_by}, shadow: {{ upstream: $V2, percentage: 50 }} }}]\n");
    let stage = Stage::new(&config)?;
    for round in 0..OF_EACH {
        let requests: Vec<_> =
            (0..USERS).map(|user| get(&format!("/{user}/{round}"), &[&header(user)])).collect();
        stage.talk(&requests);
    }
    let summary = stop(stage.agent);
    let mirrored = usize::try_from(summary.requests.mirrored).unwrap();
    let copies = stage.scene.v2.wait_for(mirrored, COPIES_LIMIT).unwrap();
    assert_eq!(copies.len(), mirrored, "{summary:?}");
    let mut counts = BTreeMap::new();
    for copy in &copies {
        *counts.entry(copy.target.split('/').nth(1).unwrap().to_owned()).or_default() += 1;
    }
    Some(counts)
}

/// All of a user or nothing; the users that are in are the same in another run, and about half.
fn sticks(sample_by: &str, header: impl Fn(usize) -> String) {
    let Some(first) = copies_by_user(sample_by, &header) else { return };
    assert!(first.values().all(|&count| count == OF_EACH), "{first:?}");
    // Fewer than 60 or more than 140 of 200 come once in a hundred million draws of a hash.
    assert!((60..=140).contains(&first.len()), "{} of {USERS}", first.len());
    assert_eq!(copies_by_user(sample_by, &header).unwrap(), first);
}

#[test]
fn header_hash() {
    sticks("{ header: X-User }", |user| format!("X-User: user-{user}"));
}

#[test]
fn cookie_hash() {
    sticks("{ cookie: session }", |user| format!("Cookie: theme=dark; session=s{user}; other=1"));
}
