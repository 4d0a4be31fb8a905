//! Values of keys: takes their text, gives what it means, and gathers what is wrong.

use std::fmt::Display;

use crate::config::file::{Fault, List, Scalar};

/// More would not be read, and each of them is looked for in the whole file.
const MAX_FAULTS: usize = 100;

/// Gathers faults, so that all are told at once.
#[derive(Debug, Default)]
pub(super) struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    /// Something is wrong at a key.
    pub(super) fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let fault = Fault::new(path, message);
        // What is wrong with a default is wrong wherever it is used.
        if self.faults.len() < MAX_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Everything that was found, in the order of checking.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// What a text means.
    pub(super) fn read<T, E: Display>(
        &mut self,
        path: &str,
        given: &Scalar,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(given.as_str()).map_err(|error| self.fault(path, error.to_string())).ok()
    }

    /// What a text means, if it is given.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        path: &str,
        given: Option<&Scalar>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.read(path, given?, parse)
    }

    /// Changes a value if another is given.
    pub(super) fn set<T, E: Display>(
        &mut self,
        value: &mut T,
        path: &str,
        given: Option<&Scalar>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) {
        if let Some(read) = self.optional(path, given, parse) {
            *value = read;
        }
    }

    /// What the texts of a list mean.
    pub(super) fn list<T, E: Display>(
        &mut self,
        path: &str,
        given: &List<Scalar>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let read = given.0.iter().enumerate();
        read.filter_map(|(index, item)| self.read(&format!("{path}[{index}]"), item, &parse)).collect()
    }
}
