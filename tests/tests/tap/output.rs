//! What `tap` prints and what it says when it can't: formats, filters, secrets, pipes, and files that are none.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use shadow_tests::{
    packets::{Conversation, Ends, Format, Reply, conversation::merged, file, message::get},
    plan::Sent,
    tap::{Listed, command, directory, parse, run, save},
};

use crate::script::{Capture, conversation};

/// Runs `tap` on a file.
fn tap(path: &Path, more: &[&str]) -> Output {
    run(command(&["--pcap", &path.display().to_string()]).unwrap().args(more), None).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Targets that are listed with these arguments.
fn targets(capture: &Capture, more: &[&str]) -> Vec<String> {
    let output = tap(&capture.path, &[&["--format", "json"], more].concat());
    assert!(output.status.success(), "{more:?}: {}", text(&output.stderr));
    parse(&output.stdout).unwrap().iter().map(|one| one.target().to_owned()).collect()
}

fn with_header(mut request: Sent, name: &str, value: &str) -> Sent {
    request.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}

#[test]
fn filters_leave_what_they_say() {
    let mut talk = Conversation::new(Ends::v4(40_000));
    let host = |target: &str, host: &str| with_header(get(target), "Host", host);
    talk.open();
    talk.exchange(get("/items/1"), Reply::ok("one"));
    talk.exchange(get("/items/2?q=/other"), Reply::ok("").status(404));
    talk.exchange(shadow_tests::packets::message::post("/other", b"x".to_vec()), Reply::ok("").status(201));
    talk.exchange(host("/host", "api.example.com:8080"), Reply::ok("").status(503));
    talk.close();
    let capture = Capture::of_packets(&talk.packets);
    for (filters, expected) in [
        (&[][..], &["/items/1", "/items/2?q=/other", "/other", "/host"][..]),
        (&["--method", "POST"], &["/other"]),
        (&["--method", "post", "--method", "GET"], &["/items/1", "/items/2?q=/other", "/other", "/host"]),
        (&["--path-prefix", "/items"], &["/items/1", "/items/2?q=/other"]),
        (&["--path-prefix", "/other"], &["/other"]),
        (&["--host", "API.example.com"], &["/host"]),
        (&["--host", "*.example.com"], &["/host"]),
        (&["--status", "404"], &["/items/2?q=/other"]),
        (&["--status", "4xx", "--status", "500-599"], &["/items/2?q=/other", "/host"]),
        (&["--status", "2xx", "--method", "GET"], &["/items/1"]),
        (&["--port", "8080"], &["/items/1", "/items/2?q=/other", "/other", "/host"]),
        (&["--port", "9999"], &[]),
        (&["--count", "2"], &["/items/1", "/items/2?q=/other"]),
    ] {
        assert_eq!(targets(&capture, filters), expected, "{filters:?}");
    }
}

#[test]
fn secrets_are_masked_in_every_format_unless_asked_for() {
    const SECRETS: [&str; 4] = ["t0ken", "c00kie", "s3t", "pr0xy"];
    let mut request = with_header(get("/secret"), "aUTHORIZATION", "Bearer t0ken");
    request = with_header(request, "Cookie", "session=c00kie; other=c00kie");
    request = with_header(request, "Proxy-Authorization", "Basic pr0xy");
    let answer =
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=s3t; Path=/\r\nset-cookie: b=s3t\r\nContent-Length: 0\r\n\r\n";
    let mut talk = Conversation::new(Ends::v4(40_000));
    talk.open().client(request.wire().freeze()).server(answer).close();
    let capture = Capture::of_packets(&talk.packets);
    for format in ["text", "json", "har"] {
        let masked = tap(&capture.path, &["--format", format]);
        let all = text(&masked.stdout) + &text(&masked.stderr);
        assert!(all.contains("/secret"), "{format}: {all}");
        assert!(!SECRETS.iter().any(|secret| all.contains(secret)), "{format}: {all}");
    }
    for format in ["json", "har"] {
        let shown = text(&tap(&capture.path, &["--format", format, "--show-secrets"]).stdout);
        assert!(SECRETS.iter().all(|secret| shown.contains(secret)), "{format}: {shown}");
    }
    let masked = parse(&tap(&capture.path, &["--format", "json"]).stdout).unwrap();
    assert!(masked[0].header("cookie").is_some(), "the header is there still: {masked:?}");
}

#[test]
fn har_is_one_document_with_an_entry_for_each_exchange() {
    let talk = conversation(Ends::v4(40_000));
    let empty: [&[_]; 1] = [&[]];
    for packets in empty.into_iter().chain([&talk.packets[..]]) {
        let capture = Capture::of_packets(packets);
        let output = tap(&capture.path, &["--format", "har"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let har: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(har["log"]["version"], "1.2");
        let entries = har["log"]["entries"].as_array().unwrap();
        assert_eq!(entries.len(), if packets.is_empty() { 0 } else { talk.exchanges.len() });
        for (entry, exchange) in entries.iter().zip(&talk.exchanges) {
            assert_eq!(entry["request"]["method"], exchange.request.method.as_str());
            let url = entry["request"]["url"].as_str().unwrap();
            assert_eq!(url, format!("http://shop.example{}", exchange.request.target));
            assert_eq!(entry["response"]["status"], exchange.reply.status);
            assert_eq!(entry["response"]["content"]["size"], exchange.reply.received_body().len());
            // EPOCH_NS, the conversation's start.
            assert!(entry["startedDateTime"].as_str().unwrap().starts_with("2026-01-01T00:00:00"), "{entry}");
        }
    }
}

#[test]
fn text_is_a_line_for_each_exchange_and_drives_no_terminal() {
    let mut talk = Conversation::new(Ends::v4(40_000));
    talk.open().exchange(with_header(get("/plain"), "Host", "shop.example"), Reply::ok("").status(418));
    talk.client(&b"GET /esc\x1b[31m HTTP/1.1\r\nHost: a\x1b]0;b\x07\r\n\r\n"[..])
        .server(Reply::ok("").wire());
    talk.close();
    let capture = Capture::of_packets(&talk.packets);
    let output = tap(&capture.path, &["--format", "text"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all = text(&output.stdout);
    let line = all.lines().find(|line| line.contains("/plain")).unwrap();
    assert!(["GET", "shop.example", "418", "10.1.0.1"].iter().all(|part| line.contains(part)), "{line}");
    assert!(!all.chars().any(|char| char.is_control() && char != '\n'), "{all:?}");
}

#[test]
fn a_capture_may_come_from_standard_input() {
    let talk = conversation(Ends::v4(40_000));
    let bytes = file::bytes(&talk.packets, Format::default());
    let from_file = Capture::of(&bytes).list();
    let mut command = command(&["--pcap", "-", "--format", "json", "--show-secrets"]).unwrap();
    let output = run(&mut command, Some(bytes)).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(parse(&output.stdout).unwrap(), from_file);
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let talks: Vec<Conversation> = (0..2_000).map(|port| conversation_of_one(20_000 + port)).collect();
    let capture = Capture::of_packets(&merged(&talks));
    let mut command = command(&["--format", "json", "--pcap", &capture.path.display().to_string()]).unwrap();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // The pipe is closed after one line: what comes next can't be written.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    let _: Listed = serde_json::from_str(&line).unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success() && !errors.contains("panic"), "{}: {errors}", output.status);
}

fn conversation_of_one(port: u16) -> Conversation {
    let mut talk = Conversation::new(Ends::v4(port));
    talk.open().exchange(get("/one"), Reply::ok("")).close();
    talk
}

#[test]
fn a_file_that_is_no_capture_is_one_clear_line() {
    let directory = directory().unwrap();
    let talk = conversation_of_one(40_000);
    let good = file::bytes(&talk.packets, Format::default());
    let mut unknown_link = good.clone();
    unknown_link[20..24].copy_from_slice(&147_u32.to_le_bytes());
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", ""),
        ("text", b"GET / HTTP/1.1\r\nHost: this is no capture, only text\r\n\r\n", ""),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", "gzip"),
        ("link", &unknown_link, "147"),
        ("head", &good[..20], ""),
    ];
    for (name, bytes, word) in cases {
        let path = save(&directory, name, bytes).unwrap();
        assert_refused(&tap(&path, &["--format", "json"]), &[word, name]);
    }
    assert_refused(&tap(&directory.path().join("nowhere"), &[]), &["nowhere"]);
    assert_refused(&tap(directory.path(), &[]), &[]);
}

fn assert_refused(output: &Output, words: &[&str]) {
    let errors = text(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    assert_eq!(errors.trim().lines().count(), 1, "{errors}");
    assert!(words.iter().all(|word| errors.contains(word)), "{words:?} in: {errors}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_capture_that_ends_within_a_packet_is_read_to_there() {
    let talk = conversation(Ends::v4(40_000));
    let directory = directory().unwrap();
    let whole = file::bytes(&talk.packets, Format::default());
    let path = directory.path().join("cut.pcap");
    // The FIN packets, of 54 bytes with headers of 16, are the last three; the request before isn't hurt.
    fs::write(&path, &whole[..whole.len() - 30]).unwrap();
    let output = tap(&path, &["--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed = parse(&output.stdout).unwrap();
    assert_eq!(listed.iter().filter(|one| one.is_complete()).count(), 5, "{listed:#?}");
    assert!(!text(&output.stderr).is_empty(), "it says that the file is cut");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [
        &[][..],
        &["--pcap", "a", "--interface", "b"],
        &["--interface", "eth0"],
        &["--pcap", "a", "--format", "xml"],
        &["--pcap", "a", "--status", "9"],
        &["--pcap", "a", "--port", "0"],
    ] {
        let output = run(&mut command(arguments).unwrap(), None).unwrap();
        assert!(!output.status.success() && !output.stderr.is_empty(), "{arguments:?}");
    }
}
