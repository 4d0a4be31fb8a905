//! What is converted mirrors no request that the original doesn't, and is always a configuration.

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

/// Nor is it left to later rules.
#[test]
fn a_rule_with_an_unknown_condition_mirrors_nothing() {
    let asked = "GET /a HTTP/1.1\nHost: a\nx: y\n\n";
    for unknown in ["prefix: /a, connectMatcher: {}", "headers: [{ name: x, new: 1 }]", "regex: '/a(?=b)?'"] {
        for rewrite in ["", "prefixRewrite: /c, "] {
            let options = GLOO_MIRROR.replace("{ shadowing", &format!("{{ {rewrite}shadowing"));
            let text = gloo_routes(&format!(
                "{{ matchers: [{{ {unknown} }}, {{ prefix: /b }}], {options} }}, {{ {GLOO_MIRROR} }}"
            ));
            assert_eq!(copies(&text, asked), Vec::<String>::new(), "{unknown}");
            assert_eq!(copies(&text, &get("/b")), ["v2"], "{unknown}");
        }
    }
    for unknown in [
        "uri: { prefix: /a }, port: 1",
        "headers: { x: { suffix: y } }",
        "method: { regex: G.* }",
        "method: { exact: get }",
    ] {
        for rewrite in ["", "rewrite: { uri: /c }, "] {
            let text = format!(
                "{ISTIO}{{ hosts: ['*'], http: [{{ match: [{{ {unknown} }}], {rewrite}{ISTIO_MIRROR} }}, \
                 {{ {ISTIO_MIRROR} }}] }}\n"
            );
            assert_eq!(copies(&text, asked), Vec::<String>::new(), "{unknown}");
        }
    }
    for unknown in
        ["path: { value: /a }, port: 1", "headers: [{ name: x, value: y, new: 1 }]", "path: { type: New }"]
    {
        let text = format!(
            "{GATEWAY}{{ rules: [{{ {GATEWAY_MIRROR} }}, {{ matches: [{{ {unknown} }}], {GATEWAY_MIRROR} }}] }}\n"
        );
        assert_eq!(copies(&text, asked), Vec::<String>::new(), "{unknown}");
    }
    let exact = "matches: [{ path: { type: Exact, value: /a } }]";
    let text = format!(
        "{GATEWAY}{{ rules: [{{ {exact}, {GATEWAY_MIRROR} }}, {{ matches: [{{ path: {{ type: New }} }}] }}] }}\n"
    );
    assert_eq!(copies(&text, asked), Vec::<String>::new(), "it may be for the same path");
    let text = gloo_routes(&format!("{{ matchers: [{{ methods: [1, POST] }}] }}, {{ {GLOO_MIRROR} }}"));
    assert_eq!(copies(&text, asked), Vec::<String>::new(), "which method is unknown");
}

/// Of rules that match alike the one that says more counts, whichever stands first.
#[test]
fn the_gateways_most_specific_rule_counts() {
    let asked = "GET /a/b?q=1 HTTP/1.1\nHost: a\nx: y\nz: y\n\n";
    for (less, more) in [
        ("path: { value: /a }", "path: { value: /a/b }"),
        ("path: { value: /a/b }", "path: { type: Exact, value: /a/b }"),
        ("headers: [{ name: x, value: y }]", "method: GET"),
        ("headers: [{ name: x, value: y }]", "headers: [{ name: x, value: y }, { name: z, value: y }]"),
        ("path: { value: / }", "queryParams: [{ name: q, value: '1' }]"),
    ] {
        let mirrors = format!("{{ matches: [{{ {less} }}], {GATEWAY_MIRROR} }}");
        let hides = format!("{{ matches: [{{ {more} }}] }}");
        let one = format!("{GATEWAY}{{ rules: [{mirrors}, {hides}] }}\n");
        let two = format!("{GATEWAY}{{ rules: [{mirrors}] }}\n---\n{GATEWAY}{{ rules: [{hides}] }}\n");
        for text in [one, two] {
            assert_eq!(copies(&text, asked), Vec::<String>::new(), "{less} {more}");
        }
        let only = format!("{GATEWAY}{{ rules: [{mirrors}] }}\n");
        assert_eq!(copies(&only, asked), ["v2"], "{less}");
    }
    let bucket = GATEWAY_MIRROR.replace("name: v2", "kind: Bucket, name: v2");
    assert_eq!(copies(&format!("{GATEWAY}{{ rules: [{{ {bucket} }}] }}\n"), asked), Vec::<String>::new());
}

#[test]
fn upstreams_of_one_name_are_told_apart() {
    let to = |namespace: &str| {
        format!(
            "{{ type: RequestMirror, requestMirror: {{ backendRef: {{ name: v2, port: 80, namespace: {namespace} }} \
             }} }}"
        )
    };
    let text = format!("{GATEWAY}{{ rules: [{{ filters: [{}, {}] }}] }}\n", to("x"), to("y"));
    assert_eq!(copies(&text, &get("/")), ["v2", "v2-2"]);
    let yaml = convert(&text).unwrap().yaml;
    assert!(yaml.contains("http://v2.x.svc:80") && yaml.contains("http://v2.y.svc:80"), "{yaml}");
}

#[test]
fn case_counts_only_where_it_does_in_the_original() {
    for (matcher, goes) in [
        ("prefix: /a", false),
        ("prefix: /a, caseSensitive: true", false),
        ("prefix: /a, caseSensitive: false", true),
        ("exact: /a/b, caseSensitive: false", true),
        ("exact: /a, caseSensitive: false", false),
    ] {
        let text = gloo_routes(&format!("{{ matchers: [{{ {matcher} }}], {GLOO_MIRROR} }}"));
        assert_eq!(!copies(&text, &get("/A/B")).is_empty(), goes, "{matcher}");
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
