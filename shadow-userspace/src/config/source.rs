//! Where the configuration comes from: the same source is read at the start and at every reload.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, file::Document};

/// A file, and what the command line says beside it.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file; none: the command line says it all.
    pub path: Option<PathBuf>,
    /// What overrides the file.
    pub overrides: Overrides,
}

/// What the command line says, in the file's terms: every value that it has replaces the file's. A limit in `defaults`
/// replaces that of every upstream and of every route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(pub Document);

impl ConfigSource {
    /// Reads the file, lets the command line override it, and checks the whole.
    ///
    /// # Errors
    /// If the file can't be read, or anything in it is wrong; then all that was found.
    pub fn load(&self) -> Result<Config, ConfigError> {
        todo_load(self)
    }
}

fn todo_load(_: &ConfigSource) -> Result<Config, ConfigError> {
    Err(ConfigError::default())
}
