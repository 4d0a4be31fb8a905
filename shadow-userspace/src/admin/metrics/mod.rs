//! `/metrics`: takes a sample of the agent, gives text in one of Prometheus' two formats. Nothing is kept between two
//! scrapes, and nothing is counted here.
//!
//! The ledger can be checked from the metrics of one scrape alone:
//!
//! - `shadow_requests_drawn_total == shadow_requests_routed_total + Σ shadow_requests_passed_total
//!   + Σ shadow_requests_dropped_total + shadow_requests_undecided`
//! - for each route and upstream: `shadow_copies_sampled_total == Σ shadow_copies_mirrored_total
//!   + Σ shadow_copies_failed_total + Σ shadow_copies_dropped_total + shadow_copies_in_flight`
//!
//! Every reason has its series from the start, at zero, so that rates see the first one.

mod format;
mod process;
mod system;
mod traffic;

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use crate::{
    admin::MetricsSample,
    shadow::mirror::latency::{BOUNDS, Buckets},
};

pub(super) use format::Format;
pub(super) use process::ProcessStart;

/// No labels.
const BARE: [(&str, &str); 0] = [];

/// The text of one scrape.
pub(super) fn encode(
    sample: MetricsSample,
    start: ProcessStart,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { sample, start }));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Prometheus => format::to_prometheus(&text),
    })
}

#[derive(Debug)]
struct Scrape {
    sample: MetricsSample,
    start: ProcessStart,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut families = Families(encoder);
        traffic::encode(&self.sample, &mut families)?;
        system::encode(&self.sample, &mut families)?;
        process::encode(self.start, &mut families)
    }
}

/// Writes metric families, one after the other.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    /// A counter; the encoder appends `_total` to its name.
    fn counter<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A counter of seconds.
    fn counter_of_seconds<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, Duration)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value.as_secs_f64(), None)?;
        }
        Ok(())
    }

    /// A gauge.
    fn gauge<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A histogram of seconds.
    fn histogram<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, Buckets)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, buckets) in series {
            let bounds = BOUNDS.iter().map(Duration::as_secs_f64);
            // The encoder adds them up.
            let counts: Vec<_> = bounds.zip(buckets.counts).chain([(f64::INFINITY, buckets.above)]).collect();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                buckets.sum.as_secs_f64(),
                buckets.count(),
                &counts,
                None,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
