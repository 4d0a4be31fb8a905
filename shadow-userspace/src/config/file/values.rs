//! The kinds of values that the file's keys have, as serde reads and writes them.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value},
    ser::SerializeMap as _,
};

/// A scalar as it is written, whatever YAML takes it for: `8080`, `true` and `1.10` keep their text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scalar(pub String);

impl Scalar {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Scalar {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Scalar {
    /// Numbers and booleans are written as such if they come back with the same text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.as_str();
        match (text.parse::<u64>(), text.parse::<f64>(), text.parse::<bool>()) {
            (Ok(number), ..) if number.to_string() == text => serializer.serialize_u64(number),
            (_, Ok(number), _) if number.is_finite() && plain(number, text) => {
                serializer.serialize_f64(number)
            }
            (.., Ok(flag)) => serializer.serialize_bool(flag),
            _ => serializer.serialize_str(text),
        }
    }
}

/// Whether a number is short enough that any writer of YAML writes these digits.
fn plain(number: f64, text: &str) -> bool {
    text.len() <= 9 && text.contains('.') && number >= 0.001 && number.to_string() == text
}

/// One value or a list of them; an empty list is refused unless it `MAY_BE_EMPTY`: who writes one may mean all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAY_BE_EMPTY: bool = false>(pub Vec<T>);

impl<T, const E: bool> Default for List<T, E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const E: bool> From<Vec<T>> for List<T, E> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<'de, T: Deserialize<'de>, const E: bool> Deserialize<'de> for List<T, E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor::<T, E>(PhantomData)).map(Self)
    }
}

struct ListVisitor<T, const MAY_BE_EMPTY: bool>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAY_BE_EMPTY: bool> Visitor<'de> for ListVisitor<T, MAY_BE_EMPTY> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        Ok(vec![T::deserialize(value::StrDeserializer::new(text))?])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        Ok(vec![T::deserialize(value::MapAccessDeserializer::new(map))?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        if items.is_empty() && !MAY_BE_EMPTY {
            return Err(de::Error::custom("an empty list: name something, or leave the key out"));
        }
        Ok(items)
    }
}

/// A text, or a section with keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Either<T> {
    /// A text.
    Text(Scalar),
    /// A section.
    Section(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Either<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

struct EitherVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EitherVisitor<T> {
    type Value = Either<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or keys")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Either<T>, E> {
        Ok(Either::Text(text.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either<T>, A::Error> {
        T::deserialize(value::MapAccessDeserializer::new(map)).map(Either::Section)
    }
}

/// Names with values, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries<T>(pub Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData)).map(Self)
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// Changes of a copy's headers: the keys `set`, `add` and `remove`, applied in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges(pub Vec<HeaderChange>);

/// One of the keys of [`HeaderChanges`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// These values instead of all that the headers have.
    Set(Entries<Scalar>),
    /// These values beside those that the headers have.
    Add(Entries<Scalar>),
    /// None of these headers.
    Remove(List<Scalar>),
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum ChangeKey {
    Set,
    Add,
    Remove,
}

impl Serialize for HeaderChanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for change in &self.0 {
            match change {
                HeaderChange::Set(entries) => map.serialize_entry("set", entries)?,
                HeaderChange::Add(entries) => map.serialize_entry("add", entries)?,
                HeaderChange::Remove(names) => map.serialize_entry("remove", names)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for HeaderChanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ChangesVisitor).map(Self)
    }
}

struct ChangesVisitor;

impl<'de> Visitor<'de> for ChangesVisitor {
    type Value = Vec<HeaderChange>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys set, add or remove")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut changes = Vec::new();
        while let Some(key) = map.next_key()? {
            changes.push(match key {
                ChangeKey::Set => HeaderChange::Set(map.next_value()?),
                ChangeKey::Add => HeaderChange::Add(map.next_value()?),
                ChangeKey::Remove => HeaderChange::Remove(map.next_value()?),
            });
        }
        Ok(changes)
    }
}
