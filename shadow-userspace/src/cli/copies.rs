//! What is done with copies: what `run` and `replay` are told alike.

use std::{sync::Arc, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    agent::SummaryFormat,
    capture::SampleRate,
    cli::values,
    config::{AdminConfig, CaptureConfig, Config},
    route::{RouteOptions, SampleKey, ShadowOptions},
    shadow::{options::UpstreamOptions, policy::LoopGuard, upstream::Upstream},
};

/// How long copies may take to finish once the agent is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// The arguments that both have.
#[derive(Debug, Args)]
pub(super) struct Copies {
    /// Upstream that receives the copies, such as http://petstore-v2:8080
    #[arg(long, value_name = "URL")]
    shadow: Upstream,

    /// Form of the summary on stdout: a table, or one JSON object on one line
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    summary: Form,

    /// Time for a whole copy, from connecting to the answer's last byte: 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    timeout: Duration,

    /// Copies on their way to the upstream at once; more wait in the queue
    #[arg(long, value_name = "N", default_value = "256", value_parser = values::count)]
    max_in_flight: u32,

    /// Requests that wait to be copied; more are dropped as queue_full
    #[arg(long, value_name = "N", default_value = "8192", value_parser = values::count)]
    max_queue: u32,

    /// Largest body that is mirrored, in bytes or KiB, MiB, GiB; larger requests are dropped as body_too_large
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = values::size)]
    max_body: usize,

    /// Memory for all captured requests together, in bytes or KiB, MiB, GiB; beyond, they are dropped as memory_limit
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = values::size)]
    max_memory: usize,

    /// Connections followed at once; the least recently used are forgotten
    #[arg(long, value_name = "N", default_value = "65536", value_parser = values::count)]
    pub(super) max_flows: u32,

    /// Log level on stderr: off, error, warn, info, debug or trace [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Text,
    Json,
}

impl Copies {
    /// One route that matches everything, to one upstream.
    pub(super) fn into_config(
        self,
        capture: CaptureConfig,
        rate: SampleRate,
        sample_by: SampleKey,
        own_mark: u32,
    ) -> (Config, SummaryFormat) {
        let mut upstream = UpstreamOptions::new(self.shadow);
        (upstream.timeout, upstream.own_mark) = (self.timeout, own_mark);
        upstream.max_in_flight = self.max_in_flight as usize;
        upstream.max_queue = self.max_queue as usize;
        let shadow = ShadowOptions {
            upstream: upstream.name.clone(),
            percentage: rate,
            policy: Arc::default(),
            methods: None,
            timeout: None,
            max_body: self.max_body,
            max_in_flight: None,
        };
        let name = "default".to_owned();
        let route = RouteOptions { name, matches: Vec::new(), sample_by, shadows: vec![shadow] };
        let capture = CaptureConfig { max_flows: self.max_flows, max_memory: self.max_memory, ..capture };
        let config = Config {
            capture,
            upstreams: vec![upstream],
            routes: vec![route],
            loop_guard: LoopGuard::default(),
            admin: AdminConfig::default(),
            grace: GRACE,
        };
        (config, self.summary.into())
    }
}

impl From<Form> for SummaryFormat {
    fn from(form: Form) -> Self {
        match form {
            Form::Text => Self::Text,
            Form::Json => Self::Json,
        }
    }
}
