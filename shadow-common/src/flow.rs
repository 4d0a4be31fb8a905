//! The flow key.

/// One TCP connection, written from the client's side: the same key for both directions.
///
/// Addresses are IPv6 bytes in network order; an IPv4 address is mapped (`::ffff:a.b.c.d`, RFC 4291 section
/// 2.5.5.2). Ports are in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// Who connected.
    pub client_addr: [u8; 16],
    /// Who owns the service port.
    pub service_addr: [u8; 16],
    /// The client's ephemeral port.
    pub client_port: u16,
    /// The service port.
    pub service_port: u16,
}

const _: () = assert!(size_of::<FlowKey>() == 36);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, bytes and integers without padding (asserted above), so every bit pattern is a valid value.
unsafe impl aya::Pod for FlowKey {}

impl FlowKey {
    /// A hash of the connection, spread over all 32 bits.
    #[must_use]
    #[inline(always)]
    pub fn connection_hash(&self, seed: u32) -> u32 {
        let ports = (self.client_port as u64) << 16 | self.service_port as u64;
        let hash = fold(fold(start(seed), &self.client_addr), &self.service_addr);
        (mix(hash ^ ports) >> 32) as u32
    }

    /// A hash of the client's address, spread over all 32 bits.
    #[must_use]
    #[inline(always)]
    pub fn client_hash(&self, seed: u32) -> u32 {
        (fold(start(seed), &self.client_addr) >> 32) as u32
    }
}

#[inline(always)]
const fn start(seed: u32) -> u64 {
    seed as u64 ^ 0x9e37_79b9_7f4a_7c15
}

/// Takes an address into a hash.
#[inline(always)]
fn fold(mut hash: u64, addr: &[u8; 16]) -> u64 {
    let mut word = 0;
    while word < 4 {
        let at = word * 4;
        hash = mix(hash ^ u32::from_ne_bytes([addr[at], addr[at + 1], addr[at + 2], addr[at + 3]]) as u64);
        word += 1;
    }
    hash
}

/// The finaliser of MurmurHash3's 64-bit variant: every input bit reaches every output bit.
#[inline(always)]
const fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// Which half of a flow a segment belongs to.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards the service port: request bytes.
    ToService = 0,
    /// From the service port: response bytes.
    FromService = 1,
}

impl Direction {
    /// The direction for its number in a record, or `None` if no direction has that number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::ToService),
            1 => Some(Self::FromService),
            _ => None,
        }
    }
}
