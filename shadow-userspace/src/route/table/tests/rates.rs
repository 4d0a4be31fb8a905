//! Rates that change, and what the kernel is asked for.

use super::*;

/// All rates of a table, in order.
fn rates(table: &RouteTable) -> Vec<Vec<f64>> {
    let shadows = |route: RouteView<'_>| route.shadows().map(|shadow| shadow.percentage.percent()).collect();
    table.routes().map(shadows).collect()
}

#[test]
fn a_rate_is_set_for_a_route_or_one_of_its_upstreams() {
    let mut slashed = route("a/v0", &[1.0, 2.0]);
    slashed.shadows[0].upstream = "http://v2:8080".to_owned();
    let table = RouteTable::new(&[route("a", &[3.0, 4.0]), slashed, route("b", &[5.0])]);
    for (selector, percentage, expected) in [
        ("a", 10.0, [&[10.0, 10.0][..], &[1.0, 2.0], &[5.0]]),
        ("a/v1", 11.5, [&[10.0, 11.5], &[1.0, 2.0], &[5.0]]),
        // Also the upstream `v0` of `a`: the route comes first.
        ("a/v0", 12.0, [&[10.0, 11.5], &[12.0, 12.0], &[5.0]]),
        ("a/v0/http://v2:8080", 0.0, [&[10.0, 11.5], &[0.0, 12.0], &[5.0]]),
        ("b", 100.0, [&[10.0, 11.5], &[0.0, 12.0], &[100.0]]),
    ] {
        table.set_rate(selector, percent(percentage)).unwrap();
        assert_eq!(rates(&table), expected, "{selector}");
    }
    let names: Vec<_> = table.routes().map(|route| route.name()).collect();
    assert_eq!(names, ["a", "a/v0", "b"]);
    let options = table.routes().next().unwrap().options();
    assert_eq!(options.shadows[0].percentage, percent(3.0), "what is configured stays");
}

#[test]
fn an_unknown_name_changes_nothing_and_is_told_what_there_is() {
    let table = RouteTable::new(&[route("pets", &[1.0]), route("orders", &[2.0, 3.0])]);
    for (selector, expected) in [
        ("pet", r#"there is no route "pet", perhaps "pets"; routes are "pets", "orders""#),
        ("order/v0", r#"there is no route "order/v0", perhaps "orders"; routes are "pets", "orders""#),
        ("xyz", r#"there is no route "xyz"; routes are "pets", "orders""#),
        ("", r#"there is no route ""; routes are "pets", "orders""#),
        ("orders/", r#"route "orders" has no upstream ""; upstreams are "v0", "v1""#),
        ("orders/v01", r#"route "orders" has no upstream "v01", perhaps "v0"; upstreams are "v0", "v1""#),
        ("PETS/v0", r#"there is no route "PETS/v0"; routes are "pets", "orders""#),
    ] {
        let error = table.set_rate(selector, SampleRate::ALL).unwrap_err();
        assert_eq!(error.to_string(), expected, "{selector}");
        assert_eq!(rates(&table), [&[1.0][..], &[2.0, 3.0]]);
    }
    let none = RouteTable::new(&[]).set_rate("a", SampleRate::ALL).unwrap_err();
    assert_eq!(none.to_string(), r#"there is no route "a"; there is no route"#);
    let many: Vec<_> = (0..12).map(|number| route(&format!("r{number}"), &[1.0])).collect();
    let error = RouteTable::new(&many).set_rate("zzz", SampleRate::ALL).unwrap_err().to_string();
    assert!(error.ends_with(r#""r9" and 2 more"#), "{error}");
}

#[test]
fn the_kernel_samples_what_the_routes_need_together() {
    let [header, cookie] = [SampleKey::Header("x".parse().unwrap()), SampleKey::Cookie("x".to_owned())];
    let with = |key: &SampleKey, percentages: &[f64]| sampled_by(route("a", percentages), key.clone());
    let nothing = (SampleBy::Request, SampleRate::NONE);
    let everything = (SampleBy::Request, SampleRate::ALL);
    for (routes, expected) in [
        (vec![], nothing),
        (vec![with(&SampleKey::Connection, &[0.0]), with(&header, &[0.0])], nothing),
        (vec![with(&SampleKey::Request, &[5.0])], (SampleBy::Request, percent(5.0))),
        (
            vec![with(&SampleKey::Connection, &[1.0, 7.5]), with(&SampleKey::Connection, &[5.0])],
            (SampleBy::Connection, percent(7.5)),
        ),
        (vec![with(&SampleKey::ClientIp, &[100.0])], (SampleBy::ClientIp, SampleRate::ALL)),
        (vec![with(&SampleKey::ClientIp, &[1.0]), with(&SampleKey::Connection, &[1.0])], everything),
        (vec![with(&SampleKey::Request, &[1.0]), with(&SampleKey::Connection, &[1.0])], everything),
        (vec![with(&header, &[0.1])], everything),
        (vec![with(&header, &[0.1]), with(&cookie, &[0.1])], everything),
        // A route that is off asks for nothing.
        (vec![with(&SampleKey::ClientIp, &[1.0]), with(&header, &[0.0])], (SampleBy::ClientIp, percent(1.0))),
    ] {
        assert_eq!(RouteTable::new(&routes).kernel_sampling(), expected, "{routes:?}");
    }
}

#[test]
fn the_kernel_is_asked_for_the_rates_of_now() {
    let table = RouteTable::new(&[route("a", &[5.0]), sampled_by(route("b", &[0.0]), SampleKey::ClientIp)]);
    assert_eq!(table.kernel_sampling(), (SampleBy::Request, percent(5.0)));
    table.set_rate("a", percent(25.0)).unwrap();
    assert_eq!(table.kernel_sampling(), (SampleBy::Request, percent(25.0)));
    table.set_rate("b", percent(1.0)).unwrap();
    assert_eq!(table.kernel_sampling(), (SampleBy::Request, SampleRate::ALL));
    table.set_rate("a", SampleRate::NONE).unwrap();
    assert_eq!(table.kernel_sampling(), (SampleBy::ClientIp, percent(1.0)));
}
