//! The configuration: takes a YAML file, and what the command line says beside it, gives what the agent runs with.
//!
//! What exists here is valid: names refer to something, patterns are compiled, limits are in their ranges.

pub(crate) mod check;
mod error;
pub mod file;
mod foreign;
mod overrides;
pub(crate) mod show;
mod source;
pub(crate) mod values;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::HeaderName;

use crate::{
    capture::AttachMode,
    route::RouteOptions,
    shadow::{copy::policy::LoopGuard, options::UpstreamOptions},
};

pub use error::ConfigError;
pub use overrides::Overrides;
pub use source::{ConfigSource, Loaded};

/// Everything that `run` is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests come from.
    pub capture: CaptureConfig,
    /// Where copies go; every upstream that a route names, each name once.
    pub upstreams: Vec<UpstreamOptions>,
    /// Which requests are copied; the first that matches counts.
    pub routes: Vec<RouteOptions>,
    /// How copies are recognised.
    pub loop_guard: LoopGuard,
    /// How the agent is talked to.
    pub admin: AdminConfig,
    /// How long copies may take to finish once the agent is told to stop.
    pub grace: Duration,
}

/// Where requests come from, and what may be held of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Network interfaces by name.
    pub interfaces: Vec<String>,
    /// The network namespace that they are in.
    pub netns: Option<PathBuf>,
    /// Service ports.
    pub ports: Vec<u16>,
    /// Where to attach.
    pub attach: AttachMode,
    /// Ring buffer between kernel and agent in bytes.
    pub ring_bytes: u32,
    /// Leave connections alone whose beginning wasn't seen.
    pub only_new: bool,
    /// Connections followed at once.
    pub max_flows: u32,
    /// Memory for all captured requests together in bytes.
    pub max_memory: usize,
}

/// How the agent is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminConfig {
    /// TCP address of the read-only API and the metrics; none: not there.
    pub listen: Option<SocketAddr>,
    /// Unix socket for `ctl`.
    pub socket: AdminSocket,
    /// File with the bearer token that lets the TCP address change things; none: it can't.
    pub token_file: Option<PathBuf>,
}

/// Where `ctl` finds the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminSocket {
    /// `/run/shadow-agent/PID.sock`; without the right to make it there is none, and the agent says so.
    #[default]
    Default,
    /// Here; the agent doesn't start without it.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl Config {
    /// The name of the header that marks copies.
    #[must_use]
    pub const fn loop_header(&self) -> &HeaderName {
        &self.loop_guard.header
    }
}

#[cfg(test)]
mod tests;
