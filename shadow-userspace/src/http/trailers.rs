//! The trailer section of a chunked body.

use bytes::Bytes;

use super::{fields::is_forbidden_in_trailers, headers::range_of};
use crate::ledger::DropReason;

/// Far more than any sender has been seen to use.
const MAX_TRAILERS: usize = 32;

/// The fields of a whole trailer section.
pub(super) fn parse_trailers(raw: &Bytes) -> Result<Vec<(Bytes, Bytes)>, DropReason> {
    if &**raw == b"\r\n" {
        return Ok(Vec::new());
    }
    let mut storage = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let fields = match httparse::parse_headers(raw, &mut storage) {
        Ok(httparse::Status::Complete((length, fields))) if length == raw.len() => fields,
        Err(httparse::Error::TooManyHeaders) => return Err(DropReason::HeadTooLarge),
        Ok(_) | Err(_) => return Err(DropReason::Ambiguous),
    };
    let part = |bytes| range_of(raw, bytes).map(|range| raw.slice(range)).ok_or(DropReason::Ambiguous);
    fields
        .iter()
        .map(|field| {
            if is_forbidden_in_trailers(field.name.as_bytes()) {
                return Err(DropReason::Ambiguous);
            }
            Ok((part(field.name.as_bytes())?, part(field.value)?))
        })
        .collect()
}
