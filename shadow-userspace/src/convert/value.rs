//! Conditions and changes that several of the foreign kinds have alike.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    document::{Fields, Reader},
    output::{Condition, Match, Mutations, Named, Path, Shadow},
};
use crate::{
    config::check::words,
    route::matcher::full_match,
    shadow::{
        client::upstream::Upstream,
        copy::{policy::LOOP_HEADER, reserved::is_reserved},
    },
};

/// What a rule matches, as far as it can be carried over.
#[derive(Clone, Debug)]
pub(super) struct MatchRead {
    pub(super) one: Match,
    /// All its conditions are there. Else it matches no more than this, and perhaps less.
    pub(super) is_sure: bool,
}

impl MatchRead {
    pub(super) const fn sure(one: Match) -> Self {
        Self { one, is_sure: true }
    }

    pub(super) const fn unsure(one: Match) -> Self {
        Self { one, is_sure: false }
    }
}

/// Why a rule can't be carried over: it was said where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inexpressible;

impl Reader<'_> {
    /// Says that a condition can't be carried over, so that the rule can't.
    pub(super) fn refuse(&mut self, place: impl Into<String>, why: &str) -> Inexpressible {
        self.note(place, format!("not carried over: {why}; so nothing that it may be for is mirrored"));
        Inexpressible
    }

    /// A match, which `read` fills in; a condition that it leaves out must make the match a wider one.
    pub(super) fn matched(
        &mut self,
        read: impl FnOnce(&mut Self, &mut Match) -> Result<(), Inexpressible>,
    ) -> MatchRead {
        let said = self.notes.len();
        let mut one = Match::default();
        let is_whole = read(self, &mut one).is_ok();
        match self.notes.len() - said {
            0 if is_whole => MatchRead::sure(one),
            1 if !is_whole => MatchRead::unsure(one),
            // A part of it was of another kind than it should be: nothing is known.
            _ => MatchRead::unsure(Match::default()),
        }
    }

    /// The matches of a list, any of which counts.
    pub(super) fn each_match(
        &mut self,
        fields: &mut Fields,
        key: &str,
        mut read: impl FnMut(&mut Self, Fields) -> Vec<MatchRead>,
    ) -> Vec<MatchRead> {
        let said = self.notes.len();
        let list = self.objects(fields, key);
        let is_whole = self.notes.len() == said;
        let mut matches: Vec<_> = list.into_iter().flat_map(|one| read(self, one)).collect();
        if !is_whole {
            matches.push(MatchRead::unsure(Match::default()));
        }
        matches
    }

    /// A pattern that the agent can compile.
    pub(super) fn pattern(&mut self, place: String, pattern: String) -> Result<String, Inexpressible> {
        match full_match(&pattern) {
            Ok(_) => Ok(pattern),
            Err(_) => Err(self.refuse(place, "the pattern has what the agent's patterns don't")),
        }
    }

    /// A path condition; none for what every path fulfils.
    pub(super) fn path(
        &mut self,
        place: String,
        path: Path,
        ignores_case: bool,
    ) -> Result<Option<Path>, Inexpressible> {
        let is_path = match &path {
            Path::Prefix(prefix) if prefix.is_empty() || prefix == "/" => return Ok(None),
            Path::Prefix(path) | Path::Exact(path) => words::whole_path(path).is_ok(),
            Path::Regex(_) => true,
        };
        match path {
            _ if !is_path => Err(self.refuse(place, "no path is like that")),
            Path::Regex(pattern) if ignores_case => {
                Ok(Some(Path::Regex(self.pattern(place, format!("(?i){pattern}"))?)))
            }
            path if ignores_case => Ok(Some(ignoring_case(path))),
            path => Ok(Some(path)),
        }
    }

    /// Methods that can be matched.
    pub(super) fn methods(
        &mut self,
        place: String,
        methods: Vec<String>,
    ) -> Result<Vec<String>, Inexpressible> {
        let is_method = |method: &String| words::method(method).is_ok_and(|known| known.as_str() == method);
        if methods.iter().all(is_method) {
            Ok(methods)
        } else {
            Err(self.refuse(place, "no method is called so"))
        }
    }

    /// A condition on a header; Envoy's name for Host is known.
    pub(super) fn header(
        &mut self,
        place: &str,
        name: String,
        value: Condition,
        invert: bool,
    ) -> Result<Named, Inexpressible> {
        let name = if name.eq_ignore_ascii_case(":authority") { "host".to_owned() } else { name };
        match words::header_name(&name) {
            Ok(_) => Ok(Named { name, value, invert }),
            Err(_) => Err(self.refuse(place, "no header is called so")),
        }
    }

    /// A condition on a query parameter.
    pub(super) fn parameter(
        &mut self,
        place: &str,
        name: String,
        value: Condition,
        invert: bool,
    ) -> Result<Named, Inexpressible> {
        match words::some_text(&name) {
            Ok(name) => Ok(Named { name, value, invert }),
            Err(_) => Err(self.refuse(place, "it has no name")),
        }
    }

    /// A URL that the agent can send copies to.
    pub(super) fn address(&mut self, place: &str, url: String) -> Option<String> {
        if url.parse::<Upstream>().is_err() {
            self.left_out(place, "it has no address that copies can be sent to");
            return None;
        }
        Some(url)
    }

    /// A path that replaces another.
    pub(super) fn new_path(&mut self, fields: &mut Fields, key: &str) -> Option<String> {
        let place = fields.at(key);
        let path = self.text(fields, key)?;
        if words::path(&path).is_err() {
            self.left_out(place, "it is no path");
            return None;
        }
        Some(path)
    }

    /// A host that replaces another, as Envoy has it on copies: the suffix stands before the port.
    pub(super) fn new_host(&mut self, fields: &mut Fields, key: &str) -> Option<String> {
        let place = fields.at(key);
        let host = self.text(fields, key)?;
        let suffix = crate::shadow::copy::host::SUFFIX;
        let copy = crate::shadow::copy::host::suffixed(host.as_bytes(), suffix);
        let copy = String::from_utf8_lossy(&copy).into_owned();
        if words::host(&copy).is_err() {
            self.left_out(place, "it is no host");
            return None;
        }
        Some(copy)
    }

    /// Without those that go where another of the same rule goes.
    pub(super) fn once_each(&mut self, place: &str, shadow: Vec<Shadow>) -> Vec<Shadow> {
        let mut kept: Vec<Shadow> = Vec::new();
        for to in shadow {
            if kept.iter().any(|other| other.upstream == to.upstream) {
                self.left_out(place, &format!("{} gets one copy of a request already", to.upstream));
            } else {
                kept.push(to);
            }
        }
        kept
    }

    /// A header with its new value, if that can be set on a copy.
    pub(super) fn change(
        &mut self,
        to: &mut BTreeMap<String, String>,
        place: String,
        name: String,
        value: String,
    ) {
        if !is_mutable(&name) {
            self.left_out(place, "this header is the agent's to set");
        } else if words::header_value(&value).is_err() {
            self.left_out(place, "no header has such a value");
        } else if to.keys().any(|other| other.eq_ignore_ascii_case(&name)) {
            self.left_out(place, "the header stands there before");
        } else {
            to.insert(name, value);
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
                    Value::String(value) if is_mutable(&name) && value.contains('%') => {
                        self.left_out(place, "the agent has no variables in header values");
                    }
                    Value::String(value) => self.change(to, place, name, value),
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
    words::header_name(name).is_ok_and(|name| name != LOOP_HEADER && !is_reserved(&name))
}

/// The path condition without regard to case.
fn ignoring_case(path: Path) -> Path {
    match path {
        Path::Prefix(prefix) => Path::Regex(format!("(?i){}.*", regex::escape(&prefix))),
        Path::Exact(exact) => Path::Regex(format!("(?i){}", regex::escape(&exact))),
        Path::Regex(pattern) => Path::Regex(format!("(?i){pattern}")),
    }
}
