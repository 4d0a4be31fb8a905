//! `check`: how a configuration file is understood, on stdout.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Args;

use crate::config::{ConfigSource, show};

/// `check`'s arguments.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Configuration file: YAML of the agent's own, or documents of Gloo, Istio or the Gateway API
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl CheckArgs {
    /// Says it, or what is wrong.
    pub(super) fn run(self) -> ExitCode {
        let source = ConfigSource { path: Some(self.file), ..ConfigSource::default() };
        match source.load() {
            Ok(loaded) => {
                for note in &loaded.notes {
                    eprintln!("{note}");
                }
                // Nobody reads any more: the exit code says the rest.
                std::io::stdout().write_all(show::text(&loaded).as_bytes()).ok();
                ExitCode::SUCCESS
            }
            Err(error) => super::complain(&error),
        }
    }
}
