//! The report: every check, as lines to read or as one JSON object.

mod json;
mod text;

use crate::doctor::{Check, Verdict};

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The checks, in the order in which they are read.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether `run` can do its work here: no check is a problem.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.verdict, Verdict::Problem { .. }))
    }
}
