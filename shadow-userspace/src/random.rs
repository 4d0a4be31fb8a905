//! Random numbers, for what nobody should be able to count on and no secret hangs on.

use std::hash::{BuildHasher as _, RandomState};

/// Another one each time.
pub(crate) fn number() -> u32 {
    // The standard library keys its hash maps at random, each one differently.
    (RandomState::new().hash_one(()) >> 32) as u32
}
