//! The command line: arguments in, exit code out.
//!
//! Every error is one line on stderr that begins with `error: ` and says what to do; exit code 2 for wrong usage, 1
//! for what goes wrong at run time. `--help` and `--version` are clap's own.

mod args;
mod check;
mod convert;
mod copies;
mod ctl;
mod doctor;
mod logging;
mod place;
mod replay;
mod tap;
mod usage;
mod values;

use std::{error::Error, ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::{
    agent::{self, handle::Origin},
    cli::{
        args::{Cli, Command},
        usage::UsageError,
    },
    config::{ConfigError, ConfigSource, Loaded},
};

/// Wrong usage, as the shell's own commands say it.
const USAGE: u8 = 2;

/// Runs the command line and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        Command::Run(arguments) => {
            let source = arguments.into_source();
            configured(&source.clone(), |loaded| {
                agent::run(loaded.config, Origin::of(source), loaded.summary)
            })
        }
        Command::Replay(arguments) => {
            let (replay, source) = arguments.into_source();
            configured(&source, |loaded| agent::replay(&replay, loaded.config, loaded.summary))
        }
        Command::Check(arguments) => arguments.run(),
        Command::Tap(arguments) => {
            let log = arguments.log.clone();
            match arguments.into_options() {
                Ok(options) => logged(log, || crate::tap::run(&options)),
                Err(error) => fail(&error, USAGE),
            }
        }
        Command::Doctor(arguments) => arguments.run(),
        Command::Convert(arguments) => arguments.run(),
        Command::Ctl(arguments) => arguments.run(),
    }
}

/// Runs a command with its configuration, at the log level that it says.
fn configured<E: Error>(source: &ConfigSource, command: impl FnOnce(Loaded) -> Result<(), E>) -> ExitCode {
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(error) => return complain(&error),
    };
    logged(loaded.log.clone(), || {
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        command(loaded)
    })
}

/// All that is wrong with a configuration, a line each.
fn complain(error: &ConfigError) -> ExitCode {
    for line in error.lines() {
        eprintln!("error: {line}");
    }
    ExitCode::from(USAGE)
}

/// Runs a command of the agent at a log level.
fn logged<E: Error>(level: Option<String>, command: impl FnOnce() -> Result<(), E>) -> ExitCode {
    if let Err(error) = logging::init(level.as_deref()) {
        return fail(&error, USAGE);
    }
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Help goes to where clap sends it, everything else is cut down to a line.
fn refuse(error: &clap::Error) -> ExitCode {
    if usage::is_help(error) {
        // The terminal is gone: nobody to tell.
        error.print().ok();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
    }
    fail(&UsageError::from(error), USAGE)
}

fn fail(error: &dyn Error, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests;
