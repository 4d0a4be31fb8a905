//! An agent's answers as aligned text.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Deserialize;

use crate::admin::{
    RouteStatus, Status,
    status::{BreakerState, ReloadStatus, RequestsStatus, UpstreamStatus},
};

/// What `POST /api/rate` answers.
#[derive(Debug, Deserialize)]
pub(super) struct RateAnswer {
    route: String,
    percent: f64,
}

pub(super) fn rate(answer: &RateAnswer) -> String {
    format!("{}: {}% from now on\n", line(&answer.route), answer.percent)
}

pub(super) fn status(status: &Status) -> String {
    let up = duration(status.uptime_seconds);
    let mut rows = vec![
        ("agent", format!("{}, process {}, up {up}", status.version, status.pid)),
        ("attached", status.attachment.clone()),
        ("state", if status.paused { "paused: no new request is taken" } else { "mirroring" }.to_owned()),
    ];
    if let Some(sampling) = &status.sampling {
        rows.push(("sampling", format!("{}% by {}", sampling.percent, sampling.by)));
    }
    rows.push(("config", status.config.clone().unwrap_or_else(|| "none, flags alone".to_owned())));
    rows.extend(status.last_reload.as_ref().map(|reload| ("reload", reloaded(reload))));
    rows.extend(requests(&status.requests));
    if let Some(capabilities) = &status.capabilities {
        let listed = if capabilities.is_empty() { "none".to_owned() } else { capabilities.join(", ") };
        rows.push(("capabilities", listed));
    }
    let mut text = String::new();
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name:<widest$}  {}", line(&value));
    }
    if !status.upstreams.is_empty() {
        text.push('\n');
        text.push_str(&upstreams(&status.upstreams));
    }
    text
}

pub(super) fn routes(routes: &[RouteStatus]) -> String {
    let heads = ["ROUTE", "MATCHES", "BY", "UPSTREAM", "RATE"];
    let counts = ["SAMPLED", "MIRRORED", "FAILED", "DROPPED", "IN FLIGHT"];
    let mut rows = vec![heads.into_iter().chain(counts).map(str::to_owned).collect()];
    for route in routes {
        for shadow in &route.shadows {
            let mut row = [&route.name, &route.matches, &route.sample_by, &shadow.upstream]
                .map(|text| line(text))
                .to_vec();
            row.push(format!("{}%", shadow.percent));
            let counts = [shadow.sampled, shadow.mirrored, shadow.failed, shadow.dropped, shadow.in_flight];
            row.extend(counts.map(|count| count.to_string()));
            rows.push(row);
        }
    }
    table(&rows)
}

fn upstreams(upstreams: &[UpstreamStatus]) -> String {
    let heads = ["UPSTREAM", "URL", "BREAKER", "IN FLIGHT", "QUEUED", "CONNECTIONS"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for upstream in upstreams {
        let breaker = match upstream.breaker {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::Probing => "probing",
        };
        let counts = [upstream.in_flight, upstream.queued, upstream.connections_opened];
        let mut row = vec![line(&upstream.name), line(&upstream.url), breaker.to_owned()];
        row.extend(counts.map(|count| count.to_string()));
        rows.push(row);
    }
    table(&rows)
}

fn requests(requests: &RequestsStatus) -> Vec<(&'static str, String)> {
    let RequestsStatus { seen, drawn, routed, undecided, sampled, mirrored, in_flight, .. } = requests;
    let mut rows = vec![(
        "requests",
        format!("{seen} seen, {drawn} drawn, {routed} with copies, {undecided} undecided"),
    )];
    let reasons = |rows: &mut Vec<_>, name, counts: &BTreeMap<String, u64>| {
        if !counts.is_empty() {
            let listed: Vec<_> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            rows.push((name, listed.join(", ")));
        }
    };
    reasons(&mut rows, "passed", &requests.passed);
    rows.push(("copies", format!("{sampled} sampled, {mirrored} mirrored, {in_flight} in flight")));
    reasons(&mut rows, "failed", &requests.failed);
    reasons(&mut rows, "dropped", &requests.dropped);
    rows
}

fn reloaded(reload: &ReloadStatus) -> String {
    let ago = duration(reload.seconds_ago);
    match &reload.error {
        None => format!("{ago} ago, in effect"),
        Some(error) => format!("{ago} ago, refused, the old configuration stays: {error}"),
    }
}

/// Columns as wide as their widest cell, the last one without spaces at its end.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The two largest units that matter.
fn duration(seconds: f64) -> String {
    // Saturates, and what isn't a number is none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating is right here")]
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// Line ends and what else could disturb a terminal become spaces.
pub(super) fn line(text: &str) -> String {
    text.trim().replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::{SamplingStatus, ShadowStatus};

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (0.9, "0s"),
            (59.0, "59s"),
            (61.0, "1m 1s"),
            (3_725.0, "1h 2m"),
            (90_000.0, "1d 1h"),
            (f64::NAN, "0s"),
            (-1.0, "0s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn the_status_is_aligned_and_leaves_out_what_did_not_happen() {
        let counts = |reason: &str, count| BTreeMap::from([(reason.to_owned(), count)]);
        let requests = RequestsStatus {
            seen: 9,
            drawn: 5,
            routed: 4,
            passed: counts("no_route", 1),
            sampled: 4,
            mirrored: 2,
            dropped: counts("gap", 1),
            in_flight: 1,
            ..RequestsStatus::default()
        };
        let shown = status(&Status {
            version: "0.1.0".to_owned(),
            pid: 42,
            uptime_seconds: 61.0,
            attachment: "TC of eth0".to_owned(),
            sampling: Some(SamplingStatus { by: "request".to_owned(), percent: 12.5 }),
            config: Some("/etc/a.yaml".to_owned()),
            last_reload: Some(ReloadStatus { seconds_ago: 3.0, error: Some("line 3:\n\x1b[2J".to_owned()) }),
            requests,
            upstreams: vec![UpstreamStatus {
                name: "v2".to_owned(),
                url: "https://v2".to_owned(),
                breaker: BreakerState::Open,
                ..UpstreamStatus::default()
            }],
            ..Status::default()
        });
        let expected = "\
agent     0.1.0, process 42, up 1m 1s
attached  TC of eth0
state     mirroring
sampling  12.5% by request
config    /etc/a.yaml
reload    3s ago, refused, the old configuration stays: line 3:  [2J
requests  9 seen, 5 drawn, 4 with copies, 0 undecided
passed    1 no_route
copies    4 sampled, 2 mirrored, 1 in flight
dropped   1 gap

UPSTREAM  URL         BREAKER  IN FLIGHT  QUEUED  CONNECTIONS
v2        https://v2  open     0          0       0
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_upstream_of_a_route_has_a_line() {
        let shadow = |upstream: &str, percent| ShadowStatus {
            upstream: upstream.to_owned(),
            percent,
            sampled: 10,
            mirrored: 7,
            ..ShadowStatus::default()
        };
        let shown = routes(&[RouteStatus {
            name: "pets".to_owned(),
            matches: "everything".to_owned(),
            sample_by: "client-ip".to_owned(),
            shadows: vec![shadow("v2", 12.5), shadow("v3-long", 100.0)],
        }]);
        let expected = "\
ROUTE  MATCHES     BY         UPSTREAM  RATE   SAMPLED  MIRRORED  FAILED  DROPPED  IN FLIGHT
pets   everything  client-ip  v2        12.5%  10       7         0       0        0
pets   everything  client-ip  v3-long   100%   10       7         0       0        0
";
        assert_eq!(shown, expected);
    }
}
