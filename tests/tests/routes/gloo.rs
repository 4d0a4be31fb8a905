//! Gloo's VirtualService with its Upstreams, given to the agent as they are: the petstore in both spellings of
//! shadowing.

use crate::{
    common::scene,
    stage::{Stage, get, sorted},
};
use shadow_tests::scene::Kind;

fn petstore(shadowing: &str) -> String {
    format!(
        "
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata: {{ name: petstore, namespace: gloo-system }}
spec:
  virtualHost:
    domains: ['*']
    routes:
      - matchers: [{{ prefix: /api/pets }}]
        routeAction:
          single: {{ upstream: {{ name: petstore-v1, namespace: gloo-system }} }}
{shadowing}
      - matchers: [{{ prefix: / }}]
        routeAction:
          single: {{ upstream: {{ name: petstore-v1, namespace: gloo-system }} }}
---
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: {{ name: petstore-v2, namespace: gloo-system }}
spec:
  static:
    hosts: [{{ addr: 10.78.0.2, port: 8080 }}]
"
    )
}

#[test]
fn petstore_in_both_spellings() {
    for key in ["options", "routePlugins"] {
        let shadowing = format!(
            "        {key}:\n          shadowing:\n            \
             upstream: {{ name: petstore-v2, namespace: gloo-system }}\n            percentage: 100\n"
        );
        let Some(scene) = scene(Kind::Plain) else { return };
        let stage = Stage::on(scene, &petstore(&shadowing));
        let all = ["/api/pets", "/api/pets/1", "/api/orders"];
        stage.talk(&all.map(|target| get(target, &["Host: petstore.example:80"])));
        let (copies, summary) = stage.finish(2);
        assert_eq!(sorted(&copies), all[..2], "{key}");
        let host = Some("petstore.example-shadow:80");
        assert!(copies.iter().all(|copy| copy.header("host") == host), "{key}: {copies:?}");
        assert_eq!(summary.requests.mirrored, 2, "{key}: {summary:?}");
    }
}
