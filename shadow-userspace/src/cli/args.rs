//! What the command line understands: clap's view of it, and the agent's options made from it.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    agent::SummaryFormat,
    capture::SampleRate,
    cli::{
        convert::ConvertArgs,
        copies::Copies,
        ctl::CtlArgs,
        doctor::DoctorArgs,
        place::{Place, once_each, sorted},
        replay::ReplayArgs,
        tap::TapArgs,
        values,
    },
    config::{CaptureConfig, Config},
    route::SampleKey,
    shadow::connect::OWN_MARK,
};

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

    /// Send copies of the requests in a capture file, as tcpdump or Wireshark write it.
    ///
    /// The copies are those that `run` sends, at the capture's pace or another. Ends with the file, or at SIGINT or
    /// SIGTERM. Needs no rights. The summary goes to stdout at the end, everything else to stderr.
    Replay(ReplayArgs),

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

    /// Make a configuration file of the mirror rules of Gloo, Istio or the Gateway API.
    ///
    /// Reads VirtualService, with Upstream and RouteTable, and HTTPRoute documents, as many as there are, and writes the
    /// agent's own YAML to stdout. What can't be carried over, or is a guess, goes to stderr. `run --config` takes
    /// such files directly.
    Convert(ConvertArgs),

    /// Ask a running agent how it is, or change what it does.
    ///
    /// It talks to the agent's Unix socket, so it needs root, or to be the agent's user. The exit code is 1 if the agent
    /// refuses.
    Ctl(CtlArgs),
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

    /// Ring buffer between kernel and agent: a power of two from 256KiB to 1GiB
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = values::ring_size)]
    ring_size: u32,

    #[command(flatten)]
    pub(super) copies: Copies,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum By {
    #[default]
    Request,
    Connection,
    ClientIp,
}

impl RunArgs {
    /// What is captured, and what is done with it.
    pub(super) fn into_config(self) -> (Config, SummaryFormat) {
        let capture = CaptureConfig {
            interfaces: once_each(self.interfaces),
            netns: self.place.netns,
            ports: sorted(self.ports),
            attach: self.place.attach.into(),
            ring_bytes: self.ring_size,
            only_new: self.only_new_connections,
            max_flows: 0,
            max_memory: 0,
        };
        self.copies.into_config(capture, self.sample_rate, self.sample_by.into(), OWN_MARK)
    }
}

impl From<By> for SampleKey {
    fn from(by: By) -> Self {
        match by {
            By::Request => Self::Request,
            By::Connection => Self::Connection,
            By::ClientIp => Self::ClientIp,
        }
    }
}
