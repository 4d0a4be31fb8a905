//! One thing that is wrong with a configuration: where, which key, what to give instead.

use std::fmt;

use serde::de;

/// What is wrong at one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Fault {
    /// From the top: `routes[0].shadow[0].percentage`; empty for the file itself.
    pub(in crate::config) path: String,
    /// Where in the file, if it is known already.
    pub(in crate::config) position: Option<Position>,
    /// What is wrong, and what to do.
    pub(in crate::config) message: String,
}

/// A place in the file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Position {
    pub(in crate::config) line: u64,
    pub(in crate::config) column: u64,
}

impl Fault {
    /// At a key, whose place is looked up later.
    pub(in crate::config) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), position: None, message: message.into() }
    }

    /// Below a key.
    pub(super) fn below(mut self, key: &str, position: Position) -> Self {
        self.path = match self.path.as_str() {
            "" => key.to_owned(),
            path if path.starts_with('[') => format!("{key}{path}"),
            path => format!("{key}.{path}"),
        };
        self.position.get_or_insert(position);
        self
    }

    /// The line that is told; `file` is its name.
    pub(in crate::config) fn line(&self, file: Option<&str>, position: Option<Position>) -> String {
        let mut line = String::new();
        if let Some(file) = file {
            line.push_str(file);
            if let Some(Position { line: at, column }) = self.position.or(position) {
                line.push_str(&format!(":{at}:{column}"));
            }
            line.push_str(": ");
        }
        if !self.path.is_empty() {
            line.push_str(&self.path);
            line.push_str(": ");
        }
        line.push_str(&self.message);
        // What was given may hold anything; the error stays one line.
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(None, None))
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("", message.to_string())
    }

    /// Doesn't repeat what was given: it may be a secret.
    fn invalid_type(given: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        let message = match given {
            de::Unexpected::Map => "keys where a single value belongs",
            de::Unexpected::Seq => "a list where it has no place",
            _ => "a single value where keys belong",
        };
        Self::new("", message)
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let advice = nearest(key, known.iter().copied()).map_or_else(
            || format!("the keys here are {}", known.join(", ")),
            |known| format!("did you mean `{known}`?"),
        );
        Self::new("", format!("no such key; {advice}"))
    }
}

/// The name of `known` that was probably meant.
pub(in crate::config) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let meant = plain(given);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&meant, &plain(name)), name))
        .filter(|&(distance, name)| distance <= 1 + name.len().min(meant.len()) / 4)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}
