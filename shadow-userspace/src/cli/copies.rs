//! What is done with copies: what `run` and `replay` are told alike.
//!
//! Every flag is a key of the configuration file, and replaces what the file says. So the flags become a document too,
//! and what they mean is read where the file's keys are.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    cli::values::{self, kept},
    config::{
        ConfigSource, Overrides,
        check::words,
        file::{
            Document, Entries, Scalar,
            model::{Admin, Capture, Defaults, Route, Shadow, Tls, Upstream as Section},
        },
    },
    shadow::client::upstream::Upstream,
};

/// The arguments that both have.
#[derive(Debug, Args)]
pub(super) struct Copies {
    /// Configuration file: YAML of the agent's own, or documents of Gloo, Istio or the Gateway API; the flags replace
    /// what it says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Upstream that receives the copies, such as http://petstore-v2:8080
    #[arg(long, value_name = "URL", required_unless_present = "config")]
    shadow: Option<Upstream>,

    /// PEM file of the authorities that an https upstream's certificate is checked by [default: the system's]
    #[arg(long, value_name = "FILE", requires = "shadow", conflicts_with = "shadow_insecure")]
    shadow_ca_file: Option<String>,

    /// Take any certificate of an https upstream: whoever sits between can read the copies
    #[arg(long, requires = "shadow")]
    shadow_insecure: bool,

    /// What a copy's Host gets before its port; "" for nothing [default: -shadow]
    #[arg(long, value_name = "SUFFIX", allow_hyphen_values = true, value_parser = kept(words::host_suffix))]
    host_suffix: Option<Scalar>,

    /// Header that marks copies; requests that have it are never mirrored [default: x-shadow-copy]
    #[arg(long, value_name = "NAME", value_parser = kept(words::header_name))]
    loop_header: Option<Scalar>,

    /// Mirror GET, HEAD and OPTIONS only
    #[arg(long)]
    safe_methods_only: bool,

    /// Form of the summary on stdout: a table, or one JSON object on one line [default: text]
    #[arg(long, value_name = "FORM", value_enum)]
    summary: Option<Form>,

    /// Time for a whole copy, from connecting to the answer's last byte: 500ms, 10s, 2m [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = kept(values::duration))]
    timeout: Option<Scalar>,

    /// Copies on their way to an upstream at once; more wait in the queue [default: 256]
    #[arg(long, value_name = "N", value_parser = kept(values::count))]
    max_in_flight: Option<Scalar>,

    /// Requests that wait to be copied, 0 for none; more are dropped as queue_full [default: 8192]
    #[arg(long, value_name = "N", value_parser = kept(values::count_or_none))]
    max_queue: Option<Scalar>,

    /// Copies per second to an upstream; more are dropped as rate_limit [default: any number]
    #[arg(long, value_name = "N", value_parser = kept(values::positive))]
    max_rps: Option<Scalar>,

    /// Largest body that is mirrored, in bytes or KiB, MiB, GiB; larger requests are dropped as body_too_large
    /// [default: 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = kept(values::size))]
    max_body: Option<Scalar>,

    /// Memory for all captured requests together, in bytes or KiB, MiB, GiB; beyond, they are dropped as memory_limit
    /// [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = kept(values::size))]
    max_memory: Option<Scalar>,

    /// Connections followed at once; the least recently used are forgotten [default: 65536]
    #[arg(long, value_name = "N", value_parser = kept(values::count))]
    max_flows: Option<Scalar>,

    /// TCP address for metrics and state, such as 127.0.0.1:9900; without a token it changes nothing [default: none]
    #[arg(long, value_name = "ADDR", value_parser = kept(words::address))]
    admin: Option<Scalar>,

    /// Unix socket for `ctl`, or off [default: /run/shadow-agent/PID.sock]
    #[arg(long, value_name = "PATH")]
    admin_socket: Option<String>,

    /// File with the token that lets the TCP address change things
    #[arg(long, value_name = "PATH")]
    admin_token_file: Option<String>,

    /// Log level on stderr: off, error, warn, info, debug or trace [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Text,
    Json,
}

impl Copies {
    /// The flags, and where the rest is; `route` is what else is said of the one route of `--shadow`.
    pub(super) fn into_source(
        self,
        capture: Capture,
        route: Route,
        percentage: Option<Scalar>,
    ) -> ConfigSource {
        let path = self.config.clone();
        let mut document = self.document(capture);
        if let Some(url) = self.shadow {
            let name = Scalar::from(url.to_string());
            let tls = Tls {
                ca_file: self.shadow_ca_file.map(Scalar),
                insecure: given(self.shadow_insecure),
                ..Tls::default()
            };
            if tls != Tls::default() {
                let section = Section { url: Some(name.clone()), tls, ..Section::default() };
                document.upstreams = Entries(vec![(name.0.clone(), section)]);
            }
            let percentage = percentage.map(crate::config::file::Either::Text);
            let shadow = Shadow { upstream: Some(name), percentage, ..Shadow::default() };
            let name = Some("default".into());
            document.routes = vec![Route { name, shadow: Some(vec![shadow].into()), ..route }].into();
        }
        ConfigSource { path, overrides: Overrides(document), is_live: false }
    }

    /// What isn't about the one route.
    fn document(&self, capture: Capture) -> Document {
        Document {
            capture: Capture {
                max_flows: self.max_flows.clone(),
                max_memory: self.max_memory.clone(),
                ..capture
            },
            defaults: Defaults {
                timeout: self.timeout.clone(),
                max_in_flight: self.max_in_flight.clone(),
                max_queue: self.max_queue.clone(),
                max_rps: self.max_rps.clone(),
                max_body: self.max_body.clone(),
                host_suffix: self.host_suffix.clone(),
                ..Defaults::default()
            },
            loop_header: self.loop_header.clone(),
            safe_methods_only: given(self.safe_methods_only),
            admin: Admin {
                listen: self.admin.clone(),
                socket: self.admin_socket.clone().map(Scalar),
                token_file: self.admin_token_file.clone().map(Scalar),
            },
            summary: self.summary.map(|form| match form {
                Form::Text => "text".into(),
                Form::Json => "json".into(),
            }),
            log: self.log.clone().map(Scalar),
            ..Document::default()
        }
    }
}

/// A flag without a value: what isn't given leaves the file alone.
pub(super) fn given(flag: bool) -> Option<Scalar> {
    flag.then(|| "true".into())
}
