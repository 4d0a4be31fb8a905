//! `convert`: mirror rules of Gloo, Istio and the Gateway API become a configuration file.

use std::{fs, io::Read as _, io::Write as _, path::PathBuf, process::ExitCode};

use clap::Args;

use crate::convert::{ConvertError, Note, convert};

/// `convert`'s arguments.
#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// File with the documents, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Why a file can't be converted.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("can't read {file}: {source}")]
    Read { file: String, source: std::io::Error },
    #[error("{file}: {source}")]
    Convert { file: String, source: ConvertError },
}

impl ConvertArgs {
    /// Writes the configuration to stdout, and what wasn't carried over to stderr.
    pub(super) fn run(&self) -> ExitCode {
        let file = self.file.display().to_string();
        match self.convert(&file) {
            Ok(yaml) if std::io::stdout().write_all(yaml.as_bytes()).is_ok() => ExitCode::SUCCESS,
            // Nobody reads it any more.
            Ok(_) => ExitCode::FAILURE,
            Err(error) => super::fail(&error, 1),
        }
    }

    fn convert(&self, file: &str) -> Result<String, Error> {
        let text = self.read().map_err(|source| Error::Read { file: file.to_owned(), source })?;
        match convert(&text) {
            Ok(converted) => {
                say(file, &converted.notes);
                Ok(converted.yaml)
            }
            Err(source) => {
                if let ConvertError::NothingMirrored { notes } = &source {
                    say(file, notes);
                }
                Err(Error::Convert { file: file.to_owned(), source })
            }
        }
    }

    fn read(&self) -> std::io::Result<String> {
        if self.file.as_os_str() != "-" {
            return fs::read_to_string(&self.file);
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        Ok(text)
    }
}

fn say(file: &str, notes: &[Note]) {
    for note in notes {
        eprintln!("{file}: {note}");
    }
}
