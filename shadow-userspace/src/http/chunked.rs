//! The framing of a chunked body (RFC 9112 section 7.1), up to the last chunk; trailers are a section of their own.
//!
//! Takes slices of the stream, gives the data between the framing. No leniency: a size is one to sixteen hexadecimal
//! digits and nothing else, a line ends with CR LF.

use crate::ledger::DropReason;

/// The framing isn't what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<Malformed> for DropReason {
    fn from(Malformed: Malformed) -> Self {
        Self::Ambiguous
    }
}

/// What a chunked body consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk<'a> {
    /// Bytes of the body; never empty.
    Data(&'a [u8]),
    /// The chunk of size zero was seen; the trailer section follows.
    Last,
}

/// Where in the framing the next byte lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the digits of a size.
    Size { size: u64, digits: u32 },
    /// In an extension, of which `seen` bytes were seen.
    Extension { size: u64, seen: usize },
    /// At the line feed after a size.
    SizeLf { size: u64 },
    /// In data, of which `left` bytes are to come.
    Data { left: u64 },
    /// At the carriage return after data.
    DataCr,
    /// At the line feed after data.
    DataLf,
}

/// Hexadecimal digits that always fit a `u64`.
const MAX_DIGITS: u32 = 16;

impl Chunks {
    /// Before the first chunk.
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };

    /// Takes bytes off the front of `input` up to the next event; `None` once it is used up.
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        max_extension: usize,
    ) -> Result<Option<Chunk<'a>>, Malformed> {
        while let Some((byte, rest)) = input.split_first() {
            if let Self::Data { left } = *self {
                return Ok(Some(self.take_data(input, left)));
            }
            *input = rest;
            *self = match (*self, *byte) {
                (Self::SizeLf { size: 0 }, b'\n') => {
                    *self = Self::START;
                    return Ok(Some(Chunk::Last));
                }
                (Self::SizeLf { size }, b'\n') => Self::Data { left: size },
                (Self::Size { size, digits: 1.. } | Self::Extension { size, .. }, b'\r') => {
                    Self::SizeLf { size }
                }
                (Self::Size { size, digits: 1.. }, b';') => Self::Extension { size, seen: 1 },
                (Self::Size { size, digits }, byte) if digits < MAX_DIGITS => {
                    let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                    Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
                }
                (Self::Extension { size, seen }, byte) if seen < max_extension && is_text(byte) => {
                    Self::Extension { size, seen: seen + 1 }
                }
                (Self::DataCr, b'\r') => Self::DataLf,
                (Self::DataLf, b'\n') => Self::START,
                _ => return Err(Malformed),
            };
        }
        Ok(None)
    }

    fn take_data<'a>(&mut self, input: &mut &'a [u8], left: u64) -> Chunk<'a> {
        let length = usize::try_from(left).unwrap_or(usize::MAX);
        let (data, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        *input = rest;
        let left = left - data.len() as u64;
        *self = if left == 0 { Self::DataCr } else { Self::Data { left } };
        Chunk::Data(data)
    }
}

/// No control byte other than a tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}
