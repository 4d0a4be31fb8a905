//! The live configuration: map values that the agent may change while the programs run.

/// The `sample_threshold` at which every flow is sampled (100 %).
pub const FULL_RATE: u64 = 1 << 32;

/// Flag: no new flow is sampled; flows already in the sample are finished.
pub const PAUSED: u32 = 1;

/// Flag: export the payload of responses too. Without it only their SYN, FIN and RST are.
pub const EXPORT_RESPONSES: u32 = 2;

/// Words of the service port bitmap: one bit for each of the 65,536 ports.
pub const PORT_WORDS: u32 = 1024;

/// The bitmap word that holds `port`.
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
    /// A new flow is sampled if its hash is below this: 0 (none) to [`FULL_RATE`] (all).
    pub sample_threshold: u64,
    /// [`PAUSED`] and [`EXPORT_RESPONSES`].
    pub flags: u32,
    /// Seed of the flow hash, so that it isn't for ever the same connections that are sampled.
    pub seed: u32,
    /// SO_MARK of the agent's own sockets: packets that carry it are never exported. 0 switches the check off.
    pub own_mark: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Config>() == 24);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no padding (asserted above), so every bit pattern is a valid value.
unsafe impl aya::Pod for Config {}
