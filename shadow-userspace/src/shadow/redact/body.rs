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
    shadow::policy::Redaction,
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
    if Kind::of(head) == Kind::Unknown
        && !text.trim_ascii_start().starts_with(b"{")
        && !text.trim_ascii_start().starts_with(b"[")
    {
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
        let mut types = head.header_values("content-type").map(Self::of_type);
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
            Some((_, subtype)) if subtype == "json" || subtype.ends_with("+json") => Self::Json,
            Some(("audio" | "font" | "image" | "multipart" | "video", _)) => Self::Other,
            _ => Self::Unknown,
        }
    }
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
