//! What must not leave the agent doesn't reach v2.

use crate::{
    common::scene,
    stage::{Stage, get, post, service, stop},
};
use shadow_tests::scene::Kind;

const CONFIG: &str = "
redact:
  headers: [authorization, x-api-key]
  cookies: [session]
  query: [token]
  json: [/password, /nested/secret]
routes: [{ shadow: { upstream: 'http://10.78.0.2:8091' } }]
";

const SECRET: &str = "s3cr3t-value";

#[test]
fn nothing_secret_reaches_v2() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let v2 = service(&scene, "kept", "10.78.0.2:8091", &["--keep-bodies"]);
    let stage = Stage::on(scene, CONFIG);
    let headers = [
        &format!("Authorization: Bearer {SECRET}"),
        &format!("X-Api-Key: {SECRET}"),
        &format!("Cookie: theme=dark; session={SECRET}; last=1"),
        "X-Kept: yes",
    ];
    let target = format!("/items?a=1&token={SECRET}&b=2");
    let body = format!(
        r#"{{"user": "eve", "password": "{SECRET}", "nested": {{"secret": ["{SECRET}"], "n": 1.50}}}}"#
    );
    let json = [&headers[..], &["Content-Type: application/json"]].concat();
    stage.talk(&[get(&target, &headers), post(&target, &json, &body)]);
    let copies = v2.wait_for(2, crate::common::COPIES_LIMIT).unwrap();
    let (log, summary) = stage.agent.stop_with_log().unwrap();
    assert!(summary.balances(), "{summary:?}");
    assert_eq!(copies.len(), 2, "{summary:?}");
    let record = std::fs::read_to_string(v2.record()).unwrap();
    assert!(!record.contains(SECRET), "{record}");
    assert!(!log.join("\n").contains(SECRET));
    for copy in &copies {
        assert_eq!(copy.target, "/items?a=1&token=REDACTED&b=2");
        assert_eq!(copy.header("cookie"), Some("theme=dark; session=REDACTED; last=1"));
        assert_eq!(copy.header("authorization"), Some("REDACTED"));
        assert_eq!(copy.header("x-kept"), Some("yes"));
    }
    let post = copies.iter().find(|copy| copy.method == "POST").unwrap();
    let body: serde_json::Value = serde_json::from_str(post.body.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&body["user"], &body["password"], &body["nested"]["n"]),
        (&"eve".into(), &"REDACTED".into(), &1.5.into())
    );
    // What v1 received is what was sent.
    let real = stage.scene.v1.received().unwrap();
    assert!(real.iter().all(|real| real.target == target && real.header("x-api-key") == Some(SECRET)));
}

/// A body in which the secret can't be found isn't sent.
#[test]
fn an_unredactable_body_is_dropped() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let v2 = service(&scene, "kept", "10.78.0.2:8091", &["--keep-bodies"]);
    let stage = Stage::on(scene, CONFIG);
    let broken = format!(r#"{{"password": "{SECRET}", "#);
    stage.talk(&[
        post("/broken", &["Content-Type: application/json"], &broken),
        post("/zipped", &["Content-Type: application/json", "Content-Encoding: gzip"], "\x1f?"),
    ]);
    let summary = stop(stage.agent);
    assert_eq!(summary.requests.dropped["unredactable"], 2, "{summary:?}");
    assert_eq!(v2.received().unwrap(), Vec::new());
}
