//! What is done with copies: what `run` and `replay` are told alike.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::{
    agent::{Options, SummaryFormat},
    cli::values,
    pipeline::PipelineLimits,
    shadow::{client::ClientOptions, dispatch::DispatchOptions, upstream::Upstream},
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
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = values::size)]
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
    /// The agent's options.
    pub(super) fn into_options(self) -> Options {
        let max_in_flight = self.max_in_flight as usize;
        Options {
            upstream: self.shadow,
            client: ClientOptions {
                timeout: self.timeout,
                max_idle: max_in_flight,
                ..ClientOptions::default()
            },
            dispatch: DispatchOptions {
                max_in_flight,
                max_queue: self.max_queue as usize,
                ..DispatchOptions::default()
            },
            limits: PipelineLimits {
                max_flows: self.max_flows as usize,
                max_body_bytes: self.max_body,
                ..PipelineLimits::default()
            },
            max_memory: self.max_memory,
            grace: GRACE,
            summary: self.summary.into(),
        }
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
