//! Documents in, the configuration and what is said about it out.

use super::*;

#[track_caller]
fn check(documents: &str, yaml: &str, notes: &[&str]) {
    let converted = convert(documents).unwrap();
    assert_eq!(converted.yaml.trim_end().replace('"', "'"), yaml.trim(), "got:\n{}", converted.yaml);
    let got: Vec<_> = converted.notes.iter().map(Note::to_string).collect();
    assert_eq!(got, notes);
}

/// A VirtualService of Gloo's with these routes.
fn gloo(domains: &str, routes: &str) -> String {
    format!(
        "apiVersion: gateway.solo.io/v1\nkind: VirtualService\nmetadata: {{ name: default, namespace: gloo-system }}\n\
         spec:\n  virtualHost:\n    domains: {domains}\n    routes:\n{routes}"
    )
}

const PETSTORE_V2: &str = "
---
apiVersion: gloo.solo.io/v1
kind: Upstream
metadata: { name: petstore-v2, namespace: gloo-system }
spec:
  kube: { serviceName: petstore-v2, serviceNamespace: default, servicePort: 8080, selector: { app: petstore } }
  discoveryMetadata: {}
";

const PETSTORE_YAML: &str = "
upstreams:
  petstore-v2:
    url: http://petstore-v2.default:8080
routes:
- name: default
  match:
  - path:
      prefix: /petstore
  shadow:
  - upstream: petstore-v2
    percentage: 100
";

/// The example of Gloo's documentation on traffic shadowing: everything that goes to `petstore` is also sent to
/// `petstore-v2`. Before version 1.3 it was said by `routePlugins`.
#[test]
fn gloo_petstore_is_shadowed_by_route_plugins_and_by_options() {
    let old = "    - matcher: { prefix: /petstore }
      routeAction: { single: { upstream: { name: petstore, namespace: gloo-system } } }
      routePlugins:
        shadowing: { upstream: { name: petstore-v2, namespace: gloo-system }, percentage: 100 }
";
    let new = "    - matchers: [ { prefix: /petstore } ]
      routeAction: { single: { upstream: { name: petstore, namespace: gloo-system } } }
      options:
        shadowing: { upstream: { name: petstore-v2, namespace: gloo-system }, percentage: 100 }
";
    let selector = ["document 2 (Upstream petstore-v2): spec.kube.selector: not carried over"];
    for routes in [old, new] {
        check(&(gloo("['*']", routes) + PETSTORE_V2), PETSTORE_YAML, &selector);
    }
    let alone = gloo("['*']", new);
    let guess =
        ["document 1 (VirtualService default): spec.virtualHost.routes[0].options.shadowing: the Upstream \
         gloo-system.petstore-v2 isn't in the file, so http://petstore-v2 is a guess: correct \
         `upstreams.petstore-v2.url`"];
    check(&alone, &PETSTORE_YAML.replace("http://petstore-v2.default:8080", "http://petstore-v2"), &guess);
    let discovered = alone.replace("name: petstore-v2", "name: default-petstore-v2-8080");
    let converted = convert(&discovered).unwrap();
    assert!(converted.yaml.contains("url: http://petstore-v2.default:8080"), "{}", converted.yaml);
}

#[test]
fn gloo_matchers_rewrites_and_what_is_left_out() {
    let routes = "    - matchers:
      - exact: /a
        methods: [GET, POST]
        headers: [ { name: x-a }, { name: x-b, value: 'v[12]', regex: true, invertMatch: true } ]
        queryParameters: [ { name: q, value: '1' } ]
      - regex: /b/.*
        caseSensitive: false
      options:
        prefixRewrite: /c
        hostRewrite: v2.example:8080
        faults: { abort: { percentage: 50 } }
        shadowing: { upstream: { name: v2 }, percentage: 12.5 }
    - matchers: [ { prefix: / } ]
      options: { timeout: 5s }
";
    let upstream = "---\napiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: { name: v2, namespace: gloo-system }\n\
                    spec: { static: { hosts: [ { addr: v2.example, port: 443 } ], useTls: true }, sslConfig: { sni: v2 } }\n";
    check(
        &(gloo("[shop.example, '*.shop.example']", routes) + upstream),
        "
upstreams:
  v2:
    url: https://v2.example:443
    tls:
      server_name: v2
routes:
- name: default
  match:
  - hosts:
    - shop.example
    path:
      exact: /a
    methods:
    - GET
    - POST
    headers:
    - name: x-a
      present: true
    - name: x-b
      regex: v[12]
      invert: true
    query:
    - name: q
      exact: '1'
  - hosts:
    - shop.example
    path:
      regex: (?i)/b/.*
  shadow:
  - upstream: v2
    percentage: 12.5
    host_rewrite: v2.example-shadow:8080
- name: default-2
  match:
  - hosts:
    - shop.example
  shadow: []
- name: default-3
  match:
  - hosts:
    - '*.shop.example'
    path:
      exact: /a
    methods:
    - GET
    - POST
    headers:
    - name: x-a
      present: true
    - name: x-b
      regex: v[12]
      invert: true
    query:
    - name: q
      exact: '1'
  - hosts:
    - '*.shop.example'
    path:
      regex: (?i)/b/.*
  shadow:
  - upstream: v2
    percentage: 12.5
    host_rewrite: v2.example-shadow:8080
",
        &[
            "document 1 (VirtualService default): spec.virtualHost.routes[0].options.prefixRewrite: not carried over: \
             the route matches by no prefix",
            "document 1 (VirtualService default): spec.virtualHost.routes[0].options.faults: not carried over",
        ],
    );
}

#[test]
fn gloo_routes_that_hide_others_and_delegation() {
    let routes = "    - matchers: [ { prefix: /private } ]
    - matchers: [ { prefix: /api } ]
      delegateAction: { ref: { name: table, namespace: gloo-system } }
    - matchers: [ { prefix: /other } ]
      delegateAction: { name: missing }
";
    let table = "---\napiVersion: gateway.solo.io/v1\nkind: RouteTable\nmetadata: { name: table, namespace: gloo-system }\n\
                 spec:\n  routes:\n  - options: { shadowing: { upstream: { name: ns-v2-80 }, percentage: 1 } }\n";
    check(
        &(gloo("['*']", routes) + table),
        "
upstreams:
  ns-v2-80:
    url: http://v2.ns:80
routes:
- name: default
  match:
  - path:
      prefix: /private
  shadow: []
- name: default-2
  match:
  - path:
      prefix: /api
  shadow:
  - upstream: ns-v2-80
    percentage: 1
",
        &[
            "document 2 (RouteTable table): spec.routes[0].options.shadowing: the Upstream gloo-system.ns-v2-80 isn't in \
             the file, so http://v2.ns:80 is a guess: correct `upstreams.ns-v2-80.url`",
            "document 1 (VirtualService default): spec.virtualHost.routes[2].delegateAction: not carried over: the \
             RouteTable isn't in the file, or was delegated to before",
        ],
    );
}

#[test]
fn gloo_upstreams_have_a_url_and_the_name_that_tls_needs() {
    let routes = "    - options: { shadowing: { upstream: { name: v2 }, percentage: 1 } }\n";
    for (spec, expected) in [
        ("{ static: { hosts: [{ addr: a, port: 1 }] } }", "http://a:1"),
        ("{ static: { hosts: [{ addr: '::1', port: 1 }] } }", "http://[::1]:1"),
        ("{ static: { hosts: [{ addr: a, sniAddr: s }] } }", "http://a"),
        ("{ static: { hosts: [{ addr: a, sniAddr: s }], useTls: true } }", "https://a|s"),
        ("{ static: { hosts: [{ addr: a, sniAddr: s }] }, sslConfig: { sni: t } }", "https://a|t"),
        ("{ kube: { serviceName: s, servicePort: 2 }, sslConfig: {} }", "https://s.default:2"),
    ] {
        let upstream = format!(
            "---\napiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {{ name: v2, namespace: gloo-system }}\n\
             spec: {spec}\n"
        );
        let (url, name) = expected.split_once('|').unwrap_or((expected, ""));
        let tls =
            if name.is_empty() { String::new() } else { format!("\n    tls:\n      server_name: {name}") };
        let yaml = format!(
            "upstreams:\n  v2:\n    url: {url}{tls}\nroutes:\n- name: default\n  shadow:\n  - upstream: v2\n    \
             percentage: 1"
        );
        check(&(gloo("['*']", routes) + &upstream), &yaml, &[]);
    }
}

#[test]
fn gateway_api_rewrites_are_literal_and_leave_a_slash() {
    for (path, yaml) in [
        (
            "replacePrefixMatch: /",
            "      regex: ^/a(?P<slash>/?)(?P<rest>.*)$\n      substitution: /${rest}\n",
        ),
        ("replacePrefixMatch: /$1", "      substitution: /$$1${slash}${rest}\n"),
        ("replaceFullPath: /$1", "      regex: ^.*$\n      substitution: /$$1\n"),
    ] {
        let rules = format!(
            "  - matches: [ {{ path: {{ value: /a }} }} ]
    filters:
    - {{ type: URLRewrite, urlRewrite: {{ path: {{ {path} }} }} }}
    - {{ type: RequestMirror, requestMirror: {{ backendRef: {{ name: v2, port: 1 }} }} }}
"
        );
        let converted = convert(&http_route(&rules)).unwrap().yaml;
        assert!(converted.contains(yaml), "{converted}");
    }
}

#[test]
fn istio_rewrites_keep_dollars_and_groups() {
    for (rewrite, yaml) in [
        ("uri: /$1", "      regex: ^.*$\n      substitution: /$$1\n"),
        (
            "uriRegexRewrite: { match: '/(.)', rewrite: '/$1\\1' }",
            "      regex: /(.)\n      substitution: /$$1${1}\n",
        ),
    ] {
        let http = format!(
            "  - match: [ {{ uri: {{ regex: /x.* }} }} ]\n    mirror: {{ host: a.b, port: {{ number: 1 }} }}\n    \
             rewrite: {{ {rewrite} }}\n"
        );
        let converted = convert(&istio("['*']", &http)).unwrap().yaml;
        assert!(converted.contains(yaml), "{converted}");
    }
}

/// An Istio VirtualService with these routes.
fn istio(hosts: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: shop, namespace: prod }}\n\
         spec:\n  hosts: {hosts}\n  http:\n{http}"
    )
}

#[test]
fn istio_mirror_and_its_percentage() {
    for (how, percentage) in [
        ("", "100"),
        ("    mirrorPercentage: { value: 0.1 }\n", "0.1"),
        ("    mirrorPercentage: {}\n", "0"),
        ("    mirrorPercent: 50\n", "50"),
    ] {
        let http = format!(
            "  - route: [ {{ destination: {{ host: httpbin, subset: v1 }}, weight: 100 }} ]\n    \
             mirror: {{ host: httpbin-v2, port: {{ number: 8000 }} }}\n{how}"
        );
        let yaml = format!(
            "
upstreams:
  httpbin-v2.prod.svc.cluster.local:
    url: http://httpbin-v2.prod.svc.cluster.local:8000
routes:
- name: shop
  shadow:
  - upstream: httpbin-v2.prod.svc.cluster.local
    percentage: {percentage}
"
        );
        check(&istio("['*']", &http), &yaml, &[]);
    }
}

#[test]
fn istio_matches_mirrors_and_rewrites() {
    let http = "  - name: one
    match:
    - uri: { prefix: /v1/ }
      ignoreUriCase: false
      method: { exact: GET }
      headers: { x-a: { exact: b }, x-b: {} }
      withoutHeaders: { x-c: { regex: '.+' } }
      queryParams: { q: { prefix: p } }
    - uri: { regex: '/x/.*' }
    - sourceLabels: { app: a }
    mirrors:
    - destination: { host: a.example, port: { number: 80 } }
      percentage: { value: 10 }
    - destination: { host: b.example, subset: v2 }
    rewrite: { uri: /, authority: v2.example }
    headers: { request: { set: { x-env: shadow, Host: other }, remove: [x-internal] }, response: { remove: [x] } }
  - mirror: { host: c.example, port: { number: 1 } }
    mirrorPercentage: { value: 101 }
";
    let headers = "
    host_rewrite: v2.example-shadow
    headers:
      set:
        x-env: shadow
      remove:
      - x-internal";
    let shadow = |rewrite: &str| {
        format!(
            "  - upstream: a.example
    percentage: 10{headers}
    path_rewrite:
{rewrite}
  - upstream: b-v2.example
    percentage: 100{headers}
    path_rewrite:
{rewrite}"
        )
    };
    let (prefix, whole) = ("      prefix: /", "      regex: ^.*$\n      substitution: /");
    check(
        &istio("[reviews, www.example]", http),
        &format!(
            "
upstreams:
  a.example:
    url: http://a.example:80
  b-v2.example:
    url: http://b-v2.example:80
routes:
- name: one
  match:
  - hosts:
    - reviews
    - reviews.prod
    - reviews.prod.svc
    - reviews.prod.svc.cluster.local
    - www.example
    path:
      prefix: /v1/
    methods:
    - GET
    headers:
    - name: x-a
      exact: b
    - name: x-b
      present: true
    - name: x-c
      regex: .+
      invert: true
    query:
    - name: q
      prefix: p
  shadow:
{}
- name: one-2
  match:
  - hosts:
    - reviews
    - reviews.prod
    - reviews.prod.svc
    - reviews.prod.svc.cluster.local
    - www.example
    path:
      prefix: /v1/
    methods:
    - GET
    headers:
    - name: x-a
      exact: b
    - name: x-b
      present: true
    - name: x-c
      present: false
    query:
    - name: q
      prefix: p
  shadow:
{}
- name: one-3
  match:
  - hosts:
    - reviews
    - reviews.prod
    - reviews.prod.svc
    - reviews.prod.svc.cluster.local
    - www.example
    path:
      regex: /x/.*
  shadow:
{}
",
            shadow(prefix),
            shadow(prefix),
            shadow(whole)
        ),
        &[
            "document 1 (VirtualService shop): spec.http[0].match[2].sourceLabels: not carried over: the agent has no \
             such condition; so nothing that it may be for is mirrored",
            "document 1 (VirtualService shop): spec.http[0].mirrors[1].destination.subset: subsets are the mesh's, so \
             http://b-v2.example:80 is a guess: give v2 a name of its own that resolves to it alone, and correct \
             `upstreams.b-v2.example.url`",
            "document 1 (VirtualService shop): spec.http[0].mirrors[1].destination: no port is given, so 80 is a guess: \
             correct `upstreams.b-v2.example.url`",
            "document 1 (VirtualService shop): spec.http[0].headers.request.set[Host]: not carried over: this header is \
             the agent's to set",
            "document 1 (VirtualService shop): spec.http[1].mirror: not carried over: its percentage is not from 0 to 100",
        ],
    );
}

/// An HTTPRoute with these rules.
fn http_route(rules: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: mirror, namespace: infra }}\n\
         spec:\n  parentRefs: [ {{ name: gateway }} ]\n  rules:\n{rules}"
    )
}

/// The shapes of the Gateway API's conformance tests HTTPRouteRequestMirror, RequestMultipleMirrors and
/// RequestPercentageMirror.
#[test]
fn gateway_api_mirrors_of_every_share() {
    for (how, percentage) in [
        ("", "percentage: 100"),
        (", percent: 20", "percentage: 20"),
        (
            ", fraction: { numerator: 1, denominator: 1000 }",
            "percentage:\n      numerator: 1\n      denominator: 1000",
        ),
        (", fraction: { numerator: 50 }", "percentage:\n      numerator: 50\n      denominator: 100"),
    ] {
        let rules = format!(
            "  - matches: [ {{ path: {{ type: PathPrefix, value: /mirror }} }} ]
    filters:
    - type: RequestMirror
      requestMirror: {{ backendRef: {{ name: v2, port: 8080 }}{how} }}
    - {{ type: RequestMirror, requestMirror: {{ backendRef: {{ name: v3, namespace: other, port: 8080 }} }} }}
    backendRefs: [ {{ name: v1, port: 8080 }} ]
"
        );
        let yaml = format!(
            "
upstreams:
  v2:
    url: http://v2.infra.svc:8080
  v3:
    url: http://v3.other.svc:8080
routes:
- name: mirror
  match:
  - path:
      regex: /mirror(?:/.*)?
  shadow:
  - upstream: v2
    {percentage}
  - upstream: v3
    percentage: 100
"
        );
        check(&http_route(&rules), &yaml, &[]);
    }
}

#[test]
fn gateway_api_most_specific_match_first() {
    let rules = "  - filters: [ { type: RequestMirror, requestMirror: { backendRef: { name: all, port: 1 } } } ]
  - matches:
    - { path: { value: /a } }
    - { path: { type: Exact, value: /a/b }, method: GET, headers: [ { name: x, value: '1' } ] }
  - matches: [ { path: { value: /a/b/c } } ]
    filters:
    - { type: RequestHeaderModifier, requestHeaderModifier: { add: [ { name: x-a, value: b } ], remove: [x-b] } }
    - { type: URLRewrite, urlRewrite: { hostname: h, path: { type: ReplacePrefixMatch, replacePrefixMatch: /z } } }
    - { type: RequestMirror, requestMirror: { backendRef: { name: long, port: 1 } } }
    - { type: ExtensionRef, extensionRef: { name: x } }
";
    check(
        &http_route(rules),
        "
upstreams:
  all:
    url: http://all.infra.svc:1
  long:
    url: http://long.infra.svc:1
routes:
- name: mirror
  match:
  - path:
      exact: /a/b
    methods:
    - GET
    headers:
    - name: x
      exact: '1'
  shadow: []
- name: mirror-2
  match:
  - path:
      regex: /a/b/c(?:/.*)?
  shadow:
  - upstream: long
    percentage: 100
    host_rewrite: h-shadow
    headers:
      add:
        x-a: b
      remove:
      - x-b
    path_rewrite:
      regex: ^/a/b/c(?P<slash>/?)(?P<rest>.*)$
      substitution: /z${slash}${rest}
- name: mirror-3
  match:
  - path:
      regex: /a(?:/.*)?
  shadow: []
- name: mirror-4
  shadow:
  - upstream: all
    percentage: 100
",
        &[
            "document 1 (HTTPRoute mirror): spec.rules[2].filters[3]: not carried over: the agent has no such filter",
        ],
    );
}

#[test]
fn several_documents_lists_and_hosts_that_shut_others_out() {
    let any = istio("['*']", "  - mirror: { host: any.example, port: { number: 80 } }\n");
    let one = istio(
        "[one.example]",
        "  - match: [ { uri: { exact: /x } } ]\n    mirror: { host: one.example, port: { number: 80 } }\n",
    );
    let listed = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}\n---\n# nothing\n---\n{any}---\napiVersion: v1\nkind: Service\nmetadata: {{ name: s }}\n",
        one.trim_end().replace('\n', "\n  ")
    );
    check(
        &listed,
        "
upstreams:
  any.example:
    url: http://any.example:80
  one.example:
    url: http://one.example:80
routes:
- name: shop
  match:
  - hosts:
    - one.example
    path:
      exact: /x
  shadow:
  - upstream: one.example
    percentage: 100
- name: shop-rest
  match:
  - hosts:
    - one.example
  shadow: []
- name: shop-2
  shadow:
  - upstream: any.example
    percentage: 100
",
        &["document 3 (Service s): Service has no mirror rules"],
    );
}

#[test]
fn what_has_no_mirror_rules_is_an_error() {
    let yaml = convert("a: [").unwrap_err().to_string();
    assert!(yaml.starts_with("line ") && yaml.contains("no YAML") && !yaml.contains('\n'), "{yaml}");
    for text in ["", "a: b", "routes: []", "- apiVersion", "apiVersion: v1\nkind: Pod\n"] {
        assert_eq!(convert(text), Err(ConvertError::NothingKnown), "{text}");
    }
    let nothing = convert(&istio("['*']", "  - route: []\n"));
    assert!(matches!(nothing, Err(ConvertError::NothingMirrored { .. })));
    assert!(!is_foreign("routes: []") && is_foreign("apiVersion: a/v1\nkind: B\n"));
}

#[test]
fn anything_that_is_yaml_is_answered() {
    for kind in [
        "apiVersion: gateway.solo.io/v1\nkind: VirtualService",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute",
    ] {
        for spec in [
            "1",
            "[]",
            "{ virtualHost: 1 }",
            "{ virtualHost: { domains: 1, routes: [1, { matchers: {}, options: [] }] } }",
            "{ hosts: [1], http: [ { match: 1, mirror: [], mirrors: {}, mirrorPercentage: x } ] }",
            "{ hostnames: {}, rules: [ { matches: [[]], filters: [ { type: 1 }, { type: RequestMirror } ] } ] }",
        ] {
            // Whatever it says, it doesn't panic.
            convert(&format!("{kind}\nspec: {spec}\n")).ok();
        }
    }
}
