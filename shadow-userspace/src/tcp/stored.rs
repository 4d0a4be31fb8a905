//! Segments that arrived ahead of a hole: byte ranges in, the same bytes in order out once the hole is filled.
//!
//! Invariant: the ranges ascend, don't overlap and are not empty; of a byte that came twice the first copy is kept.

use std::collections::VecDeque;

use super::Seq;

/// A contiguous range of bytes.
#[derive(Debug)]
struct Range {
    start: Seq,
    bytes: Box<[u8]>,
}

impl Range {
    fn end(&self) -> Seq {
        self.start + length(&self.bytes)
    }
}

/// Two copies of the same bytes that are not the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differs;

/// What is stored of one direction. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(super) struct Stored {
    ranges: VecDeque<Range>,
    bytes: usize,
}

impl Stored {
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of ranges.
    pub(super) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Memory in use, bookkeeping included.
    pub(super) fn memory(&self) -> usize {
        self.bytes + self.ranges.capacity() * size_of::<Range>()
    }

    /// Payload bytes stored.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the first range begins.
    pub(super) fn first(&self) -> Option<Seq> {
        self.ranges.front().map(|range| range.start)
    }

    /// Stores of `bytes`, which begin at `at`, what is not there yet, and compares what is.
    pub(super) fn insert(&mut self, mut at: Seq, mut bytes: &[u8]) -> Result<(), Differs> {
        let mut index = self.ranges.partition_point(|range| !range.end().is_after(at));
        while !bytes.is_empty() {
            let new = match self.ranges.get(index) {
                Some(range) if !range.start.is_after(at) => {
                    let same = compare(range, at, bytes)?;
                    at += length(same);
                    bytes = bytes.get(same.len()..).unwrap_or_default();
                    index += 1;
                    continue;
                }
                Some(range) => first_bytes(bytes, range.start.ahead_of(at)),
                None => bytes,
            };
            self.bytes += new.len();
            self.ranges.insert(index, Range { start: at, bytes: new.into() });
            at += length(new);
            bytes = bytes.get(new.len()..).unwrap_or_default();
            index += 1;
        }
        Ok(())
    }

    /// Takes out the first range if it begins exactly at `next`.
    pub(super) fn take(&mut self, next: Seq) -> Option<Box<[u8]>> {
        let range = self.ranges.pop_front_if(|range| range.start == next)?;
        self.bytes -= range.bytes.len();
        if self.ranges.is_empty() {
            self.ranges = VecDeque::new();
        }
        Some(range.bytes)
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The part of `bytes` that `range`, which contains `at`, already has; an error if it has it otherwise.
fn compare<'a>(range: &Range, at: Seq, bytes: &'a [u8]) -> Result<&'a [u8], Differs> {
    let skip = usize::try_from(at.ahead_of(range.start)).map_err(|_| Differs)?;
    let known = range.bytes.get(skip..).unwrap_or_default();
    let overlap = known.len().min(bytes.len());
    if known.get(..overlap) == bytes.get(..overlap) {
        Ok(bytes.get(..overlap).unwrap_or_default())
    } else {
        Err(Differs)
    }
}

/// At most the first `count` bytes; none if it is negative.
pub(super) fn first_bytes(bytes: &[u8], count: i32) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(0);
    bytes.get(..count).unwrap_or(bytes)
}

/// The length of a segment's payload as a distance between sequence numbers.
#[expect(clippy::cast_possible_truncation, reason = "the reassembler refuses segments longer than a window")]
pub(super) const fn length(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}
