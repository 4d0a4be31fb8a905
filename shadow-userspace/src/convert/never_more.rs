//! What is converted mirrors no request that the original doesn't, and is always a configuration.

mod rules;

use shadow_common::FlowKey;

use super::*;
use crate::{
    config::ConfigSource,
    http::RequestHead,
    route::{Decision, Dice, RouteTable},
};

const GLOO: &str =
    "apiVersion: gateway.solo.io/v1\nkind: VirtualService\nmetadata: { name: a, namespace: b }\nspec: ";
const ISTIO: &str =
    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a, namespace: b }\nspec: ";
const GATEWAY: &str =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: a, namespace: b }\nspec: ";

/// The upstreams that a request goes to, by converted documents and the agent's own table.
#[track_caller]
fn copies(documents: &str, request: &str) -> Vec<String> {
    let loaded = match ConfigSource::default().parse("file", documents) {
        Ok(loaded) => loaded,
        // Nothing is mirrored.
        Err(error) if error.to_string().contains("no rule in it mirrors") => return Vec::new(),
        Err(error) => panic!("{error}\n{:?}", convert(documents)),
    };
    let head = RequestHead::parse(request.replace('\n', "\r\n")).unwrap();
    let flow = FlowKey { client_addr: [1; 16], service_addr: [2; 16], client_port: 1, service_port: 80 };
    match RouteTable::new(&loaded.config.routes).decide(&head, &flow, Dice::undrawn(1, 0)) {
        Decision::Pass(_) => Vec::new(),
        Decision::Copies(route, shadows) => {
            shadows.iter().map(|at| loaded.config.routes[route].shadows[*at].upstream.clone()).collect()
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\nHost: shop.example\n\n")
}

fn gloo_routes(routes: &str) -> String {
    format!("{GLOO}{{ virtualHost: {{ domains: ['*'], routes: [{routes}] }} }}\n")
}

const GLOO_MIRROR: &str = "options: { shadowing: { upstream: { name: v2 }, percentage: 100 } }";
const ISTIO_MIRROR: &str = "mirror: { host: v2.example, port: { number: 80 } }";
const GATEWAY_MIRROR: &str =
    "filters: [ { type: RequestMirror, requestMirror: { backendRef: { name: v2, port: 80 } } } ]";

/// In the original the first rule takes these requests, and doesn't mirror them; the agent knows no such condition.
#[test]
fn what_a_rule_may_match_is_not_left_to_later_rules() {
    let gloo = gloo_routes(&format!(
        "{{ matchers: [{{ prefix: /a, connectMatcher: {{}} }}, {{ regex: '/b(?=c).*' }}] }}, {{ {GLOO_MIRROR} }}"
    ));
    let istio = format!(
        "{ISTIO}{{ hosts: ['*'], http: [{{ match: [{{ uri: {{ prefix: /a }}, sourceLabels: {{ a: b }} }}] }}, \
         {{ {ISTIO_MIRROR} }}] }}\n"
    );
    let gateway = format!(
        "{GATEWAY}{{ rules: [{{ matches: [{{ path: {{ value: /a }}, headers: [{{ type: New, name: x }}] }}] }}, \
         {{ matches: [{{ path: {{ value: /a }}, headers: [{{ name: y, value: z }}] }}], {GATEWAY_MIRROR} }}, \
         {{ {GATEWAY_MIRROR} }}] }}\n"
    );
    assert_eq!(copies(&gloo, &get("/a")), Vec::<String>::new());
    assert_eq!(copies(&istio, &get("/a")), Vec::<String>::new());
    assert_eq!(copies(&istio, &get("/b")), ["v2.example"], "which it can't be for");
    let with = "GET /a HTTP/1.1\nHost: a\ny: z\n\n";
    assert_eq!(copies(&gateway, with), Vec::<String>::new(), "the first has more conditions, perhaps");
    assert_eq!(copies(&gateway, &get("/b")), ["v2"]);
}

#[test]
fn a_table_mirrors_no_more_than_its_parent_lets_through() {
    let table = |routes: &str| {
        format!(
            "---\napiVersion: gateway.solo.io/v1\nkind: RouteTable\nmetadata: {{ name: t, namespace: b }}\n\
             spec: {{ routes: [{routes}] }}\n"
        )
    };
    let delegating = |matcher: &str| {
        gloo_routes(&format!("{{ matchers: [{matcher}], delegateAction: {{ ref: {{ name: t }} }} }}"))
    };
    for (parent, own) in [
        ("{ prefix: /a, connectMatcher: {} }", "{ prefix: /a/b }"),
        ("{ prefix: /a }", "{ prefix: /a/b, connectMatcher: {} }"),
        ("{ prefix: /a }", "{ headers: [{ name: x }] }"),
        ("{ prefix: /a, methods: [POST] }", "{ prefix: /a/b }"),
        ("{ prefix: /a, headers: [{ name: z }] }", "{ prefix: /a/b }"),
        ("{ prefix: /a, queryParameters: [{ name: z }] }", "{ prefix: /a/b }"),
    ] {
        let text = delegating(parent) + &table(&format!("{{ matchers: [{own}], {GLOO_MIRROR} }}"));
        let asked = "GET /a/b HTTP/1.1\nHost: a\nx: y\n\n";
        assert_eq!(copies(&text, asked), Vec::<String>::new(), "{parent} {own}");
    }
    let all = table(&format!("{{ {GLOO_MIRROR} }}"));
    let unknown = delegating("{ prefix: /a, connectMatcher: {} }");
    assert_eq!(copies(&(unknown + &all), &get("/b")), Vec::<String>::new());
    let known = delegating("{ prefix: /a }");
    assert_eq!(copies(&(known.clone() + &all), &get("/b")), Vec::<String>::new());
    assert_eq!(copies(&(known.clone() + &all), &get("/a")), ["v2"]);
    let own = table(&format!(
        "{{ matchers: [{{ prefix: /b }}], {GLOO_MIRROR} }}, {{ matchers: [{{ prefix: /a/b }}], {GLOO_MIRROR} }}"
    ));
    assert_eq!(copies(&(known.clone() + &own), &get("/b")), Vec::<String>::new());
    assert_eq!(copies(&(known + &own), &get("/a/b")), ["v2"]);
    let only_post = delegating("{ prefix: /a, methods: [POST], headers: [{ name: x }] }");
    assert_eq!(copies(&(only_post.clone() + &own), &get("/a/b")), Vec::<String>::new());
    let post = "POST /a/b HTTP/1.1\nHost: a\nx: y\n\n";
    assert_eq!(copies(&(only_post + &own), post), ["v2"]);
    let missing = gloo_routes(&format!(
        "{{ matchers: [{{ prefix: /a }}], delegateAction: {{ ref: {{ name: t }} }} }}, {{ {GLOO_MIRROR} }}"
    ));
    assert_eq!(copies(&missing, &get("/a")), Vec::<String>::new(), "the table may have it");
    assert_eq!(copies(&missing, &get("/b")), ["v2"]);
}

#[test]
fn a_share_that_cannot_be_read_is_none() {
    for share in [
        "mirrorPercentage: 50",
        "mirrorPercentage: { value: x }",
        "mirrorPercentage: { value: 0 }, mirrorPercent: 100",
        "mirrorPercent: half",
        "mirror_percent: []",
    ] {
        let text = format!("{ISTIO}{{ hosts: ['*'], http: [{{ {ISTIO_MIRROR}, {share} }}] }}\n");
        assert_eq!(copies(&text, &get("/")), Vec::<String>::new(), "{share}");
    }
    for share in ["5", "{}", "{ value: x }"] {
        let mirrors = format!(
            "{ISTIO}{{ hosts: ['*'], http: [{{ mirrors: [{{ destination: {{ host: a.b }}, percentage: {share} }}] \
             }}] }}\n"
        );
        assert_eq!(copies(&mirrors, &get("/")), Vec::<String>::new(), "{share}");
    }
    for share in ["", ", percentage: x"] {
        let text = gloo_routes(&format!("{{ {} }}", GLOO_MIRROR.replace(", percentage: 100", share)));
        assert_eq!(copies(&text, &get("/")), Vec::<String>::new(), "{share}");
    }
    for share in [
        "percent: x",
        "fraction: 1",
        "fraction: {}",
        "fraction: { numerator: x }",
        "fraction: { numerator: 2, denominator: 1 }",
        "fraction: { numerator: 0, denominator: 0 }",
        "percent: 101",
    ] {
        let text = GATEWAY_MIRROR.replace("backendRef:", &format!("{share}, backendRef:"));
        let text = format!("{GATEWAY}{{ rules: [{{ {text} }}] }}\n");
        assert_eq!(copies(&text, &get("/")), Vec::<String>::new(), "{share}");
    }
}

/// What is of the wrong kind is a condition too.
#[test]
fn what_cannot_be_read_matches_nothing() {
    for matcher in
        ["{ exact: [] }", "{ methods: GET }", "{ methods: [1] }", "{ headers: [x] }", "1", "{ headers: x }"]
    {
        let text = gloo_routes(&format!("{{ matchers: [{matcher}], {GLOO_MIRROR} }}"));
        assert_eq!(copies(&text, &get("/")), Vec::<String>::new(), "{matcher}");
    }
    for matcher in ["matchers: 1", "matcher: 1"] {
        let text = gloo_routes(&format!("{{ {matcher}, {GLOO_MIRROR} }}"));
        assert_eq!(copies(&text, &get("/")), Vec::<String>::new(), "{matcher}");
    }
    let hosts = format!("{GLOO}{{ virtualHost: {{ domains: [1], routes: [{{ {GLOO_MIRROR} }}] }} }}\n");
    assert_eq!(copies(&hosts, &get("/")), Vec::<String>::new());
}

#[test]
fn a_header_that_is_absent_is_one_that_istio_goes_without() {
    let text = format!(
        "{ISTIO}{{ hosts: ['*'], http: [{{ match: [{{ withoutHeaders: {{ x: {{ exact: y }}, z: {{ prefix: '' }} \
             }} }}], \
         {ISTIO_MIRROR} }}] }}\n"
    );
    for (headers, goes) in [("z: a\n", false), ("", false), ("x: y\n", false)] {
        let request = format!("GET / HTTP/1.1\nHost: a\n{headers}\n");
        assert_eq!(!copies(&text, &request).is_empty(), goes, "{headers}");
    }
    let text = text.replace(", z: { prefix: '' }", "");
    for (headers, goes) in [("", true), ("x: a\n", true), ("x: y\n", false), ("z: y\n", true)] {
        let request = format!("GET / HTTP/1.1\nHost: a\n{headers}\n");
        assert_eq!(!copies(&text, &request).is_empty(), goes, "{headers}");
    }
}

#[test]
fn domains_are_those_of_envoy() {
    let vhost = |name: &str, domains: &str| {
        format!(
            "---\n{}{{ virtualHost: {{ domains: {domains}, routes: [{{ options: {{ shadowing: {{ upstream: {{ \
             name: {name} }}, \
             percentage: 100 }} }} }}] }} }}\n",
            GLOO.replace("name: a", &format!("name: {name}"))
        )
    };
    let text = vhost("any", "['*']")
        + &vhost("start", "['shop.*']")
        + &vhost("end", "['*-eu.example']")
        + &vhost("port", "['shop.example:8080']")
        + &vhost("name", "[shop.example]")
        + &vhost("under", "['*.example', '[::1]:80']")
        + &vhost("six", "['[::2]']");
    for (host, upstream) in [
        ("shop.example", "name"),
        ("SHOP.example:8080", "port"),
        ("shop.example:81", "name"),
        ("shop.org", "start"),
        ("shop.org:81", "start"),
        ("shop.", "any"),
        ("shop-eu.example", "end"),
        ("-eu.example", "under"),
        ("b.example", "under"),
        ("[::1]:80", "under"),
        ("[::1]:81", "any"),
        ("[::2]:81", "six"),
        ("example", "any"),
    ] {
        let got = copies(&text, &format!("GET / HTTP/1.1\nHost: {host}\n\n"));
        // `shop.` and `-eu.example` have nothing where the star is; the dot at the end belongs to no name.
        assert_eq!(got, [upstream], "{host}");
    }
}

/// A subset has no address; the service's own would lead to v1 as well.
#[test]
fn a_subset_is_not_the_whole_service() {
    let text = format!(
        "{ISTIO}{{ hosts: ['*'], http: [{{ mirrors: [{{ destination: {{ host: s, subset: v2 }} }}, \
         {{ destination: {{ host: s, subset: v3 }} }}] }}] }}\n"
    );
    assert_eq!(copies(&text, &get("/")), ["s-v2.b.svc.cluster.local", "s-v3.b.svc.cluster.local"]);
}

#[test]
fn own_configuration_beside_foreign_documents_is_not_lost() {
    let text = format!(
        "redact: {{ headers: [authorization] }}\n---\n{}",
        gloo_routes(&format!("{{ {GLOO_MIRROR} }}"))
    );
    let error = ConfigSource::default().parse("file", &text).unwrap_err().to_string();
    assert!(error.contains("document 1 has no apiVersion"), "{error}");
}

/// Everything that gateways take and the agent doesn't is noted, and the rest is a configuration.
#[test]
fn what_is_written_is_always_read() {
    let named = ["a", "a", "a-2", "a-2", "a"]
        .map(|name| format!("{{ name: {name}, matchers: [{{ prefix: /x }}], {GLOO_MIRROR} }}"));
    let modifier = "type: RequestHeaderModifier, requestHeaderModifier: { remove: [te, host] }";
    let mut texts = vec![
        gloo_routes(&named.join(", ")),
        format!("{GATEWAY}{{ rules: [{{ filters: [{{ {modifier} }}] }}, {{ {GATEWAY_MIRROR} }}] }}\n")
            .replace("}] }, { filters: [ ", "}, "),
        format!("{ISTIO}{{ hosts: ['*'], http: [{{ {ISTIO_MIRROR}, rewrite: {{ uri: /c }} }}] }}\n"),
        gloo_routes(&format!(
            "{{ name: 'a b/c', {GLOO_MIRROR} }}, {{ name: '', matchers: [{{ prefix: /b }}], {GLOO_MIRROR} }}"
        )),
        gloo_routes(
            "{ options: { prefixRewrite: /b, shadowing: { upstream: { name: v2 }, percentage: 0.00001 } } }",
        ),
        gloo_routes(
            "{ matchers: [{ prefix: /a }, { exact: /b }, { prefix: / }], options: { prefixRewrite: /c, \
             shadowing: { upstream: { name: v2 }, percentage: 33.333333 } } }",
        ),
        gloo_routes(
            "{ options: { prefixRewrite: 'b?c', hostRewrite: 'a b', shadowing: { upstream: { name: v2 }, \
             percentage: 1 } }, \
             routePlugins: { shadowing: { upstream: { name: v2 }, percentage: 2 } } }",
        ),
        format!(
            "{ISTIO}{{ hosts: ['*'], http: [{{ {ISTIO_MIRROR}, mirrors: [{{ destination: {{ host: v2.example, \
             port: {{ number: 80 }} }} }}], \
             rewrite: {{ uri: x, authority: '@' }}, headers: {{ request: {{ set: {{ X-A: b, x-a: c, \
             proxy-connection: a, \
             x-shadow-copy: a, 'a b': c, x-b: ' a', x-c: \u{fc} }}, remove: [te, ':path', x-shadow-copy, 'a b'] \
             }} }} }}] }}\n"
        ),
        format!(
            "{ISTIO}{{ hosts: ['*'], http: [{{ {ISTIO_MIRROR}, match: [{{ headers: {{ ':authority': {{ exact: a \
             }} }} }}, \
             {{ method: {{ exact: get }} }}, {{ headers: {{ ':path': {{ exact: a }} }} }}, {{ queryParams: {{ \
             '': {{ exact: a }} }} }}, \
             {{ uri: {{ prefix: pets }} }}, {{ uri: {{ exact: '/a?b' }} }}] }}] }}\n"
        ),
        format!(
            "{GATEWAY}{{ rules: [{{ name: 'a b', filters: [ {{ type: RequestMirror, requestMirror: {{ \
             backendRef: {{ name: v2, port: 80 }} }} }}, \
             {{ type: RequestMirror, requestMirror: {{ backendRef: {{ name: v2, port: 80 }}, percent: 1 }} }}, \
             {{ type: URLRewrite, urlRewrite: {{ hostname: '*', path: {{ replaceFullPath: 'a?b' }} }} }}, \
             {{ type: RequestHeaderModifier, requestHeaderModifier: {{ set: [{{ name: Host, value: a }}, {{ \
             name: A, value: b }}, {{ name: a, value: c }}] }} }}] }}] }}\n"
        ),
    ];
    let whole = texts.len();
    for port in ["0", "70000", "80.5", "-1"] {
        texts.push(ISTIO_MIRROR.replace("80", port));
    }
    let last = texts.split_off(whole).into_iter();
    texts.extend(last.map(|mirror| {
        format!("{ISTIO}{{ hosts: ['*', 'a b', ''], http: [{{ {mirror} }}, {{ {ISTIO_MIRROR} }}] }}\n")
    }));
    for text in texts {
        let Converted { yaml, notes } = convert(&text).unwrap();
        let read = ConfigSource::default().parse("file", &yaml);
        assert!(read.is_ok(), "{}\n{yaml}\n{notes:?}", read.unwrap_err());
    }
}

/// What is mirrored by a backend's own filter isn't, and that is said.
#[test]
fn filters_of_backends_are_not_dropped_in_silence() {
    let backend = format!("{{ name: v1, port: 80, {GATEWAY_MIRROR} }}");
    let text = format!("{GATEWAY}{{ rules: [{{ {GATEWAY_MIRROR}, backendRefs: [{backend}] }}] }}\n");
    let notes = convert(&text).unwrap().notes;
    let told: Vec<_> = notes.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(told, ["document 1 (HTTPRoute a): spec.rules[0].backendRefs[0].filters"]);
}
