//! A window on the bytes of a file or pipe, read in large pieces; what lies in it isn't copied again.
//!
//! Invariant 4: it grows to the largest block that is asked for, which the formats bound.

use std::io::{self, Read};

/// Bytes read at once.
const PIECE: usize = 1 << 20;

pub(super) struct Window {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Where the bytes begin that weren't taken.
    start: usize,
    /// Where what was read ends.
    end: usize,
    /// Where the buffer begins in the file.
    offset: u64,
    is_over: bool,
}

impl Window {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, buffer: vec![0; PIECE], start: 0, end: 0, offset: 0, is_over: false }
    }

    /// What was read and not taken.
    #[inline]
    pub(super) fn ahead(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Sees to it that at least `bytes` are ahead; says whether there are so many. They are moved if need be, so places
    /// in the buffer are void after it.
    #[inline]
    pub(super) fn want(&mut self, bytes: usize) -> io::Result<bool> {
        if self.end - self.start >= bytes { Ok(true) } else { self.read(bytes) }
    }

    /// Takes `bytes` that are ahead; gives their place in the buffer, which holds until more is wanted.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> usize {
        let place = self.start;
        self.start = (place + bytes).min(self.end);
        place
    }

    /// The bytes at a place in the buffer.
    #[inline]
    pub(super) fn bytes(&self, place: usize, len: usize) -> &[u8] {
        self.buffer.get(place..).and_then(|bytes| bytes.get(..len)).unwrap_or_default()
    }

    /// Where the bytes ahead begin in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset + self.start as u64
    }

    #[cold]
    fn read(&mut self, bytes: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.offset += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
        while self.end < bytes && !self.is_over {
            match self.reader.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.is_over = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.end >= bytes)
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("offset", &self.offset()).finish_non_exhaustive()
    }
}
