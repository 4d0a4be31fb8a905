//! What was printed and what was not: every exchange is counted once.

use std::{collections::BTreeMap, fmt};

use crate::{ledger::DropReason, tap::record::Record};

/// What was printed and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapSummary {
    /// Exchanges that were printed.
    pub printed: u64,
    /// Those of them of which every byte was seen, in both directions.
    pub complete: u64,
    /// Those of them whose requests aren't complete, by reason.
    pub requests: BTreeMap<DropReason, u64>,
    /// Those of them whose responses aren't complete, by reason.
    pub responses: BTreeMap<DropReason, u64>,
    /// Those of them without a response.
    pub unanswered: u64,
    /// Exchanges that the filters left out.
    pub left_out: u64,
}

impl TapSummary {
    /// This one is printed.
    pub(super) fn count(&mut self, record: &Record) {
        self.printed += 1;
        let request = record.outcome();
        let response = record.response.as_ref().map(|response| response.outcome());
        self.complete += u64::from(request.is_ok() && response == Some(Ok(())));
        self.unanswered += u64::from(response.is_none());
        if let Err(reason) = request {
            *self.requests.entry(reason).or_default() += 1;
        }
        if let Some(Err(reason)) = response {
            *self.responses.entry(reason).or_default() += 1;
        }
    }
}

/// `12 exchanges, 8 complete; requests: gap 1; responses: gap 1, incomplete 1; without response 1; filtered out 3`.
impl fmt::Display for TapSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { printed, complete, requests, responses, unanswered, left_out } = self;
        write!(f, "{printed} exchange{}, {complete} complete", if *printed == 1 { "" } else { "s" })?;
        for (name, reasons) in [("requests", requests), ("responses", responses)] {
            let shown: Vec<_> =
                reasons.iter().map(|(reason, count)| format!("{} {count}", reason.label())).collect();
            if !shown.is_empty() {
                write!(f, "; {name}: {}", shown.join(", "))?;
            }
        }
        for (name, count) in [("without response", unanswered), ("filtered out", left_out)] {
            if *count > 0 {
                write!(f, "; {name} {count}")?;
            }
        }
        Ok(())
    }
}
