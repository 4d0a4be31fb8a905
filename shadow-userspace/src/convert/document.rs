//! Kubernetes documents: takes YAML, gives each document's fields to be taken out one by one.
//!
//! What was taken is understood; what is left when a document is done is noted, so that nothing is dropped in silence.

use serde_json::{Map, Value};

use super::{ConvertError, Note};

/// The documents of a file, and what is to be said about them.
#[derive(Debug, Default)]
pub(super) struct Documents {
    documents: Vec<Document>,
    /// The numbers of those that are none of Kubernetes'.
    others: Vec<usize>,
    notes: Vec<Note>,
}

/// One Kubernetes object.
#[derive(Debug)]
pub(super) struct Document {
    number: usize,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
    spec: Map<String, Value>,
    taken: bool,
}

/// An object whose fields are taken out.
#[derive(Debug)]
pub(super) struct Fields {
    place: String,
    map: Map<String, Value>,
}

/// How an object's fields are read, and what is said about them.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) notes: &'a mut Vec<Note>,
}

impl Documents {
    /// # Errors
    /// If `text` is no YAML.
    pub(super) fn read(text: &str) -> Result<Self, ConvertError> {
        // As for Kubernetes `y` and `n` are texts.
        let options = serde_saphyr::options! { strict_booleans: true };
        let values: Vec<Value> =
            serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
                let place =
                    error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
                let what = error.without_snippet().to_string();
                let what = what.lines().next().unwrap_or_default();
                ConvertError::Yaml(format!("{}no YAML: {what}", place.unwrap_or_default()))
            })?;
        let mut all = Self::default();
        for (number, value) in (1..).zip(values) {
            if !all.add(number, value) {
                all.others.push(number);
            }
        }
        Ok(all)
    }

    /// Whether it is nothing, or a Kubernetes object.
    fn add(&mut self, number: usize, value: Value) -> bool {
        let Value::Object(mut map) = value else { return value.is_null() };
        let mut text = |key| map.remove(key).and_then(|value| value.as_str().map(str::to_owned));
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else { return map.is_empty() };
        if kind == "List" || kind.ends_with("List") && map.contains_key("items") {
            if let Some(Value::Array(items)) = map.remove("items") {
                return items.into_iter().all(|item| self.add(number, item));
            }
            return true;
        }
        let metadata = map.remove("metadata").unwrap_or_default();
        let text = |key| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let namespace = Some(text("namespace")).filter(|name| !name.is_empty());
        let spec = match map.remove("spec") {
            Some(Value::Object(spec)) => spec,
            _ => Map::new(),
        };
        self.documents.push(Document {
            number,
            group: version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            kind,
            name: text("name"),
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            spec,
            taken: false,
        });
        true
    }

    /// The number of the first document that is none of Kubernetes'.
    pub(super) fn other(&self) -> Option<usize> {
        self.others.first().copied()
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        !self.documents.is_empty()
    }

    /// Takes out the documents of one kind, each with its `spec`, and gives the place to say things about them.
    pub(super) fn take(&mut self, group: &str, kind: &str) -> (Vec<(Document, Fields)>, Reader<'_>) {
        let is_wanted =
            |document: &&mut Document| !document.taken && document.group == group && document.kind == kind;
        let mut taken = Vec::new();
        for document in self.documents.iter_mut().filter(is_wanted) {
            document.taken = true;
            let spec = std::mem::take(&mut document.spec);
            let fields = Fields { place: document.place("spec"), map: spec };
            taken.push((document.copy(), fields));
        }
        (taken, Reader { notes: &mut self.notes })
    }

    /// Everything that was said, and which documents nobody took.
    pub(super) fn into_notes(mut self) -> Vec<Note> {
        for document in self.documents.iter().filter(|document| !document.taken) {
            let what = format!("{} has no mirror rules", document.kind);
            self.notes.push(Note { place: document.place(""), what });
        }
        self.notes
    }
}

impl Document {
    fn place(&self, path: &str) -> String {
        let Self { number, kind, name, .. } = self;
        let place = format!("document {number} ({kind} {name})");
        if path.is_empty() { place } else { format!("{place}: {path}") }
    }

    fn copy(&self) -> Self {
        Self {
            number: self.number,
            group: self.group.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            spec: Map::new(),
            taken: true,
        }
    }
}

impl Fields {
    /// The place of a field.
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.place)
    }

    /// Where the object is.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Takes a field out, whatever it is; null counts as absent.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// Whether the field is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// The keys that are left.
    pub(super) fn keys(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }
}

impl Reader<'_> {
    /// Says something about a place.
    pub(super) fn note(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.notes.push(Note { place: place.into(), what: what.into() });
    }

    /// Says that a place isn't carried over.
    pub(super) fn left_out(&mut self, place: impl Into<String>, why: &str) {
        let what =
            if why.is_empty() { "not carried over".to_owned() } else { format!("not carried over: {why}") };
        self.note(place, what);
    }

    /// Says which fields are left.
    pub(super) fn done(&mut self, fields: Fields) {
        for key in fields.keys() {
            self.left_out(fields.at(&key), "");
        }
    }

    /// A text, or a number or truth value as text.
    pub(super) fn text(&mut self, fields: &mut Fields, key: &str) -> Option<String> {
        match fields.take(key)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            _ => {
                self.left_out(fields.at(key), "it is no text");
                None
            }
        }
    }

    /// A number.
    pub(super) fn number(&mut self, fields: &mut Fields, key: &str) -> Option<f64> {
        let value = fields.take(key)?;
        let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if number.is_none() {
            self.left_out(fields.at(key), "it is no number");
        }
        number
    }

    /// A truth value; false if it isn't there.
    pub(super) fn flag(&mut self, fields: &mut Fields, key: &str) -> bool {
        match fields.take(key) {
            Some(Value::Bool(is)) => is,
            Some(Value::String(word)) if word == "yes" || word == "on" => true,
            Some(Value::String(word)) if word == "no" || word == "off" => false,
            None => false,
            Some(_) => {
                self.left_out(fields.at(key), "it is neither true nor false");
                false
            }
        }
    }

    /// An object.
    pub(super) fn object(&mut self, fields: &mut Fields, key: &str) -> Option<Fields> {
        let place = fields.at(key);
        let value = fields.take(key)?;
        self.as_object(place, value)
    }

    /// A list of objects; those that are none are noted.
    pub(super) fn objects(&mut self, fields: &mut Fields, key: &str) -> Vec<Fields> {
        let items = self.items(fields, key);
        items.into_iter().filter_map(|(place, value)| self.as_object(place, value)).collect()
    }

    /// Hosts in lower case; `*` if there are none. Some that can't be read are not every host.
    pub(super) fn hosts(&mut self, fields: &mut Fields, key: &str) -> Vec<String> {
        let said = self.notes.len();
        let mut hosts = self.texts(fields, key);
        hosts.iter_mut().for_each(|host| *host = host.to_ascii_lowercase());
        if hosts.is_empty() && self.notes.len() == said {
            hosts.push("*".to_owned());
        }
        hosts
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, fields: &mut Fields, key: &str) -> Vec<String> {
        let items = self.items(fields, key);
        let mut text = |(place, value): (String, Value)| match value {
            Value::String(text) => Some(text),
            _ => {
                self.left_out(place, "it is no text");
                None
            }
        };
        items.into_iter().filter_map(&mut text).collect()
    }

    /// An object's fields, in the order of their names, each an object or a text.
    pub(super) fn entries(&mut self, fields: &mut Fields, key: &str) -> Vec<(String, String, Value)> {
        let Some(object) = self.object(fields, key) else { return Vec::new() };
        let place = object.place;
        object.map.into_iter().map(|(name, value)| (format!("{place}[{name}]"), name, value)).collect()
    }

    fn items(&mut self, fields: &mut Fields, key: &str) -> Vec<(String, Value)> {
        let place = fields.at(key);
        match fields.take(key) {
            Some(Value::Array(items)) => (0..)
                .zip(items)
                .map(|(index, item): (usize, _)| (format!("{place}[{index}]"), item))
                .collect(),
            None => Vec::new(),
            Some(_) => {
                self.left_out(place, "it is no list");
                Vec::new()
            }
        }
    }

    /// `value` as an object.
    pub(super) fn as_object(&mut self, place: String, value: Value) -> Option<Fields> {
        match value {
            Value::Object(map) => Some(Fields { place, map }),
            _ => {
                self.left_out(place, "it is no object");
                None
            }
        }
    }
}
