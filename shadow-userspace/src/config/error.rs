//! What is wrong with a configuration: one line each, with file, line, column and key.

use std::{fmt, io};

use crate::config::file::{Fault, Node};

/// All that was found wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    lines: Vec<String>,
}

impl ConfigError {
    /// One line each.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The file can't be read.
    pub(super) fn unreadable(file: &str, error: &io::Error) -> Self {
        let message = match error.kind() {
            io::ErrorKind::InvalidData => "it is no UTF-8 text".to_owned(),
            _ => error.to_string(),
        };
        Self { lines: vec![format!("can't read {file}: {message}")] }
    }

    /// What another part found in the file.
    pub(super) fn all(file: &str, lines: impl IntoIterator<Item = String>) -> Self {
        Self { lines: lines.into_iter().map(|line| format!("{file}: {line}")).collect() }
    }

    /// With the places that `root` knows; an empty name: there is no file.
    pub(super) fn new(file: &str, faults: &[Fault], root: Option<&Node>) -> Self {
        let name = Some(file).filter(|file| !file.is_empty());
        let place = |fault: &Fault| fault.position.or_else(|| root.map(|root| root.locate(&fault.path)));
        let mut told: Vec<_> = faults.iter().map(|fault| (place(fault), fault)).collect();
        told.sort_by_key(|(position, _)| *position);
        Self { lines: told.into_iter().map(|(position, fault)| fault.line(name, position)).collect() }
    }
}

impl fmt::Display for ConfigError {
    /// The lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
