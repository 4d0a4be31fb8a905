//! The number that is drawn for a request: a copy is made where it is below the percentage's threshold.
//!
//! Invariant: for what is kept of it (connection, client, header, cookie) the number is always the same, so that
//! raising a percentage only adds members. A request that the kernel drew at its rate K gets a number below K's
//! threshold, so that a route with percentage p gets p of all requests and not p of K.

use sha2::{Digest as _, Sha256};
use shadow_common::{FULL_RATE, FlowKey, SampleBy};

use super::SampleKey;
use crate::http::RequestHead;

/// What one request's number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice {
    by: SampleBy,
    threshold: u64,
    seed: u32,
    random: u32,
}

impl Dice {
    /// For a request that the kernel drew `by` this, at this threshold (0 to [`FULL_RATE`]; pausing changes nothing
    /// about it), with this seed of its hashes. `random` is any number, each time another.
    #[must_use]
    pub const fn new(by: SampleBy, threshold: u64, seed: u32, random: u32) -> Self {
        Self { by, threshold, seed, random }
    }

    /// For a request that no kernel drew: all requests are there.
    #[must_use]
    pub const fn undrawn(seed: u32, random: u32) -> Self {
        Self::new(SampleBy::Request, FULL_RATE, seed, random)
    }

    /// The number for a request, by what it shares with others.
    pub(super) fn number(self, key: &SampleKey, head: &RequestHead, flow: &FlowKey) -> u32 {
        let kept = match key {
            SampleKey::Request => None,
            SampleKey::Connection => return flow.connection_hash(self.seed),
            SampleKey::ClientIp => return flow.client_hash(self.seed),
            SampleKey::Header(name) => head.header(name.as_str()),
            SampleKey::Cookie(name) => cookie(head, name.as_bytes()),
        };
        // An empty value tells nobody from another.
        kept.filter(|value| !value.is_empty()).map_or_else(|| self.roll(), stable)
    }

    /// Uniform below the kernel's threshold if the kernel drew this request by itself, else in all 32 bits.
    fn roll(self) -> u32 {
        let bound = if self.by == SampleBy::Request { self.threshold.min(FULL_RATE) } else { FULL_RATE };
        // Below 2^32, as a number of 32 bits times one up to 2^32 is below 2^64.
        ((u64::from(self.random) * bound) >> 32) as u32
    }
}

/// The same number for the same value, in each agent and each run: the first 4 bytes of its SHA-256, so that anybody
/// can tell who is in a sample.
fn stable(value: &[u8]) -> u32 {
    let [first, second, third, fourth, ..] = <[u8; 32]>::from(Sha256::digest(value));
    u32::from_be_bytes([first, second, third, fourth])
}

/// The first value of a cookie (RFC 6265 section 4.2), with its quotes if it has some.
fn cookie<'a>(head: &'a RequestHead, name: &[u8]) -> Option<&'a [u8]> {
    let pairs = head.header_values("cookie").flat_map(|line| line.split(|&byte| byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (given, value) = pair.split_at_checked(at)?;
        // Other servers take white space around the equals sign too.
        (given.trim_ascii_end() == name)
            .then(|| value.strip_prefix(b"=").unwrap_or_default().trim_ascii_start())
    })
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
