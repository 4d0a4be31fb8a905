//! The sink, driven with the events that the pipeline gives.

mod files;
mod har;
mod json;
mod pipeline;
mod random;
mod secrets;
mod text;

use std::{net::Ipv4Addr, path::PathBuf};

use jiff::tz::TimeZone;
use shadow_common::FlowKey;

use crate::{
    http::{RequestHead, ResponseHead},
    ledger::DropReason,
    pipeline::{
        ExchangeEvent::{self, *},
        ExchangeSink as _,
    },
    tap::*,
};

/// 2026-11-25T03:00:37.123456Z in nanoseconds.
const BEGAN_NS: u64 = 1_795_575_637_123_456_000;

const TEXT: TapFormat = TapFormat::Text { colours: false, heading: false };

const ALL_FORMATS: [TapFormat; 4] =
    [TEXT, TapFormat::Text { colours: true, heading: true }, TapFormat::Json, TapFormat::Har];

fn options(format: TapFormat) -> TapOptions {
    TapOptions {
        source: TapSource::File { path: PathBuf::from("x"), ports: Vec::new() },
        format,
        filter: Filter::default(),
        secrets: Secrets::Masked,
        count: None,
    }
}

fn flow() -> FlowKey {
    let addr = |last| Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets();
    FlowKey { client_addr: addr(1), service_addr: addr(2), client_port: 40_000, service_port: 8080 }
}

/// A request's head with a Host.
fn request(line: &str, headers: &str) -> RequestHead {
    RequestHead::parse(format!("{line}\r\nHost: a.example\r\n{headers}\r\n")).unwrap()
}

fn response(line: &str, headers: &str) -> ResponseHead {
    ResponseHead::parse(format!("{line}\r\n{headers}\r\n")).unwrap()
}

/// What a test shows to the sink: the parts of one exchange, a millisecond apart.
type Parts<'a> = Vec<ExchangeEvent<'a>>;

/// Shows an exchange.
fn show(tap: &mut Tap<&mut Vec<u8>>, parts: Parts<'_>) {
    let mut exchange = tap.begin(&flow(), BEGAN_NS);
    for (part, at_ns) in parts.into_iter().zip((BEGAN_NS..).step_by(1_000_000)) {
        tap.part(&mut exchange, part, at_ns);
    }
    crate::pipeline::ExchangeSink::finish(tap, exchange);
}

/// What is printed of these exchanges, and the summary.
fn print(options: &TapOptions, exchanges: Vec<Parts<'_>>) -> (String, TapSummary) {
    let mut printed = Vec::new();
    let mut tap = Tap::in_zone(options, &mut printed, || TimeZone::UTC);
    for parts in exchanges {
        show(&mut tap, parts);
    }
    let summary = tap.finish().unwrap();
    (String::from_utf8(printed).unwrap(), summary)
}

/// `GET /a?b=c`, and its answer of 5 bytes, 3 ms after the request's end.
fn whole<'a>() -> Parts<'a> {
    vec![
        RequestHead(request("GET /a?b=c HTTP/1.1", "")),
        RequestEnd(Ok(())),
        Interim(response("HTTP/1.1 103 Early Hints", "")),
        Interim(response("HTTP/1.1 103 Early Hints", "")),
        ResponseHead(response("HTTP/1.1 200 OK", "Content-Type: text/plain\r\n")),
        ResponseBody(b"he"),
        ResponseBody(b"llo"),
        ResponseEnd(Ok(())),
    ]
}

/// Everything that can be missing.
fn broken<'a>() -> Vec<Parts<'a>> {
    let post = || RequestHead(request("POST /b HTTP/1.1", "Content-Length: 4\r\n"));
    let ok = || ResponseHead(response("HTTP/1.1 200 OK", "Content-Length: 4\r\n"));
    vec![
        vec![RequestEnd(Err(DropReason::Gap))],
        vec![post(), RequestBody(b"ab"), RequestEnd(Err(DropReason::Incomplete))],
        vec![post(), RequestBody(b"abcd"), RequestEnd(Ok(()))],
        vec![post(), RequestBody(b"abcd"), RequestEnd(Ok(())), ok(), ResponseBody(b"a"), ResponseHole(3)],
        vec![post(), RequestBody(b"abcd"), RequestEnd(Ok(())), ok(), ResponseBody(b"abcd")],
        vec![post(), ok(), ResponseBody(b"abcd"), ResponseEnd(Ok(())), RequestEnd(Err(DropReason::Gap))],
    ]
}

#[test]
fn the_filters_leave_out_what_any_head_says() {
    let get = || whole();
    let mut filtered = options(TapFormat::Json);
    filtered.filter.statuses = vec!["200".parse().unwrap()];
    filtered.filter.methods = vec!["get".parse().unwrap()];
    let not_found = vec![
        RequestHead(request("GET / HTTP/1.1", "")),
        RequestEnd(Ok(())),
        ResponseHead(response("HTTP/1.1 404 Not Found", "")),
        ResponseEnd(Ok(())),
    ];
    let mut exchanges = broken();
    exchanges.extend([get(), not_found, get()]);
    let (printed, summary) = print(&filtered, exchanges);
    assert_eq!(printed.lines().count(), 2);
    assert_eq!((summary.printed, summary.complete, summary.left_out), (2, 2, 7));
    assert_eq!(summary.to_string(), "2 exchanges, 2 complete; filtered out 7");
}

#[test]
fn no_more_than_asked_for_are_printed() {
    for format in [TEXT, TapFormat::Json] {
        let counted = TapOptions { count: Some(2), ..options(format) };
        let mut printed = Vec::new();
        let mut tap = Tap::in_zone(&counted, &mut printed, || TimeZone::UTC);
        show(&mut tap, whole());
        assert!(!tap.is_done());
        show(&mut tap, whole());
        assert!(tap.is_done());
        show(&mut tap, whole());
        assert_eq!(tap.finish().unwrap().to_string(), "2 exchanges, 2 complete");
        assert_eq!(String::from_utf8(printed).unwrap().lines().count(), 2);
    }
}

#[test]
fn the_summary_has_every_reason() {
    let mut exchanges = broken();
    exchanges.push(whole());
    let (_, summary) = print(&options(TEXT), exchanges);
    assert_eq!(
        summary.to_string(),
        "7 exchanges, 1 complete; requests: gap 2, incomplete 1; responses: gap 1, incomplete 1; without response 3"
    );
    let (_, summary) = print(&options(TEXT), vec![whole()]);
    assert_eq!(summary.to_string(), "1 exchange, 1 complete");
}

#[test]
fn nothing_is_written_before_the_source_pauses() {
    let mut printed = Vec::new();
    let mut tap = Tap::new(&options(TapFormat::Json), &mut printed);
    show(&mut tap, whole());
    tap.flush();
    drop(tap);
    assert_eq!(printed.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn what_does_not_fit_is_not_kept_any_longer() {
    let mut filtered = options(TapFormat::Json);
    filtered.filter.path_prefixes = vec!["/a".parse().unwrap()];
    filtered.filter.statuses = vec!["5xx".parse().unwrap()];
    let mut printed = Vec::new();
    let mut tap = Tap::new(&filtered, &mut printed);
    let mut judged = |parts: Parts<'_>| {
        let mut exchange = tap.begin(&flow(), BEGAN_NS);
        parts.into_iter().for_each(|part| tap.part(&mut exchange, part, BEGAN_NS));
        format!("{exchange:?}")
    };
    let get = |target: &str| RequestHead(request(&format!("GET {target} HTTP/1.1"), ""));
    let answer = |status: &str| ResponseHead(response(&format!("HTTP/1.1 {status} x"), ""));
    assert_eq!(judged(vec![get("/b")]), "Exchange(Unwanted)");
    assert_eq!(judged(vec![get("/a"), RequestEnd(Ok(())), answer("200")]), "Exchange(Unwanted)");
    assert!(judged(vec![get("/a"), RequestEnd(Ok(())), answer("500")]).starts_with("Exchange(Wanted("));
}
