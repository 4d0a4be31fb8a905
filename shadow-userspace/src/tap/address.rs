//! A flow's two ends as people write them.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use serde::{Serialize, Serializer};
use shadow_common::FlowKey;

/// An address as it was on the wire: IPv4 where it is mapped.
fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// The client's end.
pub(super) fn client(flow: &FlowKey) -> SocketAddr {
    SocketAddr::new(address(flow.client_addr), flow.client_port)
}

/// The service's end.
pub(super) fn service(flow: &FlowKey) -> SocketAddr {
    SocketAddr::new(address(flow.service_addr), flow.service_port)
}

/// `10.0.0.1:40000>10.0.0.2:8080`, `[::1]:40000>[::1]:80`.
pub(super) struct Ends<'a>(pub(super) &'a FlowKey);

impl fmt::Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", client(self.0), service(self.0))
    }
}

impl Serialize for Ends<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_the_ones_on_the_wire() {
        let bytes = |text: &str| match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        for (client, service, shown) in [
            ("10.0.0.1", "10.0.0.2", "10.0.0.1:40000>10.0.0.2:8080"),
            ("::1", "::1", "[::1]:40000>[::1]:8080"),
            ("2001:db8::1", "fe80::2", "[2001:db8::1]:40000>[fe80::2]:8080"),
        ] {
            let (client_addr, service_addr) = (bytes(client), bytes(service));
            let flow = FlowKey { client_addr, service_addr, client_port: 40_000, service_port: 8080 };
            assert_eq!(Ends(&flow).to_string(), shown);
        }
    }
}
