//! A network device as the kernel describes it: kind, driver, MTU, state and XDP programs.

use std::{fs, io, path::Path};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::{Wanted, ask, unreadable};

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its number in this namespace.
    pub index: u32,
    /// Switched on.
    pub up: bool,
    /// What its packets begin with.
    pub layer: Layer,
    /// Largest packet in bytes, without the link header.
    pub mtu: u32,
    /// What drives it.
    pub driver: Driver,
    /// XDP programs on it.
    pub xdp: Vec<XdpId>,
}

/// What packets begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// An Ethernet header.
    Ethernet,
    /// An Ethernet header, and the packets never leave the host.
    Loopback,
    /// No Ethernet header: the IP header, or another. With the kernel's name for it.
    Other(String),
}

impl Layer {
    /// Whether packets begin with an Ethernet header.
    pub const fn has_ethernet(&self) -> bool {
        matches!(self, Self::Ethernet | Self::Loopback)
    }
}

/// What drives a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A driver for hardware, or what a hypervisor shows as such.
    Hardware(String),
    /// The kernel itself: veth, bridge, wireguard …
    Virtual(String),
    /// The kernel doesn't say.
    Unknown,
}

impl Driver {
    /// Its name, as tables know it.
    pub fn name(&self) -> &str {
        match self {
            Self::Hardware(name) | Self::Virtual(name) => name,
            Self::Unknown => "an unknown driver",
        }
    }
}

/// The mode of an XDP program that runs in the device itself.
pub const OFFLOADED: &str = "offloaded";

/// An XDP program by its number, and where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpId {
    /// `native`, `generic` or `offloaded`.
    pub mode: &'static str,
    /// The program's id.
    pub id: u32,
}

/// Every device of the thread's namespace that can be read.
///
/// # Errors
/// If the kernel doesn't answer.
pub fn all() -> io::Result<Vec<Link>> {
    links(LinkMessage::default(), Wanted::All)
}

/// One device.
///
/// # Errors
/// If it isn't there, or the kernel's answer can't be read.
pub fn named(name: &str) -> io::Result<Link> {
    let mut message = LinkMessage::default();
    message.header.index = nix::net::if_::if_nametoindex(name)?;
    links(message, Wanted::One)?.pop().ok_or_else(unreadable)
}

fn links(question: LinkMessage, wanted: Wanted) -> io::Result<Vec<Link>> {
    let answers = ask(NETLINK_ROUTE, RouteNetlinkMessage::GetLink(question), wanted)?;
    let links = answers.into_iter().flatten().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    });
    Ok(links.map(|message| read(&message)).collect())
}

fn read(message: &LinkMessage) -> Link {
    let layer = match message.header.link_layer_type {
        LinkLayerType::Ether => Layer::Ethernet,
        LinkLayerType::Loopback => Layer::Loopback,
        other => Layer::Other(other.to_string().to_lowercase()),
    };
    let mut link = Link {
        name: String::new(),
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        driver: driver(message, &layer),
        layer,
        mtu: 0,
        xdp: Vec::new(),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Xdp(xdp) => link.xdp = xdp.iter().filter_map(program).collect(),
            _ => {}
        }
    }
    link
}

fn program(attribute: &LinkXdp) -> Option<XdpId> {
    match *attribute {
        LinkXdp::DrvProgId(id) => Some(XdpId { mode: "native", id }),
        LinkXdp::SkbProgId(id) => Some(XdpId { mode: "generic", id }),
        LinkXdp::HwProgId(id) => Some(XdpId { mode: OFFLOADED, id }),
        _ => None,
    }
}

fn driver(message: &LinkMessage, layer: &Layer) -> Driver {
    let (mut bus, mut parent, mut kind) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::ParentDevBusName(name) => bus = Some(name),
            LinkAttribute::ParentDevName(name) => parent = Some(name),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    // By the bus and not by the class: /sys/class/net may be another namespace's.
    let driver = bus.zip(parent).and_then(|(bus, parent)| {
        let link = Path::new("/sys/bus").join(bus).join("devices").join(parent).join("driver");
        Some(fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
    });
    match (driver, kind, layer) {
        (Some(driver), _, _) => Driver::Hardware(driver),
        (None, Some(kind), _) => Driver::Virtual(kind),
        (None, None, Layer::Loopback) => Driver::Virtual("loopback".to_owned()),
        (None, None, _) => Driver::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_known() {
        let lo = named("lo").unwrap();
        assert_eq!((lo.name.as_str(), &lo.layer), ("lo", &Layer::Loopback));
        assert_eq!(lo.driver.name(), "loopback");
        assert!(lo.mtu > 0);
        assert!(all().unwrap().iter().any(|link| link.index == lo.index && link.name == "lo"));
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        assert!(named("no-such-if0").is_err());
    }

    #[test]
    fn xdp_programs_are_told_by_where_they_run() {
        let attributes = [LinkXdp::ProgId(3), LinkXdp::DrvProgId(3), LinkXdp::SkbProgId(4)];
        let found: Vec<_> = attributes.iter().filter_map(program).collect();
        assert_eq!(found, [XdpId { mode: "native", id: 3 }, XdpId { mode: "generic", id: 4 }]);
    }
}
