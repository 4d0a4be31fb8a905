//! Finds values in JSON text: takes the text and pointers, gives where in the text the values stand.
//!
//! One pass behind a check of the whole text. Only what a pointer leads through is looked into, so the recursion is no
//! deeper than the pointers are long; all else is skipped without recursion.

use std::{fmt, ops::Range};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::pointer::{JsonPointer, Segment};

/// What is left of the pointers that lead to a place.
type Ways<'p> = SmallVec<[&'p [Segment]; 4]>;

/// The values in `text` that `pointers` mean, in order, none within another. `text` is one JSON text or several, one
/// behind the other.
///
/// # Errors
/// If it is anything else.
pub(in crate::shadow) fn find(
    text: &str,
    pointers: &[JsonPointer],
) -> Result<Vec<Range<usize>>, serde_json::Error> {
    let mut found = Found { text, values: Vec::new() };
    let ways: Ways<'_> = pointers.iter().map(JsonPointer::segments).collect();
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let mut reader = serde_json::Deserializer::from_str(document?.get());
        Place { ways: ways.clone(), found: &mut found }.deserialize(&mut reader)?;
    }
    Ok(found.values)
}

struct Found<'t> {
    text: &'t str,
    values: Vec<Range<usize>>,
}

impl Found<'_> {
    /// `value` is a slice of the text.
    fn add(&mut self, value: &str) {
        let start = value.as_ptr().addr() - self.text.as_ptr().addr();
        self.values.push(start..start + value.len());
    }
}

/// A value, and the ways on from it.
struct Place<'p, 'f, 't> {
    ways: Ways<'p>,
    found: &'f mut Found<'t>,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.ways.is_empty() {
            IgnoredAny::deserialize(reader)?;
        } else if self.ways.iter().any(|way| way.is_empty()) {
            self.found.add(<&RawValue>::deserialize(reader)?.get());
        } else {
            reader.deserialize_any(self)?;
        }
        Ok(())
    }
}

/// The ways that begin with a segment for which `leads` is true, behind that segment.
fn behind<'p>(ways: &[&'p [Segment]], leads: impl Fn(&Segment) -> bool) -> Ways<'p> {
    let steps = ways.iter().filter_map(|way| way.split_first());
    steps.filter(|(segment, _)| leads(segment)).map(|(_, rest)| rest).collect()
}

impl<'de> Visitor<'de> for Place<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(ways) = members.next_key_seed(Name(&self.ways))? {
            members.next_value_seed(Place { ways, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        for number in 0.. {
            let ways = behind(&self.ways, |segment| segment.is_element(number));
            if elements.next_element_seed(Place { ways, found: self.found })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A member's name; gives the ways on from the member.
struct Name<'p, 'w>(&'w [&'p [Segment]]);

impl<'de, 'p> DeserializeSeed<'de> for Name<'p, '_> {
    type Value = Ways<'p>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Ways<'p>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'p, '_> {
    type Value = Ways<'p>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Ways<'p>, E> {
        Ok(behind(self.0, |segment| segment.is_member(name)))
    }
}
