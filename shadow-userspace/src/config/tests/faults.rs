//! What is wrong with a file, in the words that people get. `faults.txt` has a row for each: the file, then the lines
//! behind `=> `.

use super::load;
use crate::{
    config::{ConfigSource, Overrides, file::Document},
    route::matcher::PathMatch,
};

const TABLE: &str = include_str!("faults.txt");

/// The files with their lines.
fn rows() -> Vec<(String, Vec<String>)> {
    let rows = TABLE.split("\n===\n").filter(|row| !row.trim().is_empty());
    rows.map(|row| {
        let (lines, text): (Vec<_>, Vec<_>) = row.lines().partition(|line| line.starts_with("=> "));
        let lines = lines.iter().map(|line| line.trim_start_matches("=> ").to_owned()).collect();
        (text.join("\n"), lines)
    })
    .collect()
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    let rows = rows();
    assert!(rows.len() >= 60, "{}", rows.len());
    let mut wrong = String::new();
    for (text, lines) in rows {
        let got = load(&text).map_or_else(|error| error.lines().to_vec(), |_| Vec::new());
        if got != lines || lines.is_empty() {
            let got: Vec<_> = got.iter().map(|line| format!("=> {line}")).collect();
            wrong.push_str(&format!("{text}\n{}\n===\n", got.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "these rows say something else:\n{wrong}");
}

#[test]
fn secrets_are_not_repeated() {
    for text in [
        "routes: [{shadow: {upstream: 'http://me:hunter2@v2'}}]",
        "upstreams: {v2: {url: 'https://me:hunter2@v2'}}",
        "upstreams: {v2: 'https://me:hunter2@v2'}",
        "routes: [{shadow: {upstream: 'me:hunter2@v2'}}]",
        "routes: [{shadow: 'http://me:hunter2@v2'}]",
        "routes: [{shadow: {upstream: http://v2, host_rewrite: 'me:hunter2@v2'}}]",
        "routes: [{shadow: {upstream: http://v2, headers: {set: {authorization: \"hunter2\\n\"}}}}]",
        "routes: [{shadow: {upstream: http://v2, headers: {set: {authorization: hunter2, host: a}}}}]",
    ] {
        let error = load(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn a_line_stays_a_line() {
    for text in
        ["\"a\\nb\\e[31m\": 1", "loop_header: \"a\\nb\"", "routes: [{name: \"a\\u0085b\", shadow: []}]"]
    {
        let error = load(text).unwrap_err();
        assert!(error.lines().iter().all(|line| !line.contains(char::is_control)), "{error}");
    }
}

#[test]
fn what_is_captured_must_be_said_to_run() {
    let source = ConfigSource { is_live: true, ..ConfigSource::default() };
    let error = source.parse("x", "routes: [{shadow: http://v2}]").unwrap_err().to_string();
    assert!(error.contains("keys belong"), "{error}");
    let text = "routes: [{shadow: {upstream: http://v2}}]";
    let error = source.parse("x", text).unwrap_err();
    assert_eq!(error.lines().len(), 2, "{error}");
    assert!(
        error.to_string().contains("or give --interface") && error.to_string().contains("or give --port")
    );
    let mut flags = Document::default();
    flags.capture.interfaces = vec!["eth0".into()].into();
    flags.capture.ports = vec!["80".into()].into();
    let source = ConfigSource { overrides: Overrides(flags), ..source };
    let config = source.parse("x", text).unwrap().config;
    assert_eq!(config.capture.ports, [80]);
    assert_ne!(config.upstreams[0].own_mark, 0, "copies are told from requests");
    assert_eq!(load(text).unwrap().config.upstreams[0].own_mark, 0);
}

#[test]
fn what_could_not_be_meant_is_refused() {
    for route in [
        "match: {hosts: ['[::g]']}",
        "match: {hosts: ['']}",
        "match: {hosts: ['.']}",
        "sample_by: {cookie: ''}",
        "name: \"a\\u0007b\"",
    ] {
        let text = format!("routes: [{{{route}, shadow: {{upstream: http://v2}}}}]");
        assert!(load(&text).is_err(), "{text}");
    }
    let rewrite = "shadow: {upstream: http://v2, path_rewrite: {prefix: /c}}";
    let text =
        format!("routes: [{{match: [{{path: {{prefix: /a}}}}, {{path: {{prefix: /b}}}}], {rewrite}}}]");
    assert!(load(&text).is_err());
    for shadow in [
        "headers: {set: {x: ' a'}}",
        "headers: {set: {x: \u{e9}}}",
        "host_rewrite: 'a:99999'",
        "host_rewrite: ':1'",
    ] {
        let text = format!("routes: [{{shadow: {{upstream: http://v2, {shadow}}}}}]");
        assert!(load(&text).is_err(), "{text}");
    }
    for admin in ["socket: false", "socket: none"] {
        assert!(load(&format!("routes: [{{shadow: {{upstream: http://v2}}}}]\nadmin: {{{admin}}}")).is_err());
    }
}

#[test]
fn a_pattern_is_for_the_whole_path() {
    let text = "routes: [{match: {path: {regex: /a}}, shadow: {upstream: http://v2}}]";
    let config = load(text).unwrap().config;
    let Some(PathMatch::Regex(pattern)) = &config.routes[0].matches[0].path else { panic!("no pattern") };
    assert!(pattern.is_match("/a") && !pattern.is_match("/ab") && !pattern.is_match("/x/a"));
}

#[test]
fn safe_methods_are_all_that_is_mirrored_if_the_route_names_none() {
    let text =
        "safe_methods_only: true\nroutes: [{shadow: {upstream: http://v2, percentage: {numerator: 25}}}]";
    let config = load(text).unwrap().config;
    let shadow = &config.routes[0].shadows[0];
    assert_eq!(shadow.methods.as_deref(), Some(&["GET", "HEAD", "OPTIONS"].map(|m| m.parse().unwrap())[..]));
    assert_eq!(shadow.percentage, "25%".parse().unwrap());
}

#[test]
fn what_cannot_be_read_is_said() {
    let source = ConfigSource { path: Some("/nowhere/shadow.yaml".into()), ..ConfigSource::default() };
    let error = source.load().unwrap_err().to_string();
    assert!(error.starts_with("can't read /nowhere/shadow.yaml: No such file"), "{error}");
    let huge = " ".repeat((4 << 20) + 1);
    assert!(load(&huge).unwrap_err().to_string().contains("a configuration has at most 4194304"));
}
