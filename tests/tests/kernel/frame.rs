//! Builds Ethernet frames with a TCP segment in them, one header at a time, for the kernel programs' tests.

/// Last byte of the service's address.
const SERVICE: u8 = 200;

/// Addresses and TCP fields of one segment.
#[derive(Clone, Debug)]
pub struct Frame {
    /// VLAN tags, outermost first: (TPID, VLAN id).
    pub vlans: Vec<(u16, u16)>,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Bytes of IPv4 options; a multiple of 4, at most 40.
    pub ipv4_options: usize,
    /// IPv4 flags and fragment offset.
    pub ipv4_fragment: u16,
    /// IPv6 extension headers in order: (type, whole bytes without the next-header field).
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// Last byte of the source address.
    pub host: u8,
    /// Whether it goes the other way: addresses and ports change places.
    pub is_answer: bool,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// TCP flags.
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Bytes of TCP options; a multiple of 4, at most 40.
    pub tcp_options: usize,
    /// Payload.
    pub payload: Vec<u8>,
    /// Bytes behind the datagram, as Ethernet pads short frames.
    pub padding: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            vlans: Vec::new(),
            ipv6: false,
            ipv4_options: 0,
            ipv4_fragment: 0x4000,
            extensions: Vec::new(),
            ports: (40_000, 8080),
            host: 1,
            is_answer: false,
            seq: 1000,
            ack: 77,
            flags: 0x18,
            window: 0xffff,
            tcp_options: 0,
            payload: Vec::new(),
            padding: 0,
        }
    }
}

impl Frame {
    /// How the connection began of which this is the first segment with payload: the SYN and the service's consent.
    pub fn handshake(&self) -> [Self; 2] {
        let bare = Self { payload: Vec::new(), ..self.clone() };
        let syn = Self { flags: 0x02, seq: self.seq.wrapping_sub(1), ..bare.clone() };
        [syn, Self { flags: 0x12, seq: 4999, ack: self.seq, is_answer: true, ..bare }]
    }

    /// The frame's bytes. Checksums are zero: nothing on the path of a test run looks at them.
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for (tpid, id) in &self.vlans {
            frame.extend(tpid.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
        let tcp = self.tcp();
        frame.extend(if self.ipv6 { self.ipv6_datagram(&tcp) } else { self.ipv4_datagram(&tcp) });
        frame.extend(std::iter::repeat_n(0xee, self.padding));
        frame
    }

    fn ipv4_datagram(&self, tcp: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.ipv4_options;
        let mut out = vec![0x08, 0x00, 0x40 | (header_len / 4) as u8, 0];
        out.extend(((header_len + tcp.len()) as u16).to_be_bytes());
        out.extend([0, 1]);
        out.extend(self.ipv4_fragment.to_be_bytes());
        out.extend([64, 6, 0, 0]);
        for host in self.in_order(self.host, SERVICE) {
            out.extend([10, 0, 0, host]);
        }
        out.extend(std::iter::repeat_n(1, self.ipv4_options));
        out.extend(tcp);
        out
    }

    fn ipv6_datagram(&self, tcp: &[u8]) -> Vec<u8> {
        let mut chain = Vec::new();
        let types: Vec<u8> = self.extensions.iter().map(|(kind, _)| *kind).chain([6]).collect();
        for ((_, rest), next) in self.extensions.iter().zip(&types[1..]) {
            chain.push(*next);
            chain.extend(rest);
        }
        let mut out = vec![0x86, 0xdd, 0x60, 0, 0, 0];
        out.extend(((chain.len() + tcp.len()) as u16).to_be_bytes());
        out.extend([types[0], 64]);
        for host in self.in_order(self.host, SERVICE) {
            out.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        out.extend(chain);
        out.extend(tcp);
        out
    }

    fn tcp(&self) -> Vec<u8> {
        let header_len = 20 + self.tcp_options;
        let mut out = Vec::new();
        for port in self.in_order(self.ports.0, self.ports.1) {
            out.extend(port.to_be_bytes());
        }
        out.extend(self.seq.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        out.extend([((header_len / 4) as u8) << 4, self.flags]);
        out.extend(self.window.to_be_bytes());
        out.extend([0; 4]);
        out.extend(std::iter::repeat_n(1, self.tcp_options));
        out.extend(&self.payload);
        out
    }

    /// Source and destination.
    fn in_order<T>(&self, client: T, service: T) -> [T; 2] {
        if self.is_answer { [service, client] } else { [client, service] }
    }
}
