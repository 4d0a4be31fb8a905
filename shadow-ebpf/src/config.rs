//! The live configuration: what the agent may change while the programs run.

use aya_ebpf::{macros::map, maps::Array};
use shadow_common::{ACTIVE_PORTS, Config, PORT_WORDS, port_bit, port_word};

/// The live configuration, one value.
#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);

/// Two bitmaps of ports: those whose segments are looked at, and from [`ACTIVE_PORTS`] on those that are sampled.
#[map]
static PORTS: Array<u64> = Array::with_max_entries(2 * PORT_WORDS, 0);

/// The configuration as it is now.
#[inline(always)]
pub fn config() -> Config {
    CONFIG.get(0).copied().unwrap_or_default()
}

/// Whether segments of `port` are looked at.
#[inline(always)]
pub fn is_service_port(port: u16) -> bool {
    has_port(0, port)
}

/// Whether requests to `port` may be sampled.
#[inline(always)]
pub fn is_active_port(port: u16) -> bool {
    has_port(ACTIVE_PORTS, port)
}

#[inline(always)]
fn has_port(bitmap: u32, port: u16) -> bool {
    PORTS.get(bitmap + port_word(port)).is_some_and(|word| word & port_bit(port) != 0)
}
