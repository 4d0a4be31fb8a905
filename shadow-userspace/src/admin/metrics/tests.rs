//! What a scraper gets: read by a small parser of its own, as strict as the formats are.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    admin::sample::{Fill, ProgramSample, UpstreamSample},
    capture::KernelCounters,
    ledger::{DropReason, FailReason, Ledger, Outcome, PassReason},
    shadow::mirror::latency::Latency,
};

const ODD_ROUTE: &str = "a \"quoted\\\"\nroute";

/// Requests and copies that ended in every way, and some that haven't.
fn ledger() -> (Ledger, Vec<crate::ledger::Ticket>) {
    let ledger = Ledger::new();
    let accounts = [ledger.account("pets", "v2"), ledger.account(ODD_ROUTE, "http://v3:8080")];
    let mut open = Vec::new();
    for &reason in PassReason::ALL {
        ledger.pass(ledger.open(), reason);
    }
    let outcomes = (FailReason::ALL.iter().map(|&reason| Outcome::Failed(reason)))
        .chain(DropReason::ALL.iter().map(|&reason| Outcome::Dropped(reason)))
        .chain([101, 200, 204, 301, 404, 500, 999].map(Outcome::Mirrored));
    for outcome in outcomes {
        let tickets = ledger.route(ledger.open(), &accounts);
        tickets.into_iter().for_each(|ticket| ticket.settle(outcome));
    }
    ledger.open().settle(Outcome::Dropped(DropReason::Gap));
    ledger.drop_unseen(3, DropReason::RingFull);
    open.extend(ledger.route(ledger.open(), &accounts[..1]));
    open.extend([ledger.open(), ledger.open()]);
    (ledger, open)
}

fn sample(ledger: &Ledger) -> MetricsSample {
    let latency = Latency::new();
    latency.record(Duration::from_millis(3));
    latency.record(Duration::from_secs(60));
    MetricsSample {
        seen: 100,
        requests: ledger.snapshot(),
        kernel: Some(KernelCounters::default()),
        programs: vec![ProgramSample {
            program: "tc_ingress".to_owned(),
            runs: 7,
            time: Duration::from_micros(7_500),
        }],
        ring: Some(Fill { used: 1, limit: 2 }),
        upstreams: vec![UpstreamSample {
            name: "v2".to_owned(),
            latency: latency.buckets(),
            ..UpstreamSample::default()
        }],
        real_latency: Some(latency.buckets()),
        ..MetricsSample::default()
    }
}

/// The labels in the order of their names.
type Labels = BTreeMap<String, String>;

/// What was scraped.
#[derive(Debug, Default)]
struct Scraped {
    types: BTreeMap<String, String>,
    series: BTreeMap<(String, Labels), f64>,
}

impl Scraped {
    fn of(sample: MetricsSample, format: Format) -> Self {
        let text = encode(sample, ProcessStart::read(), format).unwrap();
        Self::parse(&text, format)
    }

    /// Panics at whatever the format doesn't allow.
    fn parse(text: &str, format: Format) -> Self {
        let mut scraped = Self::default();
        let mut family: Option<(String, String)> = None;
        let mut helped = String::new();
        assert!(text.ends_with('\n'));
        let open_metrics = format == Format::OpenMetrics;
        let text = if open_metrics { text.strip_suffix("# EOF\n").unwrap() } else { text };
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(help.ends_with('.') || help.ends_with('1') || help.contains(' '), "{line}");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, helped, "HELP comes before TYPE");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(scraped.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                let (name, labels, value) = series(line);
                let (family, kind) = family.as_ref().expect("TYPE comes before series");
                let suffixes: &[&str] = match &**kind {
                    "counter" if open_metrics => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(
                    suffixes.iter().any(|suffix| name == format!("{family}{suffix}")),
                    "{line} in {family}"
                );
                assert_eq!(*kind == "counter", name.ends_with("_total"), "{line}");
                assert!(scraped.series.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        scraped
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits =
            |of: &Labels| labels.iter().all(|&(name, value)| of.get(name).is_some_and(|own| own == value));
        let found = self.series.iter().filter(|((of, own), _)| of == name && fits(own));
        let values: Vec<f64> = found.map(|(_, &value)| value).collect();
        assert!(!values.is_empty(), "no {name} with {labels:?}");
        values.iter().sum()
    }

    fn values_of(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let of_name = self.series.keys().filter(|(of, _)| of == name);
        of_name.filter_map(|(_, labels)| labels.get(label).map(String::as_str)).collect()
    }
}

/// One line: name, labels, value.
fn series(line: &str) -> (String, Labels, f64) {
    let (name, mut rest) = line.split_at(line.find(['{', ' ']).unwrap());
    assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()), "{line}");
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"").unwrap();
            assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            let (value, behind) = quoted(behind);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap();
    (name.to_owned(), labels, value.parse().unwrap())
}

/// Up to the closing quote, without escapes, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    loop {
        match chars.next().expect("the quote is closed") {
            (at, '"') => return (value, &text[at + 1..]),
            (_, '\\') => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                other @ ('"' | '\\') => other,
                other => panic!("no escape: {other}"),
            }),
            (_, other) => value.push(other),
        }
    }
}

#[test]
fn the_ledger_balances_in_the_metrics_alone() {
    let (ledger, _open) = ledger();
    for format in [Format::OpenMetrics, Format::Prometheus] {
        let scraped = Scraped::of(sample(&ledger), format);
        let of = |name: &str| scraped.sum(name, &[]);
        assert_eq!(
            of("shadow_requests_drawn_total"),
            of("shadow_requests_routed_total")
                + of("shadow_requests_passed_total")
                + of("shadow_requests_dropped_total")
                + of("shadow_requests_undecided")
        );
        assert_eq!((of("shadow_requests_dropped_total"), of("shadow_requests_undecided")), (4.0, 2.0));
        for (route, upstream, in_flight) in [("pets", "v2", 1.0), (ODD_ROUTE, "http://v3:8080", 0.0)] {
            let of = |name: &str| scraped.sum(name, &[("route", route), ("upstream", upstream)]);
            let outcomes = of("shadow_copies_mirrored_total")
                + of("shadow_copies_failed_total")
                + of("shadow_copies_dropped_total");
            assert_eq!(of("shadow_copies_in_flight"), in_flight);
            assert_eq!(of("shadow_copies_sampled_total"), outcomes + in_flight);
            let two = [("route", route), ("status_class", "2xx")];
            assert_eq!(scraped.sum("shadow_copies_mirrored_total", &two), 2.0);
        }
    }
}

#[test]
fn the_samples_own_numbers_are_told() {
    let mut sample = sample(&Ledger::new());
    (sample.paused, sample.reloads_ok, sample.reloads_failed) = (true, 2, 3);
    sample.upstreams[0].breaker = crate::admin::status::BreakerState::Probing;
    let scraped = Scraped::of(sample, Format::OpenMetrics);
    for (name, labels, value) in [
        ("shadow_requests_seen_total", &[][..], 100.0),
        ("shadow_paused", &[], 1.0),
        ("shadow_config_reloads_total", &[("result", "ok")], 2.0),
        ("shadow_config_reloads_total", &[("result", "failed")], 3.0),
        ("shadow_upstream_breaker_open", &[("upstream", "v2")], 1.0),
    ] {
        assert_eq!(scraped.sum(name, labels), value, "{name}");
    }
}

#[test]
fn every_reason_has_its_series_from_the_start() {
    let ledger = Ledger::new();
    let _account = ledger.account("pets", "v2");
    let scraped = Scraped::of(sample(&ledger), Format::OpenMetrics);
    let all = |labels: Vec<&'static str>| labels.into_iter().collect::<BTreeSet<_>>();
    let drops = all(DropReason::ALL.iter().map(|reason| reason.label()).collect());
    let fails = all(FailReason::ALL.iter().map(|reason| reason.label()).collect());
    let passes = all(PassReason::ALL.iter().map(|reason| reason.label()).collect());
    assert_eq!(scraped.values_of("shadow_requests_dropped_total", "reason"), drops);
    assert_eq!(scraped.values_of("shadow_copies_dropped_total", "reason"), drops);
    assert_eq!(scraped.values_of("shadow_copies_failed_total", "reason"), fails);
    assert_eq!(scraped.values_of("shadow_requests_passed_total", "reason"), passes);
    let classes = scraped.values_of("shadow_copies_mirrored_total", "status_class");
    assert_eq!(classes, all(vec!["1xx", "2xx", "3xx", "4xx", "5xx", "other"]));
    assert_eq!(scraped.sum("shadow_copies_sampled_total", &[]), 0.0);
    assert_eq!(scraped.sum("shadow_config_reloads_total", &[("result", "failed")]), 0.0);
    let families = ["segments", "bytes", "events"].map(|what| format!("shadow_kernel_{what}_total"));
    let kernel: usize = families.iter().map(|family| scraped.values_of(family, "counter").len()).sum();
    assert_eq!(kernel, shadow_common::COUNTERS.len());
    assert_eq!(scraped.sum("shadow_kernel_program_seconds_total", &[("program", "tc_ingress")]), 0.0075);
    assert_eq!(scraped.sum("shadow_pipeline_bytes_total", &[("event", "ignored_bytes")]), 0.0);
    assert!(!scraped.values_of("shadow_pipeline_events_total", "event").contains("flows_open"));
}

/// The documentation names all metrics, and no other.
#[test]
fn every_metric_is_documented() {
    let scraped = Scraped::of(sample(&Ledger::new()), Format::Prometheus);
    let (_, documented) = include_str!("../../../../docs/metrics.md").split_once("\n## Metrics\n").unwrap();
    let rows = documented.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    let kinds = scraped.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
    assert_eq!(rows.collect::<BTreeSet<_>>(), kinds.clone().map(|(name, _)| name).collect::<BTreeSet<_>>());
    for (name, kind) in kinds {
        let row = documented.lines().find(|line| line.starts_with(&format!("| `{name}"))).unwrap();
        assert!(row.contains(&format!("| {kind} |")), "{row}");
    }
}

#[test]
fn histograms_add_up() {
    let scraped = Scraped::of(sample(&Ledger::new()), Format::Prometheus);
    for (name, labels) in
        [("shadow_copy_duration_seconds", &[("upstream", "v2")][..]), ("shadow_real_duration_seconds", &[])]
    {
        let at = |bound: &'static str| {
            let mut labels = labels.to_vec();
            labels.push(("le", bound));
            scraped.sum(&format!("{name}_bucket"), &labels)
        };
        assert_eq!((at("0.0025"), at("0.005"), at("30.0"), at("+Inf")), (0.0, 1.0, 1.0, 2.0));
        assert_eq!(scraped.sum(&format!("{name}_count"), labels), 2.0);
        assert_eq!(scraped.sum(&format!("{name}_sum"), labels), 60.003);
    }
    assert_eq!(scraped.types["shadow_copy_duration_seconds"], "histogram");
}

#[test]
fn the_process_is_described() {
    let scraped = Scraped::of(MetricsSample::default(), Format::Prometheus);
    for name in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"] {
        assert!(scraped.sum(name, &[]) > 0.0, "{name}");
    }
    assert!(scraped.sum("process_start_time_seconds", &[]) > 1.7e9);
    assert_eq!(scraped.sum("shadow_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}
