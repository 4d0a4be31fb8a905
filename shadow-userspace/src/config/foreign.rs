//! Files that are no configuration of the agent's own, but can become one.

use crate::convert;

/// A configuration made of a foreign file.
pub(super) struct Converted {
    /// In the agent's own terms.
    pub(super) yaml: String,
    /// What was not carried over.
    pub(super) notes: Vec<String>,
}

/// None: it is a configuration of the agent's own, or nothing at all. What is wrong is told in lines.
pub(super) fn convert(text: &str) -> Option<Result<Converted, Vec<String>>> {
    if !convert::is_foreign(text) {
        return None;
    }
    let lines = |notes: &[convert::Note]| notes.iter().map(ToString::to_string).collect();
    Some(match convert::convert(text) {
        Ok(converted) => Ok(Converted { yaml: converted.yaml, notes: lines(&converted.notes) }),
        Err(error) => {
            let mut told = vec![error.to_string()];
            if let convert::ConvertError::NothingMirrored { notes } = &error {
                told.extend(lines(notes));
            }
            Err(told)
        }
    })
}
