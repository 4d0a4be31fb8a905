//! What is wrong with a configuration: one line each, with file, line, column and key.

use std::fmt;

/// All that was found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigError {
    /// One line each.
    pub lines: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\nerror: "))
    }
}

impl std::error::Error for ConfigError {}
