//! What the command line understands: clap's view of it, and the agent's options made from it.

use std::str::FromStr as _;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    capture::SampleRate,
    cli::{
        check::CheckArgs,
        convert::ConvertArgs,
        copies::{Copies, given},
        ctl::CtlArgs,
        doctor::DoctorArgs,
        place::Attach,
        replay::ReplayArgs,
        tap::TapArgs,
        values,
    },
    config::{
        ConfigSource,
        file::{
            Either, Scalar,
            model::{Capture, Route},
        },
    },
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

    /// Say how a configuration file is understood, or all that is wrong with it.
    ///
    /// Touches nothing but the file. The exit code is 2 if anything is wrong.
    Check(CheckArgs),
}

/// `run`'s arguments.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Network interface that carries the requests, such as eth0; give it again for more interfaces
    #[arg(long = "interface", value_name = "IF", required_unless_present = "config")]
    interfaces: Vec<String>,

    /// Network namespace of the interfaces, such as /run/netns/NAME or /proc/PID/ns/net [default: the agent's own]
    #[arg(long, value_name = "PATH")]
    netns: Option<String>,

    /// Where to attach: TC alone unless XDP does no harm (auto), XDP in the driver, XDP in the stack, TC alone, or TC
    /// by netlink filters, as on kernels before 6.6 (clsact) [default: auto]
    #[arg(long, value_name = "MODE", value_enum)]
    attach: Option<Attach>,

    /// Service port (1 to 65535) whose requests are mirrored; give it again for more ports
    #[arg(
        long = "port",
        value_name = "P",
        required_unless_present = "config",
        value_parser = values::kept(values::port)
    )]
    ports: Vec<Scalar>,

    /// Share of the requests that are mirrored, 0% to 100%, such as 5% or 0.25% [default: 100%]
    #[arg(
        long,
        value_name = "RATE",
        requires = "shadow",
        value_parser = values::kept(SampleRate::from_str)
    )]
    sample_rate: Option<Scalar>,

    /// What the rate is a share of: of requests, or of connections or client addresses with all their requests
    /// [default: request]
    #[arg(long, value_name = "WHAT", value_enum, requires = "shadow")]
    sample_by: Option<By>,

    /// Leave connections alone that were open before the agent, or that it lost its place in. Use it where clients may be
    /// hostile and requests are seen as they come in: one that pipelines could pass off a body as its first request
    #[arg(long)]
    only_new_connections: bool,

    /// Ring buffer between kernel and agent: a power of two from 256KiB to 1GiB [default: 16MiB]
    #[arg(long, value_name = "BYTES", value_parser = values::kept(values::ring_size))]
    ring_size: Option<Scalar>,

    #[command(flatten)]
    copies: Copies,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Request,
    Connection,
    ClientIp,
}

impl RunArgs {
    /// What is captured, and what is done with it.
    pub(super) fn into_source(self) -> ConfigSource {
        let capture = Capture {
            interfaces: self.interfaces.into_iter().map(Scalar).collect::<Vec<_>>().into(),
            netns: self.netns.map(Scalar),
            ports: self.ports.into(),
            attach: self.attach.as_ref().and_then(word),
            ring_size: self.ring_size,
            only_new_connections: given(self.only_new_connections),
            ..Capture::default()
        };
        let sample_by = self.sample_by.as_ref().and_then(word).map(Either::Text);
        let route = Route { sample_by, ..Route::default() };
        ConfigSource { is_live: true, ..self.copies.into_source(capture, route, self.sample_rate) }
    }
}

/// The word that the command line and the file have for a value.
fn word(value: &impl ValueEnum) -> Option<Scalar> {
    value.to_possible_value().map(|word| word.get_name().into())
}
