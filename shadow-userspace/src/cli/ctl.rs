//! `ctl`: takes a command for a running agent, finds the agent's socket, prints the answer.
//!
//! [`find`] says which agent is meant, [`client`] talks to it, [`text`] shows what it says.

mod client;
mod find;
mod text;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use http::Method;

use crate::{
    admin::{DIRECTORY, RateRequest},
    capture::SampleRate,
    cli::fail,
};
use client::CtlError;

/// `ctl`'s arguments.
#[derive(Debug, Args)]
pub(super) struct CtlArgs {
    /// The agent's socket [default: the only one in /run/shadow-agent]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,

    /// Print the agent's answer as JSON instead of text
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// Show what the agent does, and what became of requests
    Status,
    /// Show the routes with their rates and counts
    Routes,
    /// Mirror another share of a route's requests from now on, until the configuration is reloaded
    Rate(RateArgs),
    /// Take no new request; those already taken are finished
    Pause,
    /// Take requests again
    Resume,
    /// Read the configuration file again; an invalid one is refused, and the old one stays
    Reload,
}

#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
struct RateArgs {
    /// ROUTE for all upstreams of the route, or ROUTE/UPSTREAM for one; not needed if there is only one route
    #[arg(value_name = "ROUTE")]
    route: Option<String>,

    /// Share of the requests, 0% to 100%, such as 5% or 0.25%
    #[arg(value_name = "RATE")]
    rate: SampleRate,
}

impl CtlArgs {
    /// Asks the agent, and prints its answer.
    pub(super) fn run(self) -> ExitCode {
        match self.answer(Path::new(DIRECTORY)) {
            Ok(text) => {
                // Nobody reads any more: the exit code says the rest.
                io::stdout().write_all(text.as_bytes()).ok();
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, 1),
        }
    }

    /// What is printed. Agents have their sockets in `directory`.
    fn answer(&self, directory: &Path) -> Result<String, CtlError> {
        let socket = match &self.socket {
            Some(path) => path.clone(),
            None => find::only_agent(directory)?,
        };
        let (method, path, body) = self.command.request()?;
        let answer = client::call(&socket, method, path, body, client::TIMEOUT)?;
        if self.json { Ok(answer) } else { self.command.text(&answer) }
    }
}

impl CtlCommand {
    /// Method, path and body.
    fn request(&self) -> Result<(Method, &'static str, String), CtlError> {
        let body = String::new();
        Ok(match self {
            Self::Status => (Method::GET, "/api/status", body),
            Self::Routes => (Method::GET, "/api/routes", body),
            Self::Pause => (Method::POST, "/api/pause", body),
            Self::Resume => (Method::POST, "/api/resume", body),
            Self::Reload => (Method::POST, "/api/reload", body),
            Self::Rate(RateArgs { route, rate }) => {
                let request = RateRequest { route: route.clone(), rate: rate.to_string().into() };
                let body = serde_json::to_string(&request).map_err(|_| CtlError::Unexpected)?;
                (Method::POST, "/api/rate", body)
            }
        })
    }

    /// The answer for people.
    fn text(&self, answer: &str) -> Result<String, CtlError> {
        Ok(match self {
            Self::Status => text::status(&client::parse(answer)?),
            Self::Routes => text::routes(&client::parse::<Vec<_>>(answer)?),
            Self::Rate(_) => text::rate(&client::parse(answer)?),
            Self::Pause => "paused: no new request is mirrored\n".to_owned(),
            Self::Resume => "requests are mirrored again\n".to_owned(),
            Self::Reload => "the configuration was read again and is in effect\n".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
