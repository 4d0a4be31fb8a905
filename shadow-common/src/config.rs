//! The live configuration: map values that the agent may change while the programs run.

use crate::FlowKey;

/// The `sample_threshold` at which every request is sampled (100 %).
pub const FULL_RATE: u64 = 1 << 32;

/// Flag: no new request is sampled; those already in the sample are finished.
pub const PAUSED: u32 = 1;

/// Flag: export the payload of responses to sampled requests too.
pub const EXPORT_RESPONSES: u32 = 2;

/// Flag: the agent sleeps until the ring has a record. Without it the agent looks by itself, and no record wakes it.
pub const WAKE: u32 = 4;

/// Flag: connections are left alone whose beginning wasn't seen.
pub const ONLY_NEW: u32 = 8;

/// Flag: tell of the first payload of the answer to a sampled request, by a record without payload
/// ([`crate::marks::ANSWERED`]).
pub const REPORT_ANSWERS: u32 = 16;

/// Words of one port bitmap: one bit for each of the 65,536 ports.
pub const PORT_WORDS: u32 = 1024;

/// Where the second bitmap begins in the map of ports. The first has the ports whose segments are looked at, the second
/// those of them whose requests may be sampled: what is under way on a port that was taken off is finished.
pub const ACTIVE_PORTS: u32 = PORT_WORDS;

/// The word that holds `port` in the first bitmap.
#[must_use]
#[inline(always)]
pub const fn port_word(port: u16) -> u32 {
    port as u32 / 64
}

/// The bit of `port` in its bitmap word.
#[must_use]
#[inline(always)]
pub const fn port_bit(port: u16) -> u64 {
    1 << (port as u32 % 64)
}

/// The configuration map's only value.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// A request is sampled if its draw is below this: 0 (none) to [`FULL_RATE`] (all).
    pub sample_threshold: u64,
    /// [`PAUSED`], [`EXPORT_RESPONSES`], [`WAKE`], [`ONLY_NEW`] and [`REPORT_ANSWERS`].
    pub flags: u32,
    /// Seed of the hashes, so that it isn't for ever the same connections and clients that are sampled.
    pub seed: u32,
    /// SO_MARK of the agent's own sockets: packets that carry it are never exported. 0 switches the check off.
    pub own_mark: u32,
    /// A [`SampleBy`] as its number.
    pub sample_by: u32,
}

impl Config {
    /// What a draw must be below now: nothing is while paused.
    #[must_use]
    #[inline(always)]
    pub const fn threshold(&self) -> u64 {
        if self.flags & PAUSED == 0 { self.sample_threshold } else { 0 }
    }
}

/// What requests share that are sampled alike.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SampleBy {
    /// Nothing: each request is drawn for.
    #[default]
    Request = 0,
    /// The connection: all its requests, or none.
    Connection = 1,
    /// The client's address: all requests of a client, or none.
    ClientIp = 2,
}

impl SampleBy {
    /// The one with that number; [`SampleBy::Request`] if none has it, as [`SampleBy::draw`] takes it.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        if number == Self::Connection as u32 {
            Self::Connection
        } else if number == Self::ClientIp as u32 {
            Self::ClientIp
        } else {
            Self::Request
        }
    }

    /// The draw for a request of `flow`: below [`Config::threshold`] it is sampled. `random` is drawn anew for each
    /// request. The hashes stay the same, so that raising the rate only adds members.
    #[must_use]
    #[inline(always)]
    pub fn draw(number: u32, flow: &FlowKey, seed: u32, random: u32) -> u32 {
        if number == Self::Connection as u32 {
            flow.connection_hash(seed)
        } else if number == Self::ClientIp as u32 {
            flow.client_hash(seed)
        } else {
            random
        }
    }
}

/// What the agent tells the kernel about a run that is open ([`crate::marks::OPEN`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resync {
    /// The run's start: the note is about no other.
    pub run: u32,
    /// Where the next request begins, if `what` is [`Resync::RESUME`].
    pub next: u32,
    /// [`Resync::RESUME`], [`Resync::LEAVE`] or [`Resync::LOST`].
    pub what: u32,
}

impl Resync {
    /// The requests of the run ended; the next begins at `next`.
    pub const RESUME: u32 = 0;
    /// Nothing that follows on the connection is wanted: it is a tunnel, no HTTP/1, or not to be followed.
    pub const LEAVE: u32 = 1;
    /// The agent doesn't know either.
    pub const LOST: u32 = 2;
}

const _: () = assert!(size_of::<Config>() == 24);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no padding (asserted above), so every bit pattern is a valid value.
unsafe impl aya::Pod for Config {}

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, three 32-bit integers, so there is no padding and every bit pattern is a valid value.
unsafe impl aya::Pod for Resync {}
