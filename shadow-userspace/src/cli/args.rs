//! What the command line understands: clap's view of it, and the agent's options made from it.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shadow_common::SampleBy;

use crate::{
    agent::{Options, SummaryFormat},
    capture::{LiveOptions, SampleRate},
    cli::{
        doctor::DoctorArgs,
        place::{Place, once_each, sorted},
        tap::TapArgs,
        values,
    },
    pipeline::PipelineLimits,
    random,
    shadow::{client::ClientOptions, connect::OWN_MARK, dispatch::DispatchOptions, upstream::Upstream},
};

/// How long copies may take to finish once the agent is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Mirrors HTTP requests from a network interface to a second upstream, without touching the real traffic.
#[derive(Debug, Parser)]
#[command(name = "shadow-agent", version, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The agent's commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Capture requests on an interface and send copies of them until SIGINT or SIGTERM.
    ///
    /// Each copy is the request as the client sent it, with the Host suffixed by -shadow and the header
    /// x-shadow-copy added. Answers are discarded. Needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN.
    /// The summary goes to stdout at the end, everything else to stderr.
    Run(RunArgs),

    /// Print exchanges, requests with their responses, on an interface or from a capture file; send nothing.
    ///
    /// Every request is printed when it is over, also one that isn't complete, with the reason. Nothing is
    /// decrypted, and bodies are never shown. On an interface it needs the rights that `run` needs, and lasts until
    /// SIGINT or SIGTERM; a file needs none. A summary goes to stderr at the end.
    Tap(TapArgs),

    /// Say what this kernel, these interfaces and this user can do, and what to fix.
    ///
    /// Changes nothing and attaches nothing. The exit code is 1 where `run` with the same arguments would fail.
    Doctor(DoctorArgs),
}

/// `run`'s arguments.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Network interface that carries the requests, such as eth0; give it again for more interfaces
    #[arg(long = "interface", value_name = "IF", required = true)]
    interfaces: Vec<String>,

    #[command(flatten)]
    place: Place,

    /// Service port (1 to 65535) whose requests are mirrored; give it again for more ports
    #[arg(long = "port", value_name = "P", required = true, value_parser = values::port)]
    ports: Vec<u16>,

    /// Upstream that receives the copies, such as http://petstore-v2:8080
    #[arg(long, value_name = "URL")]
    shadow: Upstream,

    /// Share of the requests that are mirrored, 0% to 100%, such as 5% or 0.25%
    #[arg(long, value_name = "RATE", default_value = "100%")]
    sample_rate: SampleRate,

    /// What the rate is a share of: of requests, or of connections or client addresses with all their requests
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    sample_by: By,

    /// Leave connections alone that were open before the agent, or that it lost its place in. Use it where clients may be
    /// hostile and requests are seen as they come in: one that pipelines could pass off a body as its first request
    #[arg(long)]
    only_new_connections: bool,

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

    /// Ring buffer between kernel and agent: a power of two from 256KiB to 1GiB
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = values::ring_size)]
    ring_size: u32,

    /// Connections followed at once; the least recently used are forgotten
    #[arg(long, value_name = "N", default_value = "65536", value_parser = values::count)]
    max_flows: u32,

    /// Log level on stderr: off, error, warn, info, debug or trace [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum By {
    #[default]
    Request,
    Connection,
    ClientIp,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Text,
    Json,
}

impl RunArgs {
    /// The agent's options.
    pub(super) fn into_options(self) -> Options {
        let max_in_flight = self.max_in_flight as usize;
        Options {
            live: LiveOptions {
                interfaces: once_each(self.interfaces),
                netns: self.place.netns,
                ports: sorted(self.ports),
                rate: self.sample_rate,
                sample_by: self.sample_by.into(),
                attach: self.place.attach.into(),
                ring_bytes: self.ring_size,
                max_flows: self.max_flows,
                only_new: self.only_new_connections,
                export_responses: false,
                own_mark: OWN_MARK,
                seed: random::number(),
            },
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

impl From<By> for SampleBy {
    fn from(by: By) -> Self {
        match by {
            By::Request => Self::Request,
            By::Connection => Self::Connection,
            By::ClientIp => Self::ClientIp,
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
