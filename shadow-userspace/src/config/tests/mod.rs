//! What a file says, what is wrong with one, and how it is shown.

mod faults;
mod hostile;
mod maximal;
mod merging;
mod random;
mod shown;

use crate::config::{ConfigError, ConfigSource, Loaded};

/// A file of this name with this text, as `check` reads it.
fn load(text: &str) -> Result<Loaded, ConfigError> {
    ConfigSource::default().parse("shadow.yaml", text)
}
