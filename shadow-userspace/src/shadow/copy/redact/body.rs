//! Bodies: takes a whole one and its head, gives it without its secrets.
//!
//! Whether a body is JSON is the server's to decide, so a type that says otherwise isn't enough: whatever begins like a
//! JSON object or array is read, but for media and multipart bodies. What should be read and can't be (no valid JSON,
//! no UTF-8, compressed) is [`DropReason::Unredactable`]: what isn't understood doesn't leave.

use bytes::Bytes;

use super::{REDACTED, json};
use crate::{
    http::{BodyFraming, RequestHead},
    ledger::DropReason,
    shadow::copy::redact::Redaction,
};

/// What a body is, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// JSON.
    Json,
    /// Certainly no JSON.
    Other,
    /// Its first byte tells.
    Unknown,
}

/// Whether a body with this head is looked into; such bodies must be whole. Of all others [`redacted`] changes nothing.
pub(in crate::shadow) fn is_read(head: &RequestHead, redaction: &Redaction) -> bool {
    redaction.reads_bodies()
        && !matches!(head.framing(), BodyFraming::None | BodyFraming::Length(0))
        && Kind::of(head) != Kind::Other
}

/// `body` without its secrets; `None`: it has none.
pub(in crate::shadow) fn redacted(
    head: &RequestHead,
    body: &[u8],
    redaction: &Redaction,
) -> Result<Option<Bytes>, DropReason> {
    if body.is_empty() || !is_read(head, redaction) {
        return Ok(None);
    }
    if is_encoded(head) {
        return Err(DropReason::Unredactable);
    }
    // A byte order mark is no JSON, but skipped by some readers.
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if Kind::of(head) == Kind::Unknown && !begins_like_json(text) {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| DropReason::Unredactable)?;
    let values = json::find(text, &redaction.json).map_err(|_| DropReason::Unredactable)?;
    if values.is_empty() {
        return Ok(None);
    }
    let mark = body.len() - text.len();
    let mut redacted = Vec::with_capacity(body.len());
    let mut kept = 0;
    for value in values {
        redacted.extend_from_slice(body.get(kept..mark + value.start).unwrap_or_default());
        redacted.extend_from_slice(format!("\"{REDACTED}\"").as_bytes());
        kept = mark + value.end;
    }
    redacted.extend_from_slice(body.get(kept..).unwrap_or_default());
    Ok(Some(redacted.into()))
}

impl Kind {
    fn of(head: &RequestHead) -> Self {
        let values = head.header_values("content-type").flat_map(|value| value.split(|byte| *byte == b','));
        let mut types = values.map(Self::of_type);
        let Some(first) = types.next() else { return Self::Unknown };
        // Of several types any may be the one that the server goes by.
        types.fold(first, |kind, other| match (kind, other) {
            (Self::Json, _) | (_, Self::Json) => Self::Json,
            (Self::Other, Self::Other) => Self::Other,
            _ => Self::Unknown,
        })
    }

    fn of_type(value: &[u8]) -> Self {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let essence = String::from_utf8_lossy(essence).to_ascii_lowercase();
        match essence.split_once('/') {
            // Sequences and lines of JSON, too.
            Some((_, subtype)) if subtype.contains("json") => Self::Json,
            Some(("audio" | "font" | "image" | "multipart" | "video", _)) => Self::Other,
            _ => Self::Unknown,
        }
    }
}

/// Whether an object or array begins here for a reader that finds out by itself whether it is UTF-8, UTF-16 or UTF-32.
fn begins_like_json(text: &[u8]) -> bool {
    const MARKS: [&[u8]; 4] = [b"\0\0\xfe\xff", b"\xff\xfe\0\0", b"\xfe\xff", b"\xff\xfe"];
    /// Bytes of a character, and which of them isn't zero.
    const FORMS: [(usize, usize); 5] = [(1, 0), (2, 0), (2, 1), (4, 0), (4, 3)];
    let text = MARKS.iter().find_map(|mark| text.strip_prefix(*mark)).unwrap_or(text);
    let is_space = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'\x0b' | b'\x1e');
    FORMS.into_iter().any(|(width, at)| {
        let characters = text.chunks_exact(width).map(|bytes| {
            let is_ascii = bytes.iter().enumerate().all(|(index, byte)| index == at || *byte == 0);
            bytes.get(at).copied().filter(|_| is_ascii).unwrap_or_default()
        });
        matches!(characters.into_iter().find(|byte| !is_space(*byte)), Some(b'{' | b'['))
    })
}

/// Whether the body is another form of what it stands for.
fn is_encoded(head: &RequestHead) -> bool {
    let mut codings =
        head.header_values("content-encoding").flat_map(|value| value.split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(head: &str, body: &[u8]) -> Result<Option<Bytes>, DropReason> {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}Content-Length: {}\r\n\r\n", body.len());
        let redaction = Redaction { json: vec!["/p".parse().unwrap()], ..Redaction::default() };
        redacted(&RequestHead::parse(head).unwrap(), body, &redaction)
    }

    /// Jackson and others find the encoding out by the first bytes, whatever the type says.
    #[test]
    fn json_of_other_encodings_does_not_leave() {
        let text = " {\"p\": \"secret\"}";
        let units: Vec<u16> = text.encode_utf16().collect();
        let utf16_be: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let utf16_le: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let utf32_be: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        let utf32_le: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let marked = |mark: &[u8], text: &[u8]| [mark, text].concat();
        for body in [
            marked(b"\xfe\xff", &utf16_be),
            marked(b"\xff\xfe", &utf16_le),
            marked(b"\0\0\xfe\xff", &utf32_be),
            marked(b"\xff\xfe\0\0", &utf32_le),
            utf16_be,
            utf16_le,
            utf32_be,
            utf32_le,
        ] {
            for head in ["", "Content-Type: text/plain\r\n", "Content-Type: application/json\r\n"] {
                assert_eq!(told(head, &body), Err(DropReason::Unredactable), "{head} {body:?}");
            }
        }
        // A message of gRPC's, and an image.
        for body in [&b"\0\0\0\0{abc"[..], b"\x89PNG{", b"a{bc"] {
            assert_eq!(told("", body), Ok(None));
        }
    }

    #[test]
    fn a_type_that_may_be_json_is_believed_whatever_the_body_is() {
        for kind in [
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/json-seq",
            "application/json, image/png",
            "image/png, application/json",
        ] {
            let head = format!("Content-Type: {kind}\r\n");
            assert_eq!(told(&head, b"p=secret"), Err(DropReason::Unredactable), "{kind}");
        }
    }

    #[test]
    fn sequences_and_lists_of_types_are_json() {
        let sequence = b"\x1e{\"p\": \"secret\"}\n";
        for kind in ["application/json-seq", "application/geo+json-seq", "text/plain"] {
            let head = format!("Content-Type: {kind}\r\n");
            assert_eq!(told(&head, sequence), Err(DropReason::Unredactable), "{kind}");
        }
        for kind in ["application/x-ndjson", "application/jsonl", "image/png, application/json"] {
            let head = format!("Content-Type: {kind}\r\n");
            let got = told(&head, b"{\"p\": \"secret\"}\n{\"p\": 1}\n").unwrap().unwrap();
            assert_eq!(got, "{\"p\": \"REDACTED\"}\n{\"p\": \"REDACTED\"}\n", "{kind}");
        }
    }
}
