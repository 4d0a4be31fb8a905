//! `doctor`'s arguments, and its report on stdout.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Args;

use crate::doctor;

/// `doctor`'s arguments.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Network interface to look at; give it again for more. Without it those that are up are listed
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<String>,

    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    /// Looks, and prints what was found.
    pub(super) fn run(self) -> ExitCode {
        let json = self.json;
        let report = doctor::examine(&self.into_options());
        let mut stdout = io::stdout();
        let colours = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let text = if json { report.json() } else { report.text(colours) };
        // Nobody reads any more: the exit code says the rest.
        stdout.write_all(text.as_bytes()).ok();
        if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn into_options(self) -> doctor::Options {
        let mut interfaces: Vec<String> = Vec::new();
        for interface in self.interfaces {
            if !interfaces.contains(&interface) {
                interfaces.push(interface);
            }
        }
        doctor::Options { interfaces }
    }
}
