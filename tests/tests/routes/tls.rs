//! v2 speaks HTTPS, with a certificate of an authority that the test made.

use std::path::Path;

use crate::{
    common::{COPIES_LIMIT, scene},
    stage::{Stage, failed, get, post, service, sorted, stop},
};
use shadow_tests::{
    certificates::Authority,
    scene::{Kind, Scene, Service},
};

const ADDRESS: &str = "10.78.0.2:8443";

/// v2 with a certificate for `petstore.test` and its address, and the authority's file.
fn v2_with_tls(scene: &Scene) -> (Service, Authority) {
    let authority = Authority::create(scene.lab.directory(), "authority").unwrap();
    let identity = authority.certify("v2", &["petstore.test", "10.78.0.2"]).unwrap();
    let [certificate, key] = [identity.certificate, identity.key].map(|path| path.display().to_string());
    let v2 = service(scene, "tls", ADDRESS, &["--tls-certificate", &certificate, "--tls-key", &key]);
    (v2, authority)
}

fn config(tls: &str) -> String {
    format!(
        "upstreams:\n  v2: {{ url: 'https://{ADDRESS}', tls: {{ {tls} }} }}\n\
         routes: [{{ shadow: {{ upstream: v2 }} }}]\n"
    )
}

/// How copies end with these settings: answered, or failed for TLS.
fn mirrored(scene: Scene, v2: &Service, tls: &str) -> bool {
    let before = v2.received().unwrap().len();
    let stage = Stage::on(scene, &config(tls));
    stage.talk(&[get("/get", &[]), post("/post", &[], &"x".repeat(300_000))]);
    let summary = stop(stage.agent);
    let (tls_failures, all) = (failed(&summary, "tls"), v2.wait_for(before, COPIES_LIMIT).unwrap());
    let copies = &all[before..];
    match summary.requests.mirrored {
        0 => assert_eq!((tls_failures, copies.len()), (2, 0), "{tls}: {summary:?}"),
        _ => {
            assert_eq!((summary.requests.mirrored, tls_failures), (2, 0), "{tls}: {summary:?}");
            assert_eq!(sorted(copies), ["/get", "/post"], "{tls}");
        }
    }
    summary.requests.mirrored > 0
}

fn case(tls: impl FnOnce(&Path, &Scene) -> String, expected: bool) {
    let Some(scene) = scene(Kind::Plain) else { return };
    let (v2, authority) = v2_with_tls(&scene);
    let tls = tls(&authority.certificate, &scene);
    assert_eq!(mirrored(scene, &v2, &tls), expected, "{tls}");
}

#[test]
fn with_the_authority_that_is_told() {
    case(|own, _| format!("ca_file: '{}'", own.display()), true);
}

#[test]
fn with_the_name_that_is_told() {
    case(|own, _| format!("ca_file: '{}', server_name: petstore.test", own.display()), true);
}

#[test]
fn with_any_certificate_if_told() {
    case(|_, _| "insecure: true".to_owned(), true);
}

#[test]
fn another_authority_is_refused() {
    let other = |_: &Path, scene: &Scene| {
        let other = Authority::create(scene.lab.directory(), "other").unwrap();
        format!("ca_file: '{}'", other.certificate.display())
    };
    case(other, false);
}

#[test]
fn another_name_is_refused() {
    case(|own, _| format!("ca_file: '{}', server_name: other.test", own.display()), false);
}
