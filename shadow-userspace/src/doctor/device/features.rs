//! What a device's driver can do and does: offloads by ethtool's netlink, XDP by the netdev family's (kernel 6.3 on).

use netlink_packet_core::{DefaultNla, parse_string, parse_u64};

use crate::netlink::generic::{ask_family, attribute, attributes, nested};

/// Offloads that decide how large the packets are that the programs see. True: on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offloads {
    /// Received segments are merged by the stack.
    pub(super) gro: bool,
    /// Received segments are merged by the device, reversibly.
    pub(super) gro_hw: bool,
    /// Received segments are merged by the device, irreversibly.
    pub(super) lro: bool,
    /// Sent super-packets are cut by the stack.
    pub(super) gso: bool,
    /// Sent super-packets are cut by the device.
    pub(super) tso: bool,
}

/// What the driver can do with XDP, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XdpFeatures {
    /// Native XDP.
    pub(super) native: bool,
    /// Packets in several buffers, as with a large MTU.
    pub(super) fragments: bool,
}

/// Messages and attributes of linux/ethtool_netlink.h.
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;
const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;

/// Messages and attributes of linux/netdev.h.
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_XDP_ACT_BASIC: u64 = 1;
const NETDEV_XDP_ACT_RX_SG: u64 = 32;

/// The offloads of a device; `None` where the kernel doesn't say.
pub(super) fn offloads(index: u32) -> Option<Offloads> {
    let device = DefaultNla::new(ETHTOOL_A_HEADER_DEV_INDEX, index.to_ne_bytes().to_vec());
    let question = nested(ETHTOOL_A_FEATURES_HEADER, &[device]);
    Some(active(&ask_family("ethtool", ETHTOOL_MSG_FEATURES_GET, &[question]).ok()?))
}

/// The answer holds a set of bits by their names: those that are there are on.
fn active(answer: &[u8]) -> Offloads {
    let mut offloads = Offloads::default();
    let Some(set) = attribute(answer, ETHTOOL_A_FEATURES_ACTIVE) else { return offloads };
    let Some(bits) = attribute(set.value(), ETHTOOL_A_BITSET_BITS) else { return offloads };
    for bit in attributes(bits.value()) {
        let name = attribute(bit.value(), ETHTOOL_A_BITSET_BIT_NAME);
        let name = name.and_then(|name| parse_string(name.value()).ok()).unwrap_or_default();
        match name.as_str() {
            "rx-gro" => offloads.gro = true,
            "rx-gro-hw" => offloads.gro_hw = true,
            "rx-lro" => offloads.lro = true,
            "tx-generic-segmentation" => offloads.gso = true,
            "tx-tcp-segmentation" => offloads.tso = true,
            _ => {}
        }
    }
    offloads
}

/// What a device's driver says about XDP; `None` where the kernel has no such word.
pub(super) fn xdp(index: u32) -> Option<XdpFeatures> {
    let device = DefaultNla::new(NETDEV_A_DEV_IFINDEX, index.to_ne_bytes().to_vec());
    let answer = ask_family("netdev", NETDEV_CMD_DEV_GET, &[device]).ok()?;
    let flags = parse_u64(attribute(&answer, NETDEV_A_DEV_XDP_FEATURES)?.value()).ok()?;
    Some(XdpFeatures {
        native: flags & NETDEV_XDP_ACT_BASIC != 0,
        fragments: flags & NETDEV_XDP_ACT_RX_SG != 0,
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;

    use super::*;

    #[test]
    fn bits_are_read_by_name() {
        let bit = |name: &str| {
            let name = [name.as_bytes(), &[0]].concat();
            let index = DefaultNla::new(1, 14_u32.to_ne_bytes().to_vec());
            nested(1, &[index, DefaultNla::new(ETHTOOL_A_BITSET_BIT_NAME, name)])
        };
        let bits =
            nested(ETHTOOL_A_BITSET_BITS, &[bit("rx-gro"), bit("highdma"), bit("tx-tcp-segmentation")]);
        let flag = DefaultNla::new(1, Vec::new());
        let mut answer = Vec::new();
        for set in [
            // What could be on, but isn't, is in another set.
            nested(2, &[nested(ETHTOOL_A_BITSET_BITS, &[bit("rx-lro")])]),
            nested(ETHTOOL_A_FEATURES_ACTIVE, &[flag, bits]),
        ] {
            let mut bytes = vec![0; set.buffer_len()];
            set.emit(&mut bytes);
            answer.extend(bytes);
        }
        assert_eq!(active(&answer), Offloads { gro: true, tso: true, ..Offloads::default() });
        assert_eq!(active(&[]), Offloads::default());
    }

    #[test]
    fn the_loopback_has_offloads_and_no_native_xdp() {
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        // Both are facts of the loopback driver, where the kernel tells them.
        assert!(offloads(index).is_none_or(|offloads| offloads.gso && offloads.tso));
        assert!(xdp(index).is_none_or(|features| !features.native));
    }
}
