//! The agent, as operators run it: `shadow-agent run` in the gateway's namespace.

mod control;
mod summary;

use std::{env, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::{
    child::Child,
    lab::{NIC, PORT},
    netns::Namespace,
};
pub use control::{Memory, http};
pub use summary::{Requests, RouteAccount, Summary};

/// How long attaching may take: the kernel verifies the programs.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long the agent may take to detach and to wait for copies in flight.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Child,
}

/// Its arguments.
#[derive(Clone, Debug)]
pub struct Options {
    /// The binary; none: see [`binary`].
    pub binary: Option<PathBuf>,
    /// The interfaces.
    pub interfaces: Vec<String>,
    /// The service port.
    pub port: u16,
    /// The configuration file; none: `shadow` and `sample_rate` say what is copied.
    pub config: Option<PathBuf>,
    /// The file says what is captured, not `interfaces`, `port` and `attach`.
    pub capture_by_file: bool,
    /// v2's URL.
    pub shadow: String,
    /// The sample rate as it is typed.
    pub sample_rate: String,
    /// The way to attach.
    pub attach: String,
    /// More arguments.
    pub more: Vec<String>,
}

impl Options {
    /// Everything to this upstream, from the gateway's NIC.
    #[must_use]
    pub fn to(shadow: impl ToString) -> Self {
        Self::url(&format!("http://{}", shadow.to_string()))
    }

    /// The same, to a URL.
    #[must_use]
    pub fn url(shadow: &str) -> Self {
        Self {
            binary: None,
            interfaces: vec![NIC.to_owned()],
            port: PORT,
            config: None,
            capture_by_file: false,
            shadow: shadow.to_owned(),
            sample_rate: "100%".to_owned(),
            attach: "tc".to_owned(),
            more: Vec::new(),
        }
    }

    /// What a configuration file says, from the gateway's NIC.
    #[must_use]
    pub fn file(config: impl Into<PathBuf>) -> Self {
        Self { config: Some(config.into()), ..Self::url("") }
    }

    /// The same on other interfaces.
    #[must_use]
    pub fn on(mut self, interfaces: &[&str]) -> Self {
        self.interfaces = interfaces.iter().map(ToString::to_string).collect();
        self
    }

    /// The same at another rate.
    #[must_use]
    pub fn rate(mut self, rate: &str) -> Self {
        rate.clone_into(&mut self.sample_rate);
        self
    }

    /// The same attached in another way.
    #[must_use]
    pub fn attach(mut self, attach: &str) -> Self {
        attach.clone_into(&mut self.attach);
        self
    }

    /// The same with more arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.more.extend(arguments.iter().map(ToString::to_string));
        self
    }
}

/// The agent's binary: `$SHADOW_AGENT`, or beside the program that runs, or in the release directory next to it.
///
/// # Errors
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(set) = env::var_os("SHADOW_AGENT") {
        return Ok(PathBuf::from(set));
    }
    let program = env::current_exe()?;
    let places = program
        .ancestors()
        .skip(1)
        .take(3)
        .flat_map(|directory| [directory.join(""), directory.join("release")]);
    let found = places.map(|directory| directory.join("shadow-agent")).find(|path| path.is_file());
    found.context("no shadow-agent near this program; build it with `cargo xtask build`, or set SHADOW_AGENT")
}

impl Agent {
    /// Starts the agent in `namespace` and waits until it is attached.
    ///
    /// # Errors
    /// It ends, or isn't attached in time; the error shows what it said.
    pub fn start(namespace: &Namespace, options: &Options) -> Result<Self> {
        let binary = options.binary.clone().map_or_else(binary, Ok)?;
        let mut command = namespace.command(binary);
        command.args(["run", "--summary", "json"]);
        if !options.capture_by_file {
            command.args(["--port", &options.port.to_string(), "--attach", &options.attach]);
            command.args(options.interfaces.iter().flat_map(|interface| ["--interface", interface]));
        }
        match &options.config {
            Some(config) => command.arg("--config").arg(config),
            None => command.args(["--shadow", &options.shadow, "--sample-rate", &options.sample_rate]),
        };
        command.args(&options.more);
        let process = Child::spawn("shadow-agent", &mut command)?;
        process.stderr().wait_for("attached", START_LIMIT).context("shadow-agent did not attach")?;
        Ok(Self { process })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.process.stderr().all()
    }

    /// Ends it as Ctrl-C does and returns its summary.
    ///
    /// # Errors
    /// It doesn't end, fails, or prints no summary.
    pub fn stop(self) -> Result<Summary> {
        self.stop_with_log().map(|(_, summary)| summary)
    }

    /// The same, with everything that it logged.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn stop_with_log(self) -> Result<(Vec<String>, Summary)> {
        self.stop_by(&[Signal::SIGINT])
    }

    /// The same by other signals, sent at once.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn stop_by(mut self, signals: &[Signal]) -> Result<(Vec<String>, Summary)> {
        for &signal in signals {
            self.process.signal(signal)?;
        }
        let status = self.process.wait(STOP_LIMIT)?;
        let log = self.log().join("\n");
        if !status.success() {
            bail!("shadow-agent ended with {status}:\n{log}");
        }
        let stdout = self.process.stdout().all();
        let line = stdout.last().with_context(|| format!("shadow-agent printed no summary:\n{log}"))?;
        let summary = serde_json::from_str(line).with_context(|| format!("the summary: {line}"))?;
        Ok((self.log(), summary))
    }

    /// Ends it without a chance to clean up.
    ///
    /// # Errors
    /// It was not running any more.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::SIGKILL)?;
        let status = self.process.wait(STOP_LIMIT)?;
        if status.code().is_some() {
            bail!("shadow-agent ended by itself, {status}:\n{}", self.log().join("\n"));
        }
        Ok(status)
    }
}
