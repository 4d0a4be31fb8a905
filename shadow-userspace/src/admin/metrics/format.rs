//! The two text formats: OpenMetrics, and Prometheus' own from before it, for scrapers that don't ask for the other.

use std::fmt::Write as _;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type`.
    pub(in crate::admin) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The one that an `Accept` header asks for: OpenMetrics if it is named and nothing else is preferred.
    pub(in crate::admin) fn accepted(accept: &str) -> Self {
        let quality = |wanted: &[&str]| {
            accept
                .split(',')
                .filter_map(|range| {
                    let mut parts = range.split(';').map(str::trim);
                    let name = parts.next()?;
                    if !wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
                        return None;
                    }
                    let given = parts.find_map(|part| part.strip_prefix("q="));
                    given.map_or(Some(1.0), |given| given.parse::<f32>().ok())
                })
                .fold(0.0, f32::max)
        };
        let open_metrics = quality(&["application/openmetrics-text"]);
        if open_metrics > 0.0 && open_metrics >= quality(&["text/plain", "text/*"]) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

/// The same metrics in the older format: there a counter's name has its `_total` in the comments too, and there is no end
/// mark. All other lines are alike.
pub(super) fn to_prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            break;
        }
        let help = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        let kind = lines.peek().and_then(|next| next.strip_prefix("# TYPE ")?.rsplit_once(' '));
        match (help, kind) {
            (Some((name, help)), Some((named, "counter"))) if name == named => {
                // Writing to a string can't fail.
                let _ = write!(text, "# HELP {name}_total {help}\n# TYPE {name}_total counter\n");
                lines.next();
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_preferred() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=x", Format::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9",
                Format::Prometheus,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.3,*/*;q=0.1",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn counters_are_named_as_the_older_format_wants_it() {
        let open = "# HELP a Some counter.\n# TYPE a counter\na_total{b=\"# EOF\"} 1\n\
                    # HELP c A gauge.\n# TYPE c gauge\nc 2\n# EOF\n";
        let old = "# HELP a_total Some counter.\n# TYPE a_total counter\na_total{b=\"# EOF\"} 1\n\
                   # HELP c A gauge.\n# TYPE c gauge\nc 2\n";
        assert_eq!(to_prometheus(open), old);
    }
}
