//! What is kept of a body: how long it was, and its hash. Never a byte of it.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Whether bodies are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hashing {
    On,
    Off,
}

/// A body after transfer decoding, as far as it was seen.
#[derive(Debug)]
pub(super) struct Body {
    hashing: Hashing,
    /// From the first byte on: most requests have none.
    hash: Option<Sha256>,
    bytes: u64,
    missing: bool,
}

impl Body {
    pub(super) fn new(hashing: Hashing) -> Self {
        Self { hashing, hash: None, bytes: 0, missing: false }
    }

    /// Whether it is hashed.
    pub(super) fn hashing(&self) -> Hashing {
        self.hashing
    }

    /// Its next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if self.hashing == Hashing::On {
            self.hash.get_or_insert_default().update(bytes);
        }
    }

    /// So many bytes of it were not seen.
    pub(super) fn miss(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.missing = true;
        // It would be of another body.
        (self.hashing, self.hash) = (Hashing::Off, None);
    }

    /// Its length in bytes, with those that are missing.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether any byte of it was not seen.
    pub(super) fn has_holes(&self) -> bool {
        self.missing
    }

    /// The hash of what was seen; none if it has holes, or isn't wanted.
    pub(super) fn sha256(&self) -> Option<Sha256Hex> {
        let hash = || self.hash.clone().unwrap_or_default().finalize().into();
        (self.hashing == Hashing::On).then(|| Sha256Hex(hash()))
    }
}

/// In lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sha256Hex([u8; 32]);

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two numbers of 128 bits.
        let (high, low) = self.0.split_at(16);
        let number = |half: &[u8]| half.iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        write!(f, "{:032x}{:032x}", number(high), number(low))
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(parts: &[&str]) -> Option<String> {
        let mut body = Body::new(Hashing::On);
        parts.iter().for_each(|part| body.push(part.as_bytes()));
        body.sha256().map(|hash| hash.to_string())
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1; the other is the one of nothing.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((sha256(&["abc"]).as_deref(), sha256(&["a", "bc"]).as_deref()), (Some(abc), Some(abc)));
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(&[]).as_deref(), Some(nothing));
    }

    #[test]
    fn a_hole_has_a_length_and_no_hash() {
        let mut body = Body::new(Hashing::On);
        body.push(b"abc");
        body.miss(4);
        body.push(b"d");
        assert_eq!((body.bytes(), body.has_holes(), body.sha256()), (8, true, None));
        let mut unhashed = Body::new(Hashing::Off);
        unhashed.push(b"abc");
        assert_eq!((unhashed.bytes(), unhashed.has_holes(), unhashed.sha256()), (3, false, None));
    }
}
