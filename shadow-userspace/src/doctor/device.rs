//! Network devices: what they are, what is on them, and what attaching would do to them.

mod attached;
mod features;
mod modes;

use crate::{
    capture::{AttachMode, CaptureError, Kernel, preflight},
    doctor::{
        Check,
        device::{
            attached::Attached,
            features::{Offloads, XdpFeatures},
        },
    },
    netlink::link::{self, Driver, Layer, Link},
};

/// Everything about one device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    link: Link,
    /// `None` where the kernel doesn't say.
    offloads: Option<Offloads>,
    /// `None` where the kernel doesn't say.
    xdp_features: Option<XdpFeatures>,
    attached: Attached,
}

/// Looks at one interface: its lines, and the device if there is one.
pub(super) fn checks(interface: &str, kernel: &Kernel, attach: AttachMode) -> (Vec<Check>, Option<Link>) {
    if let Err(error) = preflight::interface(interface, false) {
        return (vec![missing(interface, &error)], None);
    }
    let link = match link::named(interface) {
        Ok(link) => link,
        Err(error) => return (vec![unreadable(interface, &error)], None),
    };
    let device = Device {
        offloads: features::offloads(link.index),
        xdp_features: features::xdp(link.index),
        attached: Attached::on(&link, kernel),
        link: link.clone(),
    };
    let mut checks = vec![judge(&device.link), offloads(&device), device.attached.check(interface)];
    checks.extend(modes::checks(&device, kernel, attach));
    (checks, Some(link))
}

/// The interfaces that are up, when none is named.
pub(super) fn list() -> Vec<Check> {
    match link::all() {
        Ok(links) => listed(&links),
        Err(error) => {
            vec![Check::warning(
                "interfaces",
                format!("can't be listed: {error}"),
                "name one: --interface IF",
            )]
        }
    }
}

fn listed(links: &[Link]) -> Vec<Check> {
    let up: Vec<_> = links.iter().filter(|link| link.up && link.layer != Layer::Loopback).collect();
    if up.is_empty() {
        let found = "none is up but the loopback";
        let advice = "bring one up, or run this in the network namespace that has it";
        return vec![Check::warning("interfaces", found, advice)];
    }
    up.into_iter().map(judge).collect()
}

fn missing(interface: &str, error: &CaptureError) -> Check {
    match error {
        CaptureError::UnknownInterface { name, existing } => Check::problem(
            format!("{interface} link"),
            format!("there is no network interface {name:?}"),
            format!("give one that this namespace has: {existing}"),
        ),
        other => unreadable(interface, other),
    }
}

fn unreadable(interface: &str, error: &dyn std::error::Error) -> Check {
    let found = format!("can't be looked at: {error}");
    Check::warning(format!("{interface} link"), found, "`ip -details link` may tell more")
}

fn judge(link: &Link) -> Check {
    let driver = match &link.driver {
        Driver::Hardware(name) => format!("driver {name}"),
        Driver::Virtual(kind) => kind.clone(),
        Driver::Unknown => "driver unknown".to_owned(),
    };
    let layer = match &link.layer {
        Layer::Ethernet => "Ethernet".to_owned(),
        // Not really Ethernet, but with its header.
        Layer::Loopback => "packets stay on this host".to_owned(),
        Layer::Other(layer) => format!("no Ethernet ({layer})"),
    };
    let (name, state) = (format!("{} link", link.name), if link.up { "up" } else { "down" });
    let found = format!("{state}, {driver}, {layer}, MTU {}", link.mtu);
    if link.up {
        return Check::ok(name, found);
    }
    let advice = format!("nothing passes here: `ip link set {} up`, or name another", link.name);
    Check::warning(name, found, advice)
}

fn offloads(device: &Device) -> Check {
    let name = format!("{} offloads", device.link.name);
    let Some(Offloads { gro, gro_hw, lro, gso, tso }) = device.offloads else {
        return Check::ok(name, "unknown: the kernel doesn't say");
    };
    let all = [("GRO", gro), ("GRO_HW", gro_hw), ("LRO", lro), ("GSO", gso), ("TSO", tso)];
    let found = all.map(|(name, on)| format!("{name} {}", if on { "on" } else { "off" })).join(", ");
    let merged = gro || gro_hw || lro;
    if matches!(device.link.driver, Driver::Hardware(_)) && !merged {
        let advice = format!(
            "received packets come one by one, which costs this host and shadow CPU: `ethtool -K {} gro on`",
            device.link.name
        );
        return Check::warning(name, found, advice);
    }
    Check::ok(name, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, up: bool, layer: Layer, driver: Driver) -> Link {
        Link { name: name.to_owned(), index: 2, up, layer, mtu: 1500, driver, xdp: Vec::new() }
    }

    fn eth0() -> Link {
        link("eth0", true, Layer::Ethernet, Driver::Hardware("ice".to_owned()))
    }

    #[test]
    fn links_are_described() {
        assert_eq!(judge(&eth0()), Check::ok("eth0 link", "up, driver ice, Ethernet, MTU 1500"));
        let wireguard = Driver::Virtual("wireguard".to_owned());
        let wireguard = judge(&link("wg0", false, Layer::Other("none".to_owned()), wireguard));
        assert_eq!(wireguard.found, "down, wireguard, no Ethernet (none), MTU 1500");
        assert_eq!(wireguard.verdict.status(), "warning");
    }

    #[test]
    fn the_list_leaves_out_what_carries_nothing() {
        let lo = link("lo", true, Layer::Loopback, Driver::Virtual("loopback".to_owned()));
        let down = link("eth1", false, Layer::Ethernet, Driver::Unknown);
        let names = |links: &[Link]| listed(links).into_iter().map(|check| check.name).collect::<Vec<_>>();
        assert_eq!(names(&[lo.clone(), eth0(), down.clone()]), ["eth0 link"]);
        assert_eq!(listed(&[lo, down])[0].verdict.status(), "warning");
    }

    #[test]
    fn hardware_should_merge_what_it_receives() {
        let on = Offloads { gro: true, ..Offloads::default() };
        let virtual_link = link("v0", true, Layer::Ethernet, Driver::Virtual("veth".to_owned()));
        for (link, offload, status) in [
            (eth0(), Some(on), "ok"),
            (eth0(), Some(Offloads { lro: true, ..Offloads::default() }), "ok"),
            (eth0(), Some(Offloads::default()), "warning"),
            (virtual_link, Some(Offloads::default()), "ok"),
            (eth0(), None, "ok"),
        ] {
            let attached =
                Attached { xdp: Vec::new(), tcx: Ok(Vec::new()), filters: None, ingress_qdisc: false };
            let device = Device { link, offloads: offload, xdp_features: None, attached };
            assert_eq!(offloads(&device).verdict.status(), status, "{device:?}");
        }
    }

    #[test]
    fn an_unknown_interface_is_a_problem_that_names_the_others() {
        let (checks, link) = checks("no-such-if0", &Kernel::of((6, 6, 0)), AttachMode::Auto);
        assert!(link.is_none());
        assert_eq!((checks.len(), checks[0].verdict.status()), (1, "problem"));
        assert!(checks[0].verdict.advice().is_some_and(|advice| advice.contains("lo")), "{checks:?}");
    }
}
