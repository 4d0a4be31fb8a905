//! One TCP packet before it is bytes.

use std::net::SocketAddr;

use bytes::Bytes;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who owns the service port.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// 0 for the client, 1 for the server.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The two ends of a conversation, and the VLANs between them. Both addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Who connects.
    pub client: SocketAddr,
    /// The service.
    pub server: SocketAddr,
    /// The outer and the inner VLAN of its packets.
    pub vlans: [Option<u16>; 2],
}

impl Ends {
    /// 10.1.0.1 towards port 8080 of 10.1.0.2.
    #[must_use]
    pub fn v4(client_port: u16) -> Self {
        let [client, server] = [([10, 1, 0, 1], client_port).into(), ([10, 1, 0, 2], 8080).into()];
        Self { client, server, vlans: [None; 2] }
    }

    /// `fd01::1` towards port 8080 of `fd01::2`.
    #[must_use]
    pub fn v6(client_port: u16) -> Self {
        let address = |last| [0xfd01, 0, 0, 0, 0, 0, 0, last];
        let [client, server] = [(address(1), client_port).into(), (address(2), 8080).into()];
        Self { client, server, vlans: [None; 2] }
    }

    /// The same in these VLANs.
    #[must_use]
    pub const fn tagged(mut self, vlans: [Option<u16>; 2]) -> Self {
        self.vlans = vlans;
        self
    }

    /// As the agent names a flow: `client>server`, each with its port.
    #[must_use]
    pub fn flow(&self) -> String {
        format!("{}>{}", self.client, self.server)
    }

    /// Source and destination of what this side sends.
    #[must_use]
    pub const fn of(&self, from: Side) -> (SocketAddr, SocketAddr) {
        match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        }
    }
}

/// A packet. Without faults they are those of two correct stacks.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Its number within its conversation, from 0; repeats of it have the same.
    pub id: u32,
    /// When it was captured, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// Whose conversation.
    pub ends: Ends,
    /// Who sent it.
    pub from: Side,
    /// The sequence number, that of the SYN where there is one.
    pub seq: u32,
    /// The acknowledgement number, 0 without the flag.
    pub ack: u32,
    /// [`shadow_common::tcp_flags`].
    pub flags: u8,
    /// The window, unscaled.
    pub window: u16,
    /// The option that a SYN has.
    pub mss: Option<u16>,
    /// The payload.
    pub payload: Bytes,
}

impl Packet {
    /// Whether any of `flags` ([`shadow_common::tcp_flags`]) is set.
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Whether it carries payload of this side.
    #[must_use]
    pub fn is_data_of(&self, side: Side) -> bool {
        self.from == side && !self.payload.is_empty()
    }
}
