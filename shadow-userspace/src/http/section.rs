//! A section of lines up to the empty line that ends it: a head, or the trailers of a chunked body.
//!
//! Takes slices of the stream, gives the section's bytes once its end is seen. Every byte is looked at once, however
//! the section was cut; a section within one slice is copied once, into its final place. Invariant: each line of it
//! ends with CR LF.

use bytes::Bytes;

use crate::ledger::DropReason;

/// Why a section can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionError {
    /// A line feed without a carriage return before it.
    BareLf,
    /// No end within the limit.
    TooLong,
}

impl From<SectionError> for DropReason {
    fn from(error: SectionError) -> Self {
        match error {
            SectionError::BareLf => Self::Ambiguous,
            SectionError::TooLong => Self::HeadTooLarge,
        }
    }
}

/// A section of which not everything was seen yet.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// What earlier slices held of it.
    buffer: Vec<u8>,
    /// Finds the end in what follows.
    lines: Lines,
}

/// The state of the search for the empty line.
#[derive(Debug, Default)]
struct Lines {
    /// Bytes of the current line that earlier slices held.
    line: usize,
    /// Whether the last of them was a carriage return.
    cr: bool,
}

impl Section {
    /// A section of which `bytes`, which hold no line end, were taken out of the stream already.
    pub(super) fn begun_with(bytes: Vec<u8>) -> Self {
        Self { lines: Lines { line: bytes.len(), cr: false }, buffer: bytes }
    }

    /// Takes what belongs to the section off the front of `input`; gives it whole once its end is there.
    pub(super) fn push(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Bytes>, SectionError> {
        let room = limit.saturating_sub(self.buffer.len());
        let window = input.get(..room).unwrap_or(input);
        let Some(length) = self.lines.find_end(window)? else {
            if window.len() == room {
                return Err(SectionError::TooLong);
            }
            self.buffer.extend_from_slice(window);
            *input = &[];
            return Ok(None);
        };
        let (rest_of_section, after) = input.split_at_checked(length).unwrap_or((input, &[]));
        *input = after;
        if self.buffer.is_empty() {
            return Ok(Some(Bytes::copy_from_slice(rest_of_section)));
        }
        self.buffer.extend_from_slice(rest_of_section);
        // Exactly as long as the section, unlike the buffer: it may be kept for a while.
        Ok(Some(Bytes::copy_from_slice(&std::mem::take(&mut self.buffer))))
    }

    /// Memory held for the section, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.buffer.capacity()
    }
}

impl Lines {
    /// The number of bytes of `input` up to and with the empty line.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, SectionError> {
        let mut rest = input;
        while let Some(length) = find_lf(rest) {
            let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            if line.last().map_or(!self.cr, |last| *last != b'\r') {
                return Err(SectionError::BareLf);
            }
            let is_empty = self.line + line.len() == 1;
            *self = Self::default();
            rest = after.get(1..).unwrap_or_default();
            if is_empty {
                return Ok(Some(input.len() - rest.len()));
            }
        }
        self.line += rest.len();
        self.cr = rest.last().map_or(self.cr, |last| *last == b'\r');
        Ok(None)
    }
}

/// The position of the first line feed.
fn find_lf(bytes: &[u8]) -> Option<usize> {
    const LANES: usize = 16;
    let mut before = 0;
    for chunk in bytes.chunks(LANES) {
        // Without an early exit the compiler compares the chunk at once.
        if chunk.iter().fold(false, |found, byte| found | (*byte == b'\n')) {
            return chunk.iter().position(|byte| *byte == b'\n').map(|at| before + at);
        }
        before += chunk.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes the parts; gives the section, and what of the last part is left.
    fn run(parts: &[&str], limit: usize) -> Result<Option<(String, String)>, SectionError> {
        let mut section = Section::default();
        for part in parts {
            let mut input = part.as_bytes();
            if let Some(whole) = section.push(&mut input, limit)? {
                assert_eq!(section.memory(), 0);
                return Ok(Some((
                    String::from_utf8_lossy(&whole).into_owned(),
                    String::from_utf8_lossy(input).into_owned(),
                )));
            }
        }
        Ok(None)
    }

    #[test]
    fn finds_the_empty_line_however_it_is_cut() {
        let expected = Ok(Some(("a: b\r\nc\rd\r\n\r\n".to_owned(), "rest".to_owned())));
        let whole = "a: b\r\nc\rd\r\n\r\nrest";
        assert_eq!(run(&[whole], 100), expected);
        for cut in 0..whole.len() - 4 {
            assert_eq!(run(&[&whole[..cut], "", &whole[cut..]], 100), expected, "{cut}");
        }
        assert_eq!(run(&["\r\nrest"], 100), Ok(Some(("\r\n".to_owned(), "rest".to_owned()))));
        assert_eq!(run(&["\r", "\nrest"], 100), Ok(Some(("\r\n".to_owned(), "rest".to_owned()))));
        assert_eq!(run(&["a\r\n\r"], 100), Ok(None));
    }

    #[test]
    fn bytes_taken_before_belong_to_the_first_line() {
        let mut input = &b"\r\n\r\nrest"[..];
        let section = Section::begun_with(b"a".to_vec()).push(&mut input, 100);
        assert_eq!((section, input), (Ok(Some("a\r\n\r\n".into())), &b"rest"[..]));
    }

    #[test]
    fn refuses_bare_line_feeds() {
        for parts in [&["\n"][..], &["a\n"], &["a", "\n"], &["a\r\n\n"], &["a\r\n", "\n"], &["a\r\nb\n\r\n"]]
        {
            assert_eq!(run(parts, 100), Err(SectionError::BareLf), "{parts:?}");
        }
    }

    #[test]
    fn the_limit_is_on_the_whole_section() {
        for parts in [&["a: b\r\n\r\n"][..], &["a: b", "\r\n\r\n"], &["a: b\r\n\r", "\n"]] {
            assert!(matches!(run(parts, 8), Ok(Some(_))), "{parts:?}");
            assert_eq!(run(parts, 7), Err(SectionError::TooLong), "{parts:?}");
        }
    }

    #[test]
    fn the_line_feed_is_found_wherever_it_is() {
        for length in 0..70 {
            for at in 0..length {
                let mut bytes = vec![b'x'; length];
                bytes[at] = b'\n';
                assert_eq!(find_lf(&bytes), Some(at));
                *bytes.last_mut().unwrap() = b'\n';
                assert_eq!(find_lf(&bytes), Some(at));
            }
            assert_eq!(find_lf(&vec![b'x'; length]), None);
        }
    }
}
