//! A body whose end its own framing tells: by length, or chunked.
//!
//! Takes slices of the stream, gives the body's bytes straight out of them.

use bytes::Bytes;

use super::{
    DecoderLimits,
    chunked::{Chunk, Chunks},
    section::Section,
    trailers::parse_trailers,
};
use crate::ledger::DropReason;

/// What is left of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// The trailer section, behind the last chunk.
    Trailers(Section),
}

/// What a body consists of.
#[derive(Debug)]
pub(super) enum BodyPart<'a> {
    /// Bytes of it, without transfer coding; never empty.
    Data(&'a [u8]),
    /// Its trailer fields; never none.
    Trailers(Vec<(Bytes, Bytes)>),
}

impl Body {
    /// Takes what belongs to the body off the front of `input`. Tells whether it is complete.
    pub(super) fn push(
        &mut self,
        input: &mut &[u8],
        limits: &DecoderLimits,
        mut on_part: impl FnMut(BodyPart<'_>),
    ) -> Result<bool, DropReason> {
        loop {
            match self {
                Self::Length(left) => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX);
                    let (data, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
                    *input = rest;
                    *left -= data.len() as u64;
                    if !data.is_empty() {
                        on_part(BodyPart::Data(data));
                    }
                    return Ok(*left == 0);
                }
                Self::Chunked(chunks) => match chunks.next(input, limits.max_chunk_extension)? {
                    Some(Chunk::Data(data)) => on_part(BodyPart::Data(data)),
                    Some(Chunk::Last) => *self = Self::Trailers(Section::default()),
                    None => return Ok(false),
                },
                Self::Trailers(section) => {
                    let Some(raw) = section.push(input, limits.max_trailer_bytes)? else { return Ok(false) };
                    let trailers = parse_trailers(&raw)?;
                    if !trailers.is_empty() {
                        on_part(BodyPart::Trailers(trailers));
                    }
                    return Ok(true);
                }
            }
        }
    }

    /// Leaves out `bytes` bytes of the stream. Tells whether the body is complete; `None` if what follows them would
    /// have no place.
    pub(super) fn skip(&mut self, bytes: u64) -> Option<bool> {
        match self {
            Self::Length(left) => {
                *left = left.checked_sub(bytes)?;
                Some(*left == 0)
            }
            Self::Chunked(_) | Self::Trailers(_) => None,
        }
    }

    /// Memory held for an incomplete trailer section, in bytes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Trailers(section) => section.memory(),
            Self::Length(_) | Self::Chunked(_) => 0,
        }
    }
}
