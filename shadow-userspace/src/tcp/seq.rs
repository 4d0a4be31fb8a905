//! Sequence numbers modulo 2^32.

/// A TCP sequence number (RFC 9293 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);
