//! The command line: arguments in, exit code out.
//!
//! Every error is one line on stderr that begins with `error: ` and says what to do; exit code 2 for wrong usage, 1
//! for what goes wrong at run time. `--help` and `--version` are clap's own.

mod args;
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

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::{
    agent::{self, handle::Origin},
    cli::{
        args::{Cli, Command},
        usage::UsageError,
    },
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
            let log = arguments.copies.log.clone();
            let (config, summary) = arguments.into_config();
            let origin = Origin { path: None, load: None };
            logged(log, || agent::run_from(config, origin, summary))
        }
        Command::Replay(arguments) => {
            let log = arguments.copies.log.clone();
            let (replay, config, summary) = arguments.into_config();
            logged(log, || agent::replay(&replay, config, summary))
        }
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

/// Runs a command of the agent at a log level.
fn logged<E: std::error::Error>(level: Option<String>, command: impl FnOnce() -> Result<(), E>) -> ExitCode {
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

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests;
