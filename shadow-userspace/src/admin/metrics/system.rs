//! The kernel programs, the ring, flows, memory and the configuration.

use std::fmt;

use shadow_common::{COUNTERS, Counter, CounterKind};

use super::{BARE, Families};
use crate::{
    admin::{MetricsSample, sample::ProgramSample},
    capture::KernelCounters,
    pipeline::FlowStats,
};

pub(super) fn encode(sample: &MetricsSample, to: &mut Families<'_>) -> fmt::Result {
    if let Some(kernel) = &sample.kernel {
        counters(kernel, to)?;
    }
    programs(&sample.programs, to)?;
    to.gauge(
        "shadow_ring_bytes",
        "Bytes in the ring between kernel and agent that were not taken yet.",
        sample.ring.map(|ring| (BARE, ring.used)),
    )?;
    to.gauge(
        "shadow_ring_capacity_bytes",
        "Bytes that the ring between kernel and agent can hold.",
        sample.ring.map(|ring| (BARE, ring.limit)),
    )?;
    flows(&sample.flows, to)?;
    to.gauge("shadow_memory_bytes", "Bytes held for captured requests.", [(BARE, sample.memory.used)])?;
    to.gauge(
        "shadow_memory_limit_bytes",
        "Bytes that may be held for captured requests.",
        [(BARE, sample.memory.limit)],
    )?;
    agent(sample, to)
}

fn counters(kernel: &KernelCounters, to: &mut Families<'_>) -> fmt::Result {
    to.counter(
        "shadow_kernel_segments",
        "Packets by what the kernel programs did. Those that are exported or skipped are the matched ones.",
        COUNTERS.iter().filter_map(|&counter| {
            let account = account(counter)?;
            Some(([("account", account), ("counter", counter.label())], kernel.get(counter)))
        }),
    )?;
    let other = || kernel.of(CounterKind::Other).filter(|&(counter, _)| account(counter).is_none());
    let labelled = |(counter, count): (Counter, u64)| ([("counter", counter.label())], count);
    to.counter(
        "shadow_kernel_bytes",
        "Bytes that the kernel programs counted.",
        other().filter(|(counter, _)| is_bytes(counter.label())).map(labelled),
    )?;
    to.counter(
        "shadow_kernel_events",
        "What else the kernel programs counted.",
        other().filter(|(counter, _)| !is_bytes(counter.label())).map(labelled),
    )
}

/// By the name, so that what is counted one day in bytes doesn't end among numbers of things.
fn is_bytes(name: &str) -> bool {
    name.ends_with("_bytes")
}

fn programs(programs: &[ProgramSample], to: &mut Families<'_>) -> fmt::Result {
    to.counter(
        "shadow_kernel_program_runs",
        "Times that a kernel program ran while kernel.bpf_stats_enabled was 1.",
        programs.iter().map(|program| ([("program", &*program.program)], program.runs)),
    )?;
    to.counter_of_seconds(
        "shadow_kernel_program_seconds",
        "Time that a kernel program ran while kernel.bpf_stats_enabled was 1.",
        programs.iter().map(|program| ([("program", &*program.program)], program.time)),
    )
}

/// The account of segments that a counter belongs to; none: it counts something else.
const fn account(counter: Counter) -> Option<&'static str> {
    match counter.kind() {
        CounterKind::Passed => Some("passed"),
        CounterKind::Exported => Some("exported"),
        CounterKind::Skipped => Some("skipped"),
        CounterKind::Other if matches!(counter, Counter::Matched) => Some("matched"),
        CounterKind::Other => None,
    }
}

fn flows(flows: &FlowStats, to: &mut Families<'_>) -> fmt::Result {
    to.gauge("shadow_flows_open", "Connections that are followed now.", [(BARE, flows.flows_open)])?;
    // Whatever the statistics are called, so that none is forgotten.
    let all = match serde_json::to_value(flows) {
        Ok(serde_json::Value::Object(all)) => all,
        _ => serde_json::Map::new(),
    };
    let counted = || {
        let numbers = all.iter().filter(|(name, _)| *name != "flows_open");
        numbers.filter_map(|(name, count)| Some(([("event", name.as_str())], count.as_u64()?)))
    };
    to.counter(
        "shadow_pipeline_bytes",
        "Bytes that the agent counted in flows.",
        counted().filter(|([(_, name)], _)| is_bytes(name)),
    )?;
    to.counter(
        "shadow_pipeline_events",
        "What became of flows and segments in the agent.",
        counted().filter(|([(_, name)], _)| !is_bytes(name)),
    )
}

fn agent(sample: &MetricsSample, to: &mut Families<'_>) -> fmt::Result {
    to.gauge(
        "shadow_paused",
        "1 while no new request is taken, else 0.",
        [(BARE, u64::from(sample.paused))],
    )?;
    to.counter(
        "shadow_config_reloads",
        "Times that the configuration was read again, by result.",
        [("ok", sample.reloads_ok), ("failed", sample.reloads_failed)]
            .map(|(result, count)| ([("result", result)], count)),
    )?;
    to.gauge(
        "shadow_build_info",
        "The agent's version; always 1.",
        [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
    )
}
