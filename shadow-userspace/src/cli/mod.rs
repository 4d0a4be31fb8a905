//! The command line: arguments in, exit code out.
//!
//! Every error is one line on stderr that begins with `error: ` and says what to do; exit code 2 for wrong usage, 1
//! for what goes wrong at run time. `--help` and `--version` are clap's own.

mod args;
mod doctor;
mod logging;
mod place;
mod tap;
mod usage;
mod values;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::{
    agent,
    cli::{
        args::{Cli, Command, RunArgs},
        tap::TapArgs,
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
        Command::Run(arguments) => mirror(arguments),
        Command::Tap(arguments) => print(arguments),
        Command::Doctor(arguments) => arguments.run(),
    }
}

fn mirror(arguments: RunArgs) -> ExitCode {
    if let Err(error) = logging::init(arguments.log.as_deref()) {
        return fail(&error, USAGE);
    }
    ended(agent::run(&arguments.into_options()))
}

fn print(arguments: TapArgs) -> ExitCode {
    if let Err(error) = logging::init(arguments.log.as_deref()) {
        return fail(&error, USAGE);
    }
    match arguments.into_options() {
        Ok(options) => ended(crate::tap::run(&options)),
        Err(error) => fail(&error, USAGE),
    }
}

fn ended(result: Result<(), impl std::error::Error>) -> ExitCode {
    match result {
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
