//! Sequence numbers modulo 2^32.
//!
//! There is no `Ord` on purpose: modulo 2^32 "before" is no total order, so every comparison names its two sides.

use std::ops::{Add, AddAssign};

/// A TCP sequence number (RFC 9293 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// How far `self` lies ahead of `other`; negative if behind. Of the two ways round it is the shorter.
    #[must_use]
    pub const fn ahead_of(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// Whether `self` comes before `other`.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.ahead_of(other) < 0
    }

    /// Whether `self` comes after `other`.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        self.ahead_of(other) > 0
    }
}

impl Add<u32> for Seq {
    type Output = Self;

    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_the_shorter_way_round() {
        for (from, to, ahead) in [
            (0, 0, 0),
            (0, 1, 1),
            (1, 0, -1),
            (u32::MAX, 0, 1),
            (0, u32::MAX, -1),
            (0xffff_fff0, 0x10, 0x20),
            (0x10, 0xffff_fff0, -0x20),
            (0, 0x7fff_ffff, i32::MAX),
            (0x8000_0000, 0, i32::MIN),
        ] {
            let (from, to) = (Seq(from), Seq(to));
            assert_eq!(to.ahead_of(from), ahead);
            assert_eq!((to.is_before(from), to.is_after(from)), (ahead < 0, ahead > 0));
        }
    }

    #[test]
    fn addition_wraps() {
        let mut seq = Seq(u32::MAX);
        assert_eq!(seq + 2, Seq(1));
        seq += 1;
        assert_eq!(seq, Seq(0));
    }
}
