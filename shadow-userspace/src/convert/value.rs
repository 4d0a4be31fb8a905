//! Conditions and changes that several of the foreign kinds have alike.

use regex::Regex;
use serde_json::Value;

use super::{
    document::{Fields, Reader},
    output::{Condition, Mutations, Path},
};

/// Why a rule can't be carried over: it was said where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inexpressible;

impl Reader<'_> {
    /// Says that a condition can't be carried over, so that the rule can't.
    pub(super) fn refuse(&mut self, place: impl Into<String>, why: &str) -> Inexpressible {
        self.note(place, format!("not carried over: {why}; so what it is a part of matches nothing"));
        Inexpressible
    }

    /// A pattern that the agent can compile.
    pub(super) fn pattern(&mut self, place: String, pattern: String) -> Result<String, Inexpressible> {
        match Regex::new(&pattern) {
            Ok(_) => Ok(pattern),
            Err(_) => Err(self.refuse(place, "the pattern has what the agent's patterns don't")),
        }
    }

    /// What must all be understood: whatever is left is a condition that isn't.
    pub(super) fn all_understood(&mut self, fields: &Fields) -> Result<(), Inexpressible> {
        match fields.keys().first() {
            Some(key) => Err(self.refuse(fields.at(key), "the agent has no such condition")),
            None => Ok(()),
        }
    }

    /// Istio's StringMatch: `exact`, `prefix` or `regex`; empty or null: it is there.
    pub(super) fn string_match(&mut self, place: String, value: Value) -> Result<Condition, Inexpressible> {
        let mut fields = match value {
            Value::Null => return Ok(Condition::Present(true)),
            value => self.as_object(place.clone(), value).ok_or(Inexpressible)?,
        };
        let condition = if let Some(exact) = self.text(&mut fields, "exact") {
            Condition::Exact(exact)
        } else if let Some(prefix) = self.text(&mut fields, "prefix") {
            Condition::Prefix(prefix)
        } else if let Some(regex) = self.text(&mut fields, "regex") {
            Condition::Regex(self.pattern(place, regex)?)
        } else {
            Condition::Present(true)
        };
        self.all_understood(&fields)?;
        Ok(condition)
    }

    /// `set`, `add` and `remove`, with objects of texts.
    pub(super) fn mutations(&mut self, mut fields: Fields) -> Mutations {
        let mut changes = Mutations::default();
        for (key, to) in [("set", &mut changes.set), ("add", &mut changes.add)] {
            for (place, name, value) in self.entries(&mut fields, key) {
                match value {
                    Value::String(value) if is_mutable(&name) && !value.contains('%') => {
                        to.insert(name, value);
                    }
                    Value::String(value) if value.contains('%') => {
                        self.left_out(place, "the agent has no variables in header values");
                    }
                    Value::String(_) => self.left_out(place, "this header is the agent's to set"),
                    _ => self.left_out(place, "it is no text"),
                }
            }
        }
        let remove = self.texts(&mut fields, "remove");
        changes.remove = remove.into_iter().filter(|name| is_mutable(name)).collect();
        self.done(fields);
        changes
    }
}

/// Whether a header may be changed on a copy.
pub(super) fn is_mutable(name: &str) -> bool {
    const OWN: [&str; 10] = [
        "host",
        ":authority",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
    ];
    !name.starts_with(':') && !OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// The path condition without regard to case.
pub(super) fn ignoring_case(path: Path) -> Path {
    match path {
        Path::Prefix(prefix) => Path::Regex(format!("(?i){}.*", regex::escape(&prefix))),
        Path::Exact(exact) => Path::Regex(format!("(?i){}", regex::escape(&exact))),
        Path::Regex(pattern) => Path::Regex(format!("(?i){pattern}")),
    }
}
