//! The last delivered bytes of a message in progress, for comparison with what comes again.
//!
//! A receiver may have dropped the first copy of a byte (a wrong checksum, say) and taken the second, so two that differ
//! mean that nobody knows what it read. Invariant: the last byte kept is the one before the next to be delivered.

use std::collections::VecDeque;

/// Holds no memory while it is empty, and is small then.
#[derive(Debug, Default)]
pub(super) struct History(Option<Box<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
}

impl History {
    /// Keeps what was just delivered, and of all that is kept the last `limit` bytes.
    pub(super) fn append(&mut self, delivered: &[u8], limit: usize) {
        let bytes = &mut self.0.get_or_insert_default().bytes;
        let delivered = delivered.get(delivered.len().saturating_sub(limit)..).unwrap_or_default();
        let needed = (bytes.len() + delivered.len()).min(limit);
        bytes.drain(..bytes.len() + delivered.len() - needed);
        if needed > bytes.capacity() {
            // Grows by doubling, but not beyond the limit.
            bytes.reserve_exact((2 * bytes.capacity()).clamp(needed, limit) - bytes.len());
        }
        bytes.extend(delivered);
    }

    /// Whether `copy`, which begins `behind` bytes before the next byte to be delivered, says otherwise than what is
    /// kept. What it holds besides, older or not delivered yet, isn't looked at.
    pub(super) fn differs(&self, behind: usize, copy: &[u8]) -> bool {
        let Some(Kept { bytes }) = self.0.as_deref() else { return false };
        let kept = bytes.range(bytes.len().saturating_sub(behind)..);
        let copy = copy.get(behind.saturating_sub(bytes.len())..).unwrap_or_default();
        kept.zip(copy).any(|(kept, copy)| kept != copy)
    }

    /// Memory in use, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.0.as_deref().map_or(0, |kept| size_of::<Kept>() + kept.bytes.capacity())
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_and_compared() {
        let mut history = History::default();
        for piece in ["ab", "cdefg", "", "h"] {
            history.append(piece.as_bytes(), 4);
        }
        // Kept: "efgh".
        for (behind, copy, differs) in [
            (4, "efgh", false),
            (4, "efghXX", false),
            (4, "Xfgh", true),
            (4, "efgX", true),
            (2, "g", false),
            (2, "X", true),
            (1, "hX", false),
            (6, "XXef", false),
            (6, "XXeX", true),
            (6, "XX", false),
            (6, "X", false),
            (4, "", false),
        ] {
            assert_eq!(history.differs(behind, copy.as_bytes()), differs, "{behind} {copy}");
        }
        history.append(b"0123456789", 4);
        assert!(!history.differs(4, b"6789"));
        history.clear();
        assert!(!history.differs(4, b"XXXX"));
        assert_eq!(history.memory(), 0);
    }

    #[test]
    fn memory_stays_within_the_limit() {
        let mut history = History::default();
        let mut appended = 0;
        for length in [1, 1, 1, 300, 5, 1000, 999, 2, 700] {
            history.append(&vec![0; length], 1000);
            appended += length;
            let bytes = history.memory() - size_of::<Kept>();
            assert!((appended.min(1000)..=1000).contains(&bytes), "{bytes}");
        }
    }
}
