//! A table of devices, and what is said about each.

use super::*;
use crate::{
    doctor::device::attached::Attached,
    netlink::link::{Driver, Link, XdpId},
};

const V6_18: KernelVersion = KernelVersion::new(6, 18, 0);

fn device(driver: &str, xdp_features: Option<XdpFeatures>) -> Device {
    Device {
        link: Link {
            name: "eth0".to_owned(),
            index: 2,
            up: true,
            layer: Layer::Ethernet,
            mtu: 1500,
            driver: Driver::Hardware(driver.to_owned()),
            xdp: Vec::new(),
        },
        offloads: Some(Offloads { gro: true, gso: true, tso: true, ..Offloads::default() }),
        xdp_features,
        attached: Attached { xdp: Vec::new(), tcx: Tcx::Programs(Vec::new()), filters: Some(Vec::new()) },
    }
}

const FULL: Option<XdpFeatures> = Some(XdpFeatures { native: true, fragments: true });
const PLAIN: Option<XdpFeatures> = Some(XdpFeatures { native: true, fragments: false });
const NONE: Option<XdpFeatures> = Some(XdpFeatures { native: false, fragments: false });

fn with(mut device: Device, change: impl FnOnce(&mut Device)) -> Device {
    change(&mut device);
    device
}

#[test]
fn native_xdp() {
    let lro = |device: &mut Device| device.offloads = Some(Offloads { lro: true, ..Offloads::default() });
    let gro_hw =
        |device: &mut Device| device.offloads = Some(Offloads { gro_hw: true, ..Offloads::default() });
    for (device, words) in [
        (device("ixgbe", FULL), "works (the driver says so), but the first XDP program closes and reopens"),
        (device("mlx5_core", None), "works (by the driver's name; this kernel doesn't say), but the first"),
        (device("veth", FULL), "works (the driver says so), but turns segmentation offload off for the peer"),
        (device("atlantic", FULL), "isn't known whether this driver interrupts"),
        (device("e1000e", NONE), "refused: e1000e says that it has none"),
        (device("e1000e", None), "refused: e1000e isn't known for it"),
        (with(device("virtio_net", FULL), lro), "may be refused: the host merges packets"),
        (with(device("virtio_net", FULL), gro_hw), "may be refused: the host merges packets"),
        (with(device("ixgbe", FULL), lro), "works"),
        (with(device("veth", PLAIN), |it| it.link.mtu = 9000), "may be refused: an MTU of 9000"),
        (with(device("veth", None), |it| it.link.mtu = 9000), "may be refused: an MTU of 9000"),
        (with(device("veth", FULL), |it| it.link.mtu = 9000), "works"),
        (with(device("veth", None), |it| it.link.mtu = ONE_PAGE_MTU), "works"),
    ] {
        let check = native(&device, Some(V6_18));
        assert_eq!(check.name, "eth0 --attach xdp-native");
        assert!(check.found.contains(words), "{words}: {check:?}");
        assert_eq!(check.verdict.status(), "warning");
    }
}

#[test]
fn what_keeps_every_xdp_program_away() {
    let wireguard = with(device("wireguard", NONE), |it| it.link.layer = Layer::Other("none".to_owned()));
    let taken = with(device("veth", FULL), |it| {
        it.attached.xdp = vec![(XdpId { mode: "native", id: 57 }, Some("dispatcher".to_owned()))];
    });
    let plain = device("veth", FULL);
    for (device, kernel, words) in [
        (&wireguard, V6_18, "no Ethernet header on this device (none)"),
        (&taken, V6_18, "taken by XDP native 57 dispatcher"),
        (&plain, KernelVersion::new(5, 17, 9), "needs Linux 5.18"),
    ] {
        for check in [native(device, Some(kernel)), generic(device, Some(kernel))] {
            assert!(check.found.contains(words), "{words}: {check:?}");
        }
    }
    assert!(generic(&plain, Some(V6_18)).found.contains("may copy every packet"));
    assert!(generic(&plain, None).found.contains("may copy every packet"));
}

#[test]
fn tc_always_works() {
    let absent = with(device("veth", FULL), |it| it.attached.tcx = Tcx::Absent);
    let unknown =
        with(device("veth", FULL), |it| it.attached.tcx = Tcx::Unknown { reason: "rights".to_owned() });
    for (device, kernel, words) in [
        (&device("veth", FULL), V6_18, "TCX links"),
        (&absent, V6_18, "netlink filters"),
        (&unknown, V6_18, "TCX links"),
        (&unknown, KernelVersion::new(6, 5, 0), "netlink filters"),
    ] {
        let check = tc(device, Some(kernel));
        assert!(check.found.contains(words), "{words}: {check:?}");
        assert_eq!(check.verdict.status(), "ok");
    }
}
