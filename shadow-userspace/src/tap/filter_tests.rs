//! Conditions as users write them, and what fits them.

use super::*;

fn head(method: &str, target: &str, host: &str) -> RequestHead {
    RequestHead::parse(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap()
}

fn parsed<T: FromStr<Err = FilterError>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn methods_and_paths() {
    let filter = Filter {
        methods: parsed(&["get", "PUT"]),
        path_prefixes: parsed(&["/a/", "/b"]),
        ..Filter::default()
    };
    for (method, target, fits) in [
        ("GET", "/a/x", true),
        ("get", "/b?c", true),
        ("PUT", "http://x/bc", true),
        ("POST", "/a/x", false),
        ("GETT", "/a/x", false),
        ("GET", "/a", false),
        ("GET", "http://a/", false),
        ("GET", "/A/", false),
        ("GET", "/x/a/x", false),
    ] {
        assert_eq!(filter.fits_request(Some(&head(method, target, "h"))), fits, "{method} {target}");
    }
    let root = Filter { path_prefixes: parsed(&["/"]), ..Filter::default() };
    assert!(root.fits_request(Some(&head("GET", "http://a", "a"))));
    assert!(!root.fits_request(Some(&head("CONNECT", "a:1", "a"))));
    assert!(!root.fits_request(Some(&head("OPTIONS", "*", "a"))));
    let server = Filter { path_prefixes: parsed(&["*"]), ..Filter::default() };
    assert!(server.fits_request(Some(&head("OPTIONS", "*", "a"))));
    assert!(!server.fits_request(Some(&head("OPTIONS", "/*", "a"))));
}

#[test]
fn hosts_by_name_or_by_what_they_are_below() {
    for (pattern, host, fits) in [
        ("a.example", "a.example", true),
        ("A.Example", "a.exAMPLE:8080", true),
        ("a.example", "b.a.example", false),
        ("a.example:80", "a.example", true),
        ("a.example:80", "a.example:80", true),
        ("a.example:80", "a.example:81", false),
        ("a.example:81", "a.example", false),
        ("*.example", "a.example:1", true),
        ("*.example", "b.a.example", true),
        ("*.example", "example", false),
        ("*.example", "aexample", false),
        ("*.example", "another-example", false),
        ("*.example", "a.EXAMPLE", true),
        ("*.example", "a.another", false),
        ("*.example", ".example", false),
        ("*.example:1", "a.example:1", true),
        ("*.example:1", "a.example:2", false),
        ("[::1]", "[::1]:80", true),
        ("::1", "[::1]", true),
        ("[::1]:81", "[::1]:81", true),
        ("[::1]:81", "[::1]", false),
        ("10.0.0.1", "10.0.0.1:8080", true),
    ] {
        let filter = Filter { hosts: parsed(&[pattern]), ..Filter::default() };
        assert_eq!(filter.fits_request(Some(&head("GET", "/", host))), fits, "{pattern} {host}");
        let absolute = head("GET", &format!("http://me:pw@{host}/"), "other");
        assert_eq!(filter.fits_request(Some(&absolute)), fits, "{pattern} {host}");
    }
    let any = Filter { hosts: parsed(&["a", "b"]), ..Filter::default() };
    for (host, fits) in [("a", true), ("b", true), ("c", false)] {
        assert_eq!(any.fits_request(Some(&head("GET", "/", host))), fits, "{host}");
    }
}

#[test]
fn statuses_alone_or_in_ranges() {
    let filter = Filter { statuses: parsed(&["200", "5XX", "400-404"]), ..Filter::default() };
    for (status, fits) in [
        (200, true),
        (201, false),
        (399, false),
        (400, true),
        (404, true),
        (405, false),
        (499, false),
        (500, true),
        (599, true),
        (600, false),
    ] {
        assert_eq!(filter.fits_status(Some(status)), fits, "{status}");
    }
    assert!(!filter.fits_status(None));
    assert!(Filter::default().fits_status(None) && Filter::default().fits_status(Some(999)));
}

#[test]
fn without_a_head_only_what_asks_for_none_fits() {
    assert!(Filter::default().fits_request(None));
    assert!(Filter { statuses: parsed(&["200"]), ..Filter::default() }.fits_request(None));
    assert!(!Filter { methods: parsed(&["GET"]), ..Filter::default() }.fits_request(None));
    assert!(!Filter { path_prefixes: parsed(&["/"]), ..Filter::default() }.fits_request(None));
    assert!(!Filter { hosts: parsed(&["a"]), ..Filter::default() }.fits_request(None));
}

#[test]
fn what_could_never_fit_is_refused() {
    for text in ["", "GET ", "G(T"] {
        assert_eq!(text.parse::<Method>(), Err(FilterError::Method(text.to_owned())));
    }
    for text in ["", "api", "http://a/"] {
        assert_eq!(text.parse::<PathPrefix>(), Err(FilterError::PathPrefix(text.to_owned())));
    }
    for text in [
        "", "*", "*.", "a*", "a b", "http://a", "a:x", "a:70000", ":80", "me@a", "a:1:2", "*.*.a", "[::1",
        "[a]", "*.::1", "*.[::1]",
    ] {
        assert_eq!(text.parse::<HostPattern>(), Err(FilterError::Host(text.to_owned())));
    }
    for text in
        ["", "20", "2000", "099", "xx", "0xx", "50x", "400-", "-499", "500-400", "400-4xx", "+20", "2 0"]
    {
        assert_eq!(text.parse::<StatusRange>(), Err(FilterError::Status(text.to_owned())));
    }
}
