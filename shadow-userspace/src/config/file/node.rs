//! YAML as a tree that knows where everything stands: takes text, gives the root, or the one fault that keeps it from
//! being YAML.
//!
//! Scalars keep their text, whatever YAML takes them for. Aliases are followed within a budget, so that a small file
//! can't become a large tree.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{
    fault::{Fault, Position},
    model::Document,
};

/// The largest file that is read in bytes: far above what people write, far below what hurts.
pub(in crate::config) const MAX_BYTES: usize = 4 << 20;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(in crate::config) struct Node {
    pub(super) position: Position,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Empty,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Node {
    /// Every document of `text`.
    pub(in crate::config) fn parse(text: &str) -> Result<Vec<Self>, Fault> {
        if text.len() > MAX_BYTES {
            return Err(Fault::new(
                "",
                format!("{} bytes: a configuration has at most {MAX_BYTES}", text.len()),
            ));
        }
        let options = serde_saphyr::options! {
            // Twice as deep as the keys go: each level takes a lot of stack.
            budget: serde_saphyr::budget! { max_depth: 24, max_nodes: 250_000 },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
            strict_booleans: true,
        };
        let documents: Vec<Spanned<Raw>> =
            serde_saphyr::from_multiple_with_options(text, options).map_err(|error| fault(&error))?;
        Ok(documents.into_iter().map(|raw| Self::new(raw, text)).collect())
    }

    fn new(raw: Spanned<Raw>, text: &str) -> Self {
        let at = position(raw.referenced);
        let kind = match raw.value {
            Raw::Empty => Kind::Empty,
            Raw::Text(text) => Kind::Scalar(text),
            // An alias means what stands at its anchor.
            Raw::Typed(value) => Kind::Scalar(written(raw.defined, text).map_or(value, ToOwned::to_owned)),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| Self::new(item, text)).collect()),
            Raw::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        position: position(key.referenced),
                        key: key.value,
                        value: Self::new(value, text),
                    })
                    .collect(),
            ),
        };
        Self { position: at, kind }
    }

    /// Whether it is nothing at all.
    pub(in crate::config) const fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// Something is wrong with it as a whole.
    pub(in crate::config) fn fault(&self, message: &str) -> Fault {
        Fault { path: String::new(), position: Some(self.position), message: message.to_owned() }
    }

    /// What it says in the file's terms.
    pub(in crate::config) fn read(&self) -> Result<Document, Fault> {
        Document::deserialize(self).map_err(|mut fault| {
            fault.position.get_or_insert(self.position);
            fault
        })
    }

    /// Where the key of a path stands, or the nearest above it. What has keys of its own stands where its name does.
    pub(in crate::config) fn locate(&self, path: &str) -> Position {
        self.find(path, self.position)
    }

    fn find(&self, path: &str, at: Position) -> Position {
        let rest = path.strip_prefix('.').unwrap_or(path);
        match &self.kind {
            Kind::List(items) => {
                let Some((index, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                    return at;
                };
                let item = index.parse::<usize>().ok().and_then(|index| items.get(index));
                item.map_or(at, |item| item.find(rest, item.position))
            }
            Kind::Map(entries) => {
                // A single value stands for a list of one.
                let rest = rest.strip_prefix("[0]").map_or(rest, |rest| rest.trim_start_matches('.'));
                let named = entries.iter().filter_map(|entry| {
                    let rest = rest.strip_prefix(entry.key.as_str())?;
                    (rest.is_empty() || rest.starts_with(['.', '['])).then_some((entry, rest))
                });
                // Names may have dots: `a.b` isn't `b` in `a`.
                let found = named.max_by_key(|(entry, _)| entry.key.len());
                found.map_or(at, |(entry, rest)| entry.value.find(rest, entry.place()))
            }
            Kind::Empty | Kind::Scalar(_) => at,
        }
    }
}

impl Entry {
    fn place(&self) -> Position {
        if matches!(self.value.kind, Kind::Map(_) | Kind::List(_)) {
            self.position
        } else {
            self.value.position
        }
    }
}

fn position(location: Location) -> Position {
    Position { line: location.line(), column: location.column() }
}

/// The text that stands at a location.
fn written(location: Location, text: &str) -> Option<&str> {
    let (from, length) = (location.span().byte_offset()?, location.span().byte_len()?);
    let from = usize::try_from(from).ok()?;
    let written = text.get(from..from.checked_add(usize::try_from(length).ok()?)?)?;
    Some(written.trim().trim_matches(['"', '\''])).filter(|written| !written.is_empty())
}

/// What the parser says, on one line and without the excerpt, which may hold secrets.
fn fault(error: &serde_saphyr::Error) -> Fault {
    let mut options = serde_saphyr::RenderOptions::default();
    options.snippets = serde_saphyr::SnippetMode::Off;
    let rendered = error.render_with_options(options);
    let message = rendered.lines().next().unwrap_or_default();
    // Nor what only programmers can do about it.
    let message = message.split(" at line ").next().unwrap_or(message);
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or(message);
    let message = match error.without_snippet() {
        serde_saphyr::Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias inside what it stands for"
        }
        _ => message,
    };
    let place = error.location().filter(|location| location.line() > 0).map(position);
    Fault { path: String::new(), position: place, message: format!("no valid YAML: {message}") }
}

/// A value as the parser gives it.
#[derive(Debug)]
enum Raw {
    Empty,
    Text(String),
    /// A number or a boolean, as it would be written again.
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or keys")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
