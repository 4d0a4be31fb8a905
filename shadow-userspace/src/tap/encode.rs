//! Bytes from the wire as JSON strings that lose nothing and drive no terminal.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::tap::{Secrets, escape::is_unsafe};

/// Text of a head. Where it isn't UTF-8, each byte stands as the character of its number (ISO 8859-1, which HTTP once
/// had for these bytes), so that none is lost.
#[derive(Debug)]
pub(super) struct Wire<'a>(pub(super) Cow<'a, [u8]>);

impl<'a> Wire<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let text: String = self.0.iter().map(|byte| char::from(*byte)).collect();
                serializer.serialize_str(&text)
            }
        }
    }
}

/// A name and what it stands for.
pub(super) type Field<'a> = (Wire<'a>, Wire<'a>);

/// Headers as they may be shown, in order and as sent.
pub(super) fn fields<'a>(
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    secrets: Secrets,
) -> Vec<Field<'a>> {
    headers.map(|(name, value)| (Wire::of(name), Wire(secrets.value(name, value)))).collect()
}

/// Puts a value down as JSON, on one line.
pub(super) fn put_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Strings, integers and finite floats under string keys, into memory: nothing that could fail.
    value.serialize(&mut serde_json::Serializer::with_formatter(out, SafeStrings)).ok();
}

/// As compact as JSON can be, but for characters that a terminal could act on.
struct SafeStrings;

impl Formatter for SafeStrings {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        // Those below the space never come here.
        if fragment.bytes().any(|byte| byte >= 0x7f) {
            while let Some((at, character)) = rest.char_indices().find(|(_, character)| is_unsafe(*character))
            {
                let (safe, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
                // None of them lies beyond the first 65536.
                write!(writer, "{safe}\\u{:04x}", u32::from(character))?;
                rest = from.get(character.len_utf8()..).unwrap_or_default();
            }
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put_json(&mut out, &Wire::of(bytes));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_byte_is_lost_and_none_is_obeyed() {
        for (bytes, written) in [
            (&b"a \"b\" \\"[..], r#""a \"b\" \\""#),
            ("gr\u{fc}n".as_bytes(), "\"gr\u{fc}n\""),
            (b"gr\xfcn", "\"gr\u{fc}n\""),
            (b"\x1b[31m\n", r#""\u001b[31m\n""#),
            (b"\x7f", r#""\u007f""#),
            (b"\x9b31m", r#""\u009b31m""#),
            ("a\u{9b}b\u{202e}\u{85}\"c\u{1f600}".as_bytes(), "\"a\\u009bb\\u202e\\u0085\\\"c\u{1f600}\""),
        ] {
            assert_eq!(json(bytes), written);
            let read: String = serde_json::from_str(&json(bytes)).unwrap();
            let latin: Vec<char> = bytes.iter().map(|byte| char::from(*byte)).collect();
            assert!(read.as_bytes() == bytes || read.chars().eq(latin), "{read}");
        }
    }
}
