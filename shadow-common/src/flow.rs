//! The flow key and what was decided about a flow.

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

impl FlowKey {
    /// A hash that is the same for both directions of the flow, spread over all 32 bits.
    ///
    /// Compared with the sampling threshold it decides for a connection: raising the rate only adds members.
    #[must_use]
    #[inline(always)]
    pub fn sample_hash(&self, seed: u32) -> u32 {
        let mut hash = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
        let mut word = 0;
        while word < 4 {
            let at = word * 4;
            let client = u32::from_ne_bytes([
                self.client_addr[at],
                self.client_addr[at + 1],
                self.client_addr[at + 2],
                self.client_addr[at + 3],
            ]);
            let service = u32::from_ne_bytes([
                self.service_addr[at],
                self.service_addr[at + 1],
                self.service_addr[at + 2],
                self.service_addr[at + 3],
            ]);
            hash = mix(hash ^ ((client as u64) << 32 | service as u64));
            word += 1;
        }
        (mix(hash ^ ((self.client_port as u64) << 16 | self.service_port as u64)) >> 32) as u32
    }
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

/// What was decided about a flow or a packet; also the payload of the tag that XDP hands to TC.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither port is a service port, or it is no TCP segment at all.
    Other = 0,
    /// A flow of a service port, not in the sample.
    Unsampled = 1,
    /// A flow of a service port, in the sample: its segments are exported.
    Sampled = 2,
    /// A flow of a service port whose SYN was not seen, so that no request start is known.
    Unknown = 3,
}

impl Verdict {
    /// The verdict for its number in a tag, or `None` if no verdict has that number.
    #[must_use]
    #[inline(always)]
    pub const fn from_u32(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Other),
            1 => Some(Self::Unsampled),
            2 => Some(Self::Sampled),
            3 => Some(Self::Unknown),
            _ => None,
        }
    }
}
