//! Rules by what they match: unknown conditions, the order among them, case.

use super::*;

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
