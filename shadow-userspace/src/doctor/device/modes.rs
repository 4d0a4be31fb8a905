//! What each way to attach (`--attach`) would come to on a device. Of the one that is asked for, this is what `run`
//! would meet; of the others it is a note.

use crate::{
    capture::{AttachMode, Kernel},
    doctor::{
        Check,
        device::{
            Device,
            features::{Offloads, XdpFeatures},
        },
    },
    netlink::link::Layer,
};

/// About the largest MTU, in bytes, whose packets fit one page beside XDP's headroom.
const ONE_PAGE_MTU: u32 = 3520;

/// Drivers that close and reopen their queues for the first native XDP program.
const REOPENING: [&str; 10] =
    ["bnxt_en", "ena", "i40e", "ice", "igb", "igc", "ixgbe", "ixgbevf", "mlx5_core", "virtio_net"];

/// What to do instead.
const AUTO: &str = "use `--attach auto`, which does without XDP";

/// What `run` would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outlook {
    /// It works and disturbs nothing.
    Fine(String),
    /// It works at a price, or it can't be told whether it works.
    Doubtful { found: String, advice: String },
    /// It would fail.
    Refused { found: String, advice: String },
}

impl Outlook {
    fn doubtful(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Doubtful { found: found.into(), advice: advice.into() }
    }

    fn refused(why: impl std::fmt::Display, advice: impl Into<String>) -> Self {
        Self::Refused { found: format!("refused: {why}"), advice: advice.into() }
    }
}

/// The lines for a device; `asked` is the mode that `run` would be given.
pub(super) fn checks(device: &Device, kernel: &Kernel, asked: AttachMode) -> Vec<Check> {
    use AttachMode::{Auto, Clsact, Tc, XdpGeneric, XdpNative};

    let lines = [
        ("auto, tc", Auto, [Auto, Tc].contains(&asked)),
        ("clsact", Clsact, asked == Clsact),
        ("xdp-native", XdpNative, asked == XdpNative),
        ("xdp-generic", XdpGeneric, asked == XdpGeneric),
    ];
    let interface = &device.link.name;
    let check = |(words, mode, asked)| {
        line(format!("{interface} --attach {words}"), outlook(device, kernel, mode), asked)
    };
    lines.map(check).into()
}

fn line(name: String, outlook: Outlook, asked: bool) -> Check {
    match outlook {
        Outlook::Fine(found) if asked => Check::ok(name, found),
        Outlook::Doubtful { found, advice } if asked => Check::warning(name, found, advice),
        Outlook::Refused { found, advice } if asked => Check::problem(name, found, advice),
        Outlook::Fine(found) | Outlook::Doubtful { found, .. } | Outlook::Refused { found, .. } => {
            Check::note(name, found)
        }
    }
}

/// In the order in which `run` meets what is in the way.
fn outlook(device: &Device, kernel: &Kernel, mode: AttachMode) -> Outlook {
    let is_xdp = mode.xdp().is_some();
    if let (true, Layer::Other(layer)) = (is_xdp, &device.link.layer) {
        return Outlook::refused(format!("no Ethernet header on this device ({layer})"), AUTO);
    }
    if let Err(error) = kernel.require(is_xdp) {
        return Outlook::refused(error, AUTO);
    }
    let filters = mode.takes_filters(kernel);
    if filters && device.attached.ingress_qdisc {
        let why = "filters of both directions need a clsact qdisc, and an ingress one has its place";
        let interface = &device.link.name;
        return Outlook::refused(
            why,
            format!(
                "replace it (`tc qdisc del dev {interface} ingress`, and add its filters to a clsact qdisc)"
            ),
        );
    }
    match mode {
        AttachMode::XdpNative | AttachMode::XdpGeneric => xdp(device, mode),
        _ if filters => Outlook::Fine("TC by netlink filters of a clsact qdisc; disturbs nothing".to_owned()),
        _ => Outlook::Fine("TC by TCX links; disturbs nothing".to_owned()),
    }
}

/// XDP in one of its modes, where nothing keeps it away as such.
fn xdp(device: &Device, mode: AttachMode) -> Outlook {
    if let Some(other) = device.attached.xdp_taken() {
        return Outlook::doubtful(
            format!("taken by {other}, and one fits: TC does without"),
            "use `--attach auto`, or remove the other program",
        );
    }
    if mode == AttachMode::XdpGeneric {
        return Outlook::doubtful(
            "works, but the kernel may copy every packet for it: to make headroom, and super-packets to make them \
             linear",
            AUTO,
        );
    }
    match support(device) {
        Support::None => Outlook::refused(format!("{} has no native XDP", device.link.driver.name()), AUTO),
        Support::Unknown => Outlook::doubtful(
            format!(
                "may be refused: {} isn't known for it, and this kernel doesn't say",
                device.link.driver.name()
            ),
            AUTO,
        ),
        Support::Native { source, fragments } => doubt(device, fragments).unwrap_or_else(|| {
            let (found, advice) = disturbance(device);
            Outlook::doubtful(format!("works ({source}), but {found}"), advice)
        }),
    }
}

/// Whether the driver has native XDP, and who says so.
enum Support {
    Native {
        source: &'static str,
        /// Whether packets may lie in several buffers; `None` if nobody says.
        fragments: Option<bool>,
    },
    /// The driver says that it has none.
    None,
    /// Nobody says.
    Unknown,
}

fn support(device: &Device) -> Support {
    let driver = device.link.driver.name();
    match device.xdp_features {
        Some(XdpFeatures { native: true, fragments }) => {
            Support::Native { source: "the driver says so", fragments: Some(fragments) }
        }
        Some(XdpFeatures { native: false, .. }) => Support::None,
        None if driver == "veth" || REOPENING.contains(&driver) => {
            Support::Native { source: "by the driver's name; this kernel doesn't say", fragments: None }
        }
        None => Support::Unknown,
    }
}

/// Settings for which some drivers refuse native XDP that they have.
fn doubt(device: &Device, fragments: Option<bool>) -> Option<Outlook> {
    let (link, interface) = (&device.link, &device.link.name);
    if link.driver.name() == "virtio_net"
        && let Some(Offloads { lro, gro_hw, .. }) = device.offloads
        && (lro || gro_hw)
    {
        let found = "may be refused: the host merges packets (LRO or hardware GRO is on)";
        let advice = format!("{AUTO}, or `ethtool -K {interface} gro-hw off lro off` first");
        return Some(Outlook::doubtful(found, advice));
    }
    if link.mtu > ONE_PAGE_MTU && fragments != Some(true) {
        let found = format!("may be refused: an MTU of {} needs several buffers to a packet", link.mtu);
        return Some(Outlook::doubtful(found, format!("{AUTO}, or an MTU of at most {ONE_PAGE_MTU}")));
    }
    None
}

/// What the first native XDP program does to a device that takes it.
fn disturbance(device: &Device) -> (&'static str, &'static str) {
    match device.link.driver.name() {
        "veth" => (
            "turns segmentation offload off for the peer: bulk bodies arrive in 26 times as many packets",
            AUTO,
        ),
        driver if REOPENING.contains(&driver) => (
            "the first XDP program closes and reopens the queues: traffic pauses, and some cards lose queues to it",
            "use `--attach auto` unless this node is only being brought into service",
        ),
        _ => (
            "it isn't known whether this driver interrupts traffic for it",
            "use `--attach auto`, or try it on a node without users",
        ),
    }
}

#[cfg(test)]
mod tests;
