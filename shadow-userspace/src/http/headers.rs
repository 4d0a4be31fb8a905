//! The lines of a head as `httparse` finds them, kept as ranges of the head's bytes.
//!
//! Invariant: every line that is kept ended with CR LF; `httparse` alone would take bare line feeds.

use std::ops::Range;

use super::{
    fields::Fields,
    framing::{HeadError, MAX_HEADERS},
};

/// Room for `httparse` to put down headers; not initialised, since most heads have few.
pub(super) type Storage<'a> = [std::mem::MaybeUninit<httparse::Header<'a>>; MAX_HEADERS];

/// A range of a head's bytes. A head is far shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    start: u32,
    end: u32,
}

impl Part {
    /// From `start` to `end`; empty at `end` if that comes first.
    pub(super) fn between(start: usize, end: usize) -> Result<Self, HeadError> {
        match (u32::try_from(start.min(end)), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Ok(Self { start, end }),
            _ => Err(HeadError::Syntax),
        }
    }

    /// Where `part`, a slice of `bytes`, lies in them.
    pub(super) fn of(bytes: &[u8], part: &[u8]) -> Result<Self, HeadError> {
        let Range { start, end } = range_of(bytes, part).ok_or(HeadError::Syntax)?;
        Self::between(start, end)
    }

    /// The part of `bytes`.
    pub(super) fn in_bytes(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Names and values of a head's fields, in order.
#[derive(Clone, Debug)]
pub(super) struct Headers(Box<[(Part, Part)]>);

impl Headers {
    /// The headers that `httparse` found in `head`, which ends with the empty line. Gives where the first line ends,
    /// too, and what the fields say.
    pub(super) fn read(
        head: &[u8],
        parsed: &[httparse::Header<'_>],
    ) -> Result<(Self, usize, Fields), HeadError> {
        let end = head.len().checked_sub(b"\r\n\r\n".len()).ok_or(HeadError::Syntax)?;
        let mut first_line = end;
        let mut fields = Fields::default();
        let mut headers = Vec::with_capacity(parsed.len());
        for header in parsed {
            let name = Part::of(head, header.name.as_bytes())?;
            let line_before = (name.start as usize).checked_sub(2).ok_or(HeadError::Syntax)?;
            ends_with_crlf(head, line_before)?;
            first_line = first_line.min(line_before);
            fields.add(header.name.as_bytes(), header.value)?;
            headers.push((name, Part::of(head, header.value)?));
        }
        ends_with_crlf(head, end)?;
        ends_with_crlf(head, end + 2)?;
        Ok((Self(headers.into_boxed_slice()), first_line, fields))
    }

    /// Names and values in `head`, whose headers these are.
    pub(super) fn iter<'a>(&'a self, head: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().map(|(name, value)| (name.in_bytes(head), value.in_bytes(head)))
    }

    /// The values of the headers with this name, in any case.
    pub(super) fn values<'a>(&'a self, head: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.iter(head).filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value)
    }

    /// Memory that they hold, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// Checks the line end at `at`, where a line feed is one or two bytes further.
fn ends_with_crlf(head: &[u8], at: usize) -> Result<(), HeadError> {
    if head.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) { Ok(()) } else { Err(HeadError::Syntax) }
}

/// The length of what `httparse` parsed, if it is a whole head.
pub(super) fn whole(parsed: httparse::Result<usize>) -> Result<usize, HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(length)) => Ok(length),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyHeaders),
        Ok(httparse::Status::Partial) | Err(_) => Err(HeadError::Syntax),
    }
}

/// The range of `part` in `whole`, if it is a slice of it.
pub(super) fn range_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let range = start..start.checked_add(part.len())?;
    (range.end <= whole.len()).then_some(range)
}
