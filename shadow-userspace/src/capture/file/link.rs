//! Link types: from a captured frame to its IP packet.

/// What precedes the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// Nothing.
    Raw,
    /// An address family in the byte order of the capturing host (NULL) or of the network (LOOP).
    Loopback,
    /// Linux's `any` interface, version 1.
    Cooked,
    /// The same, version 2.
    Cooked2,
    /// One that isn't read.
    Unknown(u32),
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
/// What QinQ was before it was standardised.
const ETHERTYPE_QINQ_OLD: u16 = 0x9100;
const MAX_VLAN_TAGS: usize = 3;

/// AF_INET of all systems, and AF_INET6 of Linux, NetBSD, FreeBSD and macOS.
const FAMILIES: [u32; 5] = [2, 10, 24, 28, 30];

impl Link {
    /// By its LINKTYPE_ number (tcpdump.org/linktypes.html), or DLT_ where old files have that.
    pub(super) const fn new(number: u32) -> Self {
        match number {
            1 => Self::Ethernet,
            0 | 108 => Self::Loopback,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            number => Self::Unknown(number),
        }
    }

    /// Where the IP header begins in a frame; `None` if there is none.
    #[inline]
    pub(super) fn network(self, frame: &[u8]) -> Option<usize> {
        match self {
            Self::Ethernet => tagged(frame, 12, 14),
            Self::Raw => Some(0),
            Self::Loopback => {
                let family = u32::from_ne_bytes(*frame.first_chunk()?);
                (FAMILIES.contains(&family) || FAMILIES.contains(&family.swap_bytes())).then_some(4)
            }
            Self::Cooked => tagged(frame, 14, 16),
            Self::Cooked2 => tagged(frame, 0, 20),
            Self::Unknown(_) => None,
        }
    }
}

/// The same behind VLAN tags, where the first ethertype is at `ethertype_at` and what it is of at `at`.
#[inline]
fn tagged(frame: &[u8], ethertype_at: usize, mut at: usize) -> Option<usize> {
    let mut ethertype = be16(frame, ethertype_at)?;
    for _ in 0..MAX_VLAN_TAGS {
        match ethertype {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Some(at),
            ETHERTYPE_VLAN | ETHERTYPE_QINQ | ETHERTYPE_QINQ_OLD => ethertype = be16(frame, at + 2)?,
            _ => return None,
        }
        at += 4;
    }
    matches!(ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then_some(at)
}

#[inline]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
