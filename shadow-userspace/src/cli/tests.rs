//! What users type, and the one line that they get for a mistake.

use std::{path::Path, time::Duration};

use clap::CommandFactory;

use super::*;
use crate::{
    agent::{Speed, SummaryFormat},
    capture::{AttachMode, file::Input},
    config::{AdminSocket, Config, ConfigSource},
    route::SampleKey,
};

fn command(arguments: &str) -> Result<Command, UsageError> {
    let arguments = std::iter::once("shadow-agent").chain(arguments.split_whitespace());
    Ok(Cli::try_parse_from(arguments).map_err(|error| UsageError::from(&error))?.command)
}

fn source(arguments: &str) -> Result<ConfigSource, UsageError> {
    match command(arguments)? {
        Command::Run(run) => Ok(run.into_source()),
        other => panic!("not `run`: {other:?}"),
    }
}

fn options(arguments: &str) -> Result<(Config, SummaryFormat), UsageError> {
    let loaded = source(arguments)?.load().unwrap();
    Ok((loaded.config, loaded.summary))
}

const MINIMAL: &str = "run --interface eth0 --port 8080 --shadow http://petstore-v2:8080";

#[test]
fn clap_finds_no_fault_in_the_definitions() {
    Cli::command().debug_assert();
}

#[test]
fn defaults() {
    let (config, summary) = options(MINIMAL).unwrap();
    let (live, upstream, shadow) = (&config.capture, &config.upstreams[0], &config.routes[0].shadows[0]);
    assert_eq!((live.interfaces.clone(), live.netns.clone()), (vec!["eth0".to_owned()], None));
    assert_eq!(live.ports, [8080]);
    assert_eq!(shadow.percentage.to_string(), "100%");
    assert_eq!(live.attach, AttachMode::Auto);
    assert_eq!((live.ring_bytes, live.max_flows), (16 << 20, 65_536));
    assert_eq!(upstream.own_mark, crate::shadow::options::OWN_MARK, "the kernel knows the sockets by it");
    assert_eq!(upstream.url.to_string(), "http://petstore-v2:8080");
    assert_eq!(upstream.timeout, Duration::from_secs(10));
    assert_eq!((upstream.max_in_flight, upstream.max_queue), (256, 8192));
    assert_eq!((shadow.max_body, live.max_memory), (1 << 30, 256 << 20));
    assert_eq!(summary, SummaryFormat::Text);
}

#[test]
fn everything_can_be_set() {
    let (config, summary) = options(&format!(
        "{MINIMAL} --interface eth1 --interface eth0 --netns /run/netns/x \
         --port 80 --port 8080 --sample-rate 5% --attach xdp-generic --summary json --timeout 500ms \
         --max-in-flight 10 --max-queue 20 --max-body 1MiB --max-memory 8MiB --ring-size 1MiB --max-flows 100 \
         --log debug"
    ))
    .unwrap();
    let (live, upstream, shadow) = (&config.capture, &config.upstreams[0], &config.routes[0].shadows[0]);
    assert_eq!(live.interfaces, ["eth0", "eth1"], "in order, each once");
    assert_eq!(live.netns.as_deref(), Some(Path::new("/run/netns/x")));
    assert_eq!(live.ports, [80, 8080]);
    assert_eq!(shadow.percentage.to_string(), "5%");
    assert_eq!(live.attach, AttachMode::XdpGeneric);
    assert_eq!((live.ring_bytes, live.max_flows), (1 << 20, 100));
    assert_eq!(upstream.timeout, Duration::from_millis(500));
    assert_eq!((upstream.max_in_flight, upstream.max_queue), (10, 20));
    assert_eq!((shadow.max_body, live.max_memory), (1 << 20, 8 << 20));
    assert_eq!(summary, SummaryFormat::Json);
}

#[test]
fn replay_takes_a_file_and_a_speed() {
    let replay = |arguments: &str| match command(arguments).unwrap() {
        Command::Replay(replay) => {
            let (replay, source) = replay.into_source();
            let loaded = source.load().unwrap();
            (replay, loaded.config, loaded.summary)
        }
        other => panic!("not `replay`: {other:?}"),
    };
    let (replayed, config, _) = replay("replay --pcap x.pcap --shadow http://v2");
    assert_eq!((replayed.input, replayed.speed), (Input::Path("x.pcap".into()), Speed::Times(1.0)));
    assert_eq!(
        (replayed.ports, config.capture.max_memory, config.upstreams[0].own_mark),
        (vec![], 256 << 20, 0)
    );
    let (replayed, config, summary) = replay(
        "replay --pcap - --shadow http://v2 --port 81 --port 80 --speed max --summary json --timeout 1s",
    );
    assert_eq!((replayed.input, replayed.speed), (Input::Stdin, Speed::Max));
    assert_eq!((replayed.ports, summary), (vec![80, 81], SummaryFormat::Json));
    assert_eq!(config.upstreams[0].timeout, Duration::from_secs(1));
    for (text, speed) in [("10x", Speed::Times(10.0)), ("0.5X", Speed::Times(0.5)), ("MAX", Speed::Max)] {
        assert_eq!(text.parse(), Ok(speed));
    }
    for text in ["", "x", "10", "0x", "-1x", "nanx", "infx", "1e9x", "fast"] {
        assert!(text.parse::<Speed>().is_err(), "{text}");
    }
}

#[test]
fn a_mistake_gets_one_line() {
    for (arguments, line) in [
        (
            format!("{MINIMAL} --sample-rate 120%"),
            r#"--sample-rate: "120%" is no sample rate: give a percentage from 0% to 100%, such as 5% or 0.25%"#,
        ),
        (
            "run --interface eth0 --port 0 --shadow http://v2".to_owned(),
            r#"--port: "0" is no port: give a number from 1 to 65535"#,
        ),
        (
            "run --interface eth0 --port 80 --shadow v2:80".to_owned(),
            r#"--shadow: "v2:80" is no upstream URL: give one like http://petstore-v2:8080"#,
        ),
        (
            "run --interface eth0 --port 80 --shadow ftp://v2".to_owned(),
            r#"--shadow: scheme "ftp" is not supported: give an http:// or https:// URL"#,
        ),
        (
            format!("{MINIMAL} --timeout 10"),
            r#"--timeout: "10" is no duration: give a whole number with a unit, such as 500ms, 10s or 2m"#,
        ),
        (
            "run --interface eth0".to_owned(),
            "the following required arguments were not provided: --port <P> --shadow <URL>",
        ),
        (
            format!("{MINIMAL} --admin localhost"),
            r#"--admin: "localhost" is no address: give one with its port, such as 127.0.0.1:9900"#,
        ),
        (
            format!("{MINIMAL} --host-suffix a/b"),
            r#"--host-suffix: "a/b" can't end a host: give letters, digits, hyphens and dots, such as -shadow, or """#,
        ),
        (
            "run --config x --sample-rate 5%".to_owned(),
            "the following required arguments were not provided: --shadow <URL>",
        ),
        (
            "run".to_owned(),
            "the following required arguments were not provided: --interface <IF> --port <P> --shadow <URL>",
        ),
        (
            format!("{MINIMAL} --attach xdp"),
            "invalid value 'xdp' for '--attach <MODE>' [possible values: auto, xdp-native, xdp-generic, tc, \
             clsact]; tip: a similar value exists: 'xdp-native'",
        ),
        (
            format!("{MINIMAL} --ports 80"),
            "unexpected argument '--ports' found; tip: a similar argument exists: '--port'",
        ),
        (
            format!("{MINIMAL} --summary text --summary json"),
            "the argument '--summary <FORM>' cannot be used multiple times",
        ),
        (
            "replay --pcap x --shadow http://v2 --speed 2".to_owned(),
            r#"--speed: "2" is no speed: give 1x for the capture's own, another factor such as 10x or 0.5x, or max"#,
        ),
        ("walk".to_owned(), "unrecognized subcommand 'walk'"),
        (format!("{MINIMAL} --log"), "a value is required for '--log <LEVEL>' but none was supplied"),
    ] {
        assert_eq!(options(&arguments).unwrap_err().to_string(), line, "{arguments}");
    }
}

#[test]
fn passwords_in_the_url_are_not_repeated() {
    let error =
        options("run --interface eth0 --port 80 --shadow http://me:secret@v2").unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn control_characters_cannot_break_the_line() {
    let error = Cli::try_parse_from(["shadow-agent", "run", "--port", "80", "--x\n\x1b[31m"]).unwrap_err();
    assert!(!UsageError::from(&error).to_string().contains(char::is_control));
}

#[test]
fn help_is_no_error_and_tells_units_and_defaults() {
    let error = Cli::try_parse_from(["shadow-agent", "run", "--help"]).unwrap_err();
    assert!(usage::is_help(&error));
    let help = error.to_string();
    for words in [
        "[default: 10s]",
        "[default: 16MiB]",
        "[default: 100%]",
        "500ms",
        "queue_full",
        "http://petstore-v2:8080",
    ] {
        assert!(help.contains(words), "{words} is not in\n{help}");
    }
    assert!(!usage::is_help(&Cli::try_parse_from(["shadow-agent", "walk"]).unwrap_err()));
}

/// Every flag of `run`, a value for it, and the key that it is.
const FLAGS: &[(&str, &str, &str)] = &[
    ("interface", "eth7", "capture.interfaces"),
    ("netns", "/run/netns/y", "capture.netns"),
    ("port", "9", "capture.ports"),
    ("attach", "tc", "capture.attach"),
    ("ring-size", "1MiB", "capture.ring_size"),
    ("only-new-connections", "", "capture.only_new_connections"),
    ("max-flows", "7", "capture.max_flows"),
    ("max-memory", "7MiB", "capture.max_memory"),
    ("timeout", "7s", "defaults.timeout"),
    ("max-in-flight", "7", "defaults.max_in_flight"),
    ("max-queue", "7", "defaults.max_queue"),
    ("max-rps", "7", "defaults.max_rps"),
    ("max-body", "7KiB", "defaults.max_body"),
    ("host-suffix", "-seven", "defaults.host_suffix"),
    ("shadow", "https://seven", "routes.shadow.upstream"),
    ("shadow-ca-file", "/seven.pem", "upstreams.https://petstore-v2.tls.ca_file"),
    ("shadow-insecure", "", "upstreams.https://petstore-v2.tls.insecure"),
    ("sample-rate", "7%", "routes.shadow.percentage"),
    ("sample-by", "client-ip", "routes.sample_by"),
    ("loop-header", "x-seven", "loop_header"),
    ("safe-methods-only", "", "safe_methods_only"),
    ("admin", "127.0.0.1:7", "admin.listen"),
    ("admin-socket", "/seven.sock", "admin.socket"),
    ("admin-token-file", "/seven", "admin.token_file"),
    ("summary", "json", "summary"),
    ("log", "debug", "log"),
];

/// The keys of a document that have values, with these.
fn keys(value: &serde_json::Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (key, value) in map {
                keys(value, &format!("{path}{dot}{key}"), found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, path, found)),
        scalar => found.push((path.to_owned(), scalar.to_string().trim_matches('"').to_owned())),
    }
}

#[test]
fn every_flag_has_its_key() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let flags: Vec<_> = run.get_arguments().filter_map(clap::Arg::get_long).collect();
    for flag in &flags {
        let known = ["help", "config"].contains(flag) || FLAGS.iter().any(|(name, ..)| name == flag);
        assert!(known, "--{flag} has no key");
    }
    for &(flag, value, key) in FLAGS {
        assert!(flags.contains(&flag), "--{flag} is none");
        let needs_shadow = key.starts_with("routes") || key.starts_with("upstreams");
        let shadow = if needs_shadow && flag != "shadow" { " --shadow https://petstore-v2" } else { "" };
        let source = source(&format!("run --config x{shadow} --{flag} {value}")).unwrap();
        let mut found = Vec::new();
        keys(&serde_json::to_value(&source.overrides.0).unwrap(), "", &mut found);
        let value = if value.is_empty() { "true" } else { value };
        assert!(found.contains(&(key.to_owned(), value.to_owned())), "--{flag} {value}: {found:?}");
    }
}

#[test]
fn without_a_file_the_flags_are_a_whole_configuration() {
    let (config, _) = options(&format!(
        "{MINIMAL} --sample-rate 5% --sample-by client-ip --loop-header X-Copy --safe-methods-only --max-rps 9 \
         --host-suffix -v2 --admin 127.0.0.1:9900 --admin-token-file /t --admin-socket off"
    ))
    .unwrap();
    let (route, shadow) = (&config.routes[0], &config.routes[0].shadows[0]);
    assert_eq!((route.name.as_str(), &route.sample_by), ("default", &SampleKey::ClientIp));
    assert!(route.matches.is_empty());
    assert_eq!(shadow.methods.as_ref().unwrap().len(), 3);
    assert_eq!(shadow.upstream, "http://petstore-v2:8080");
    assert_eq!(
        (config.loop_guard.header.as_str(), config.loop_guard.suffixes.as_slice()),
        ("x-copy", &["-v2".to_owned()][..])
    );
    assert_eq!(config.upstreams[0].max_rps.map(u32::from), Some(9));
    assert_eq!(config.admin.socket, AdminSocket::Off);
    assert!(config.admin.listen.is_some() && config.admin.token_file.is_some());
    let (config, _) = options("run --interface eth0 --port 1 --shadow https://v2 --shadow-insecure").unwrap();
    assert_eq!(config.upstreams.len(), 1);
    assert!(config.upstreams[0].tls.insecure);
}
