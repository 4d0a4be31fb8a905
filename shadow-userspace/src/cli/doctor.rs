//! `doctor`'s arguments, and its report on stdout.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::Args;

use crate::{
    cli::{
        place::{Place, once_each, sorted},
        values,
    },
    doctor,
};

/// `doctor`'s arguments.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Network interface to look at; give it again for more. Without it those that are up are listed
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<String>,

    #[command(flatten)]
    place: Place,

    /// Service port (1 to 65535) whose traffic on the interfaces is looked at; give it again for more
    #[arg(long = "port", value_name = "P", requires = "interfaces", value_parser = values::port)]
    ports: Vec<u16>,

    /// How long to look at traffic: 500ms, 10s, 2m
    #[arg(long = "for", value_name = "TIME", default_value = "2s", value_parser = values::duration)]
    look_for: Duration,

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
        doctor::Options {
            interfaces: once_each(self.interfaces),
            netns: self.place.netns,
            attach: self.place.attach.into(),
            ports: sorted(self.ports),
            look_for: self.look_for,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::{
        capture::AttachMode,
        cli::{
            args::{Cli, Command},
            usage::UsageError,
        },
    };

    fn options(arguments: &str) -> Result<doctor::Options, UsageError> {
        let arguments = ["shadow-agent", "doctor"].into_iter().chain(arguments.split_whitespace());
        match Cli::try_parse_from(arguments).map_err(|error| UsageError::from(&error))?.command {
            Command::Doctor(doctor) => Ok(doctor.into_options()),
            _ => panic!("not `doctor`"),
        }
    }

    #[test]
    fn what_is_given_twice_is_looked_at_once() {
        let arguments = "--interface b --port 81 --interface a --port 80 --interface b --port 81 --for 1s";
        let two = options(arguments).unwrap();
        assert_eq!((two.interfaces, two.ports), (vec!["b".to_owned(), "a".to_owned()], vec![80, 81]));
        assert_eq!(two.look_for, Duration::from_secs(1));
        let none = options("").unwrap();
        assert_eq!((none.interfaces.len(), none.ports.len()), (0, 0));
        assert_eq!(none.look_for, Duration::from_secs(2));
        assert_eq!((none.netns, none.attach), (None, AttachMode::Auto));
    }

    #[test]
    fn the_place_is_told_as_run_is_told() {
        let options = options("--interface a --netns /run/netns/x --attach xdp-generic").unwrap();
        assert_eq!(options.netns.as_deref(), Some(Path::new("/run/netns/x")));
        assert_eq!(options.attach, AttachMode::XdpGeneric);
    }

    #[test]
    fn ports_need_an_interface() {
        let error = options("--port 80").unwrap_err().to_string();
        assert_eq!(error, "the following required arguments were not provided: --interface <IF>");
        assert!(options("--interface a --port 0").is_err());
    }
}
