//! A table of devices, and what is said about each.

use super::*;
use crate::{
    doctor::device::attached::Attached,
    netlink::link::{Driver, Link, XdpId},
};

fn v6_18() -> Kernel {
    Kernel::of((6, 18, 0))
}

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
        attached: Attached {
            xdp: Vec::new(),
            tcx: Ok(Vec::new()),
            filters: Some(Vec::new()),
            ingress_qdisc: false,
        },
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
        (device("e1000e", None), "may be refused: e1000e isn't known for it"),
        (with(device("virtio_net", FULL), lro), "may be refused: the host merges packets"),
        (with(device("virtio_net", FULL), gro_hw), "may be refused: the host merges packets"),
        (with(device("ixgbe", FULL), lro), "works"),
        (with(device("veth", PLAIN), |it| it.link.mtu = 9000), "may be refused: an MTU of 9000"),
        (with(device("veth", None), |it| it.link.mtu = 9000), "may be refused: an MTU of 9000"),
        (with(device("veth", FULL), |it| it.link.mtu = 9000), "works"),
        (with(device("veth", None), |it| it.link.mtu = ONE_PAGE_MTU), "works"),
    ] {
        let outlook = outlook(&device, &v6_18(), AttachMode::XdpNative);
        let Outlook::Doubtful { found, .. } = &outlook else { panic!("{words}: {outlook:?}") };
        assert!(found.contains(words), "{words}: {found}");
    }
    let none = outlook(&device("e1000e", NONE), &v6_18(), AttachMode::XdpNative);
    assert!(matches!(&none, Outlook::Refused { found, .. } if found == "refused: e1000e has no native XDP"));
}

#[test]
fn what_keeps_every_xdp_program_away() {
    let wireguard = with(device("wireguard", NONE), |it| it.link.layer = Layer::Other("none".to_owned()));
    let taken = with(device("veth", FULL), |it| {
        it.attached.xdp = vec![(XdpId { mode: "native", id: 57 }, Some("dispatcher".to_owned()))];
    });
    let plain = device("veth", FULL);
    let old = Kernel::of((5, 17, 9));
    for mode in [AttachMode::XdpNative, AttachMode::XdpGeneric] {
        for (device, kernel, words) in [
            (&wireguard, &v6_18(), "no Ethernet header on this device (none)"),
            (&plain, &old, "came with Linux 5.18"),
        ] {
            let outlook = outlook(device, kernel, mode);
            assert!(
                matches!(&outlook, Outlook::Refused { found, .. } if found.contains(words)),
                "{outlook:?}"
            );
        }
        // `run` goes on without it.
        let outlook = outlook(&taken, &v6_18(), mode);
        let words = "taken by XDP native 57 dispatcher";
        assert!(matches!(&outlook, Outlook::Doubtful { found, .. } if found.contains(words)), "{outlook:?}");
    }
    let generic = outlook(&plain, &v6_18(), AttachMode::XdpGeneric);
    let words = ["may copy every packet", "super-packets"];
    assert!(
        matches!(&generic, Outlook::Doubtful { found, .. } if words.iter().all(|words| found.contains(words))),
        "{generic:?}"
    );
}

#[test]
fn tc_works_unless_filters_have_no_place() {
    let plain = device("veth", FULL);
    let ingress = with(device("veth", FULL), |it| it.attached.ingress_qdisc = true);
    let older = Kernel::of((6, 5, 0));
    for (device, kernel, mode, words) in [
        (&plain, &v6_18(), AttachMode::Auto, Some("TCX links")),
        (&plain, &v6_18(), AttachMode::Clsact, Some("netlink filters")),
        (&plain, &older, AttachMode::Auto, Some("netlink filters")),
        (&ingress, &v6_18(), AttachMode::Auto, Some("TCX links")),
        (&ingress, &v6_18(), AttachMode::Clsact, None),
        (&ingress, &older, AttachMode::Auto, None),
        (&ingress, &older, AttachMode::XdpGeneric, None),
    ] {
        let outlook = outlook(device, kernel, mode);
        match words {
            Some(words) => assert!(
                matches!(&outlook, Outlook::Fine(found) if found.contains(words)),
                "{words}: {outlook:?}"
            ),
            None => assert!(
                matches!(&outlook, Outlook::Refused { advice, .. } if advice.contains("tc qdisc del dev eth0")),
                "{outlook:?}"
            ),
        }
    }
}

#[test]
fn only_of_the_mode_that_is_asked_for_more_is_made_than_a_note() {
    let loopback = with(device("loopback", NONE), |it| it.link.layer = Layer::Loopback);
    for (asked, statuses) in [
        (AttachMode::Auto, ["ok", "note", "note", "note"]),
        (AttachMode::Tc, ["ok", "note", "note", "note"]),
        (AttachMode::Clsact, ["note", "ok", "note", "note"]),
        (AttachMode::XdpNative, ["note", "note", "problem", "note"]),
        (AttachMode::XdpGeneric, ["note", "note", "note", "warning"]),
    ] {
        let checks = checks(&loopback, &v6_18(), asked);
        let found: Vec<_> = checks.iter().map(|check| check.verdict.status()).collect();
        assert_eq!(found, statuses, "{asked:?}");
    }
}
