//! What each way to attach (`--attach`) would do on a device. Only `auto` is `run`'s default, so none of these is a
//! problem: what XDP can't do here, or costs, is a warning.

use aya::util::KernelVersion;

use crate::{
    doctor::{
        Check,
        device::{
            Device,
            attached::Tcx,
            features::{Offloads, XdpFeatures},
        },
        kernel::TCX_SINCE,
    },
    netlink::link::Layer,
};

/// The first kernel on which ours can be XDP programs.
const XDP_SINCE: KernelVersion = KernelVersion::new(5, 18, 0);

/// About the largest MTU, in bytes, whose packets fit one page beside XDP's headroom.
const ONE_PAGE_MTU: u32 = 3520;

/// Drivers that close and reopen their queues for the first native XDP program.
const REOPENING: [&str; 10] =
    ["bnxt_en", "ena", "i40e", "ice", "igb", "igc", "ixgbe", "ixgbevf", "mlx5_core", "virtio_net"];

/// What to do instead.
const AUTO: &str = "leave it at `--attach auto`";

/// The lines for a device; `kernel` is the running one, where it is known.
pub(super) fn checks(device: &Device, kernel: Option<KernelVersion>) -> Vec<Check> {
    vec![tc(device, kernel), native(device, kernel), generic(device, kernel)]
}

fn tc(device: &Device, kernel: Option<KernelVersion>) -> Check {
    let name = format!("{} --attach auto, tc", device.link.name);
    let tcx = match &device.attached.tcx {
        Tcx::Programs(_) => true,
        Tcx::Absent => false,
        Tcx::Unknown { .. } => kernel.is_none_or(|kernel| kernel >= TCX_SINCE),
    };
    let by = if tcx { "TCX links" } else { "netlink filters, as this kernel has no TCX" };
    Check::ok(name, format!("TC by {by}; disturbs nothing"))
}

fn native(device: &Device, kernel: Option<KernelVersion>) -> Check {
    let name = format!("{} --attach xdp-native", device.link.name);
    if let Some((found, advice)) = impossible(device, kernel) {
        return Check::warning(name, found, advice);
    }
    let (found, advice) = match support(device) {
        Support::None { source } => (format!("refused: {source}"), AUTO.to_owned()),
        Support::Native { source, fragments } => match refusal(device, fragments) {
            Some((found, advice)) => (found, advice),
            None => {
                let (found, advice) = disturbance(device);
                (format!("works ({source}), but {found}"), advice.to_owned())
            }
        },
    };
    Check::warning(name, found, advice)
}

fn generic(device: &Device, kernel: Option<KernelVersion>) -> Check {
    let name = format!("{} --attach xdp-generic", device.link.name);
    match impossible(device, kernel) {
        Some((found, advice)) => Check::warning(name, found, advice),
        None => {
            Check::warning(name, "works, but the kernel may copy every packet for it to make headroom", AUTO)
        }
    }
}

/// What keeps XDP from a device in either mode.
fn impossible(device: &Device, kernel: Option<KernelVersion>) -> Option<(String, &'static str)> {
    if let Layer::Other(layer) = &device.link.layer {
        return Some((format!("refused: no Ethernet header on this device ({layer})"), AUTO));
    }
    if kernel.is_some_and(|kernel| kernel < XDP_SINCE) {
        return Some(("refused: it needs Linux 5.18".to_owned(), AUTO));
    }
    let taken = device.attached.xdp_taken()?;
    Some((format!("taken by {taken}, and one fits"), "TC does without: leave it at `--attach auto`"))
}

/// Whether the driver has native XDP, and who says so.
enum Support {
    Native {
        source: &'static str,
        /// Whether packets may lie in several buffers; `None` if nobody says.
        fragments: Option<bool>,
    },
    None {
        source: String,
    },
}

fn support(device: &Device) -> Support {
    let driver = device.link.driver.name();
    match device.xdp_features {
        Some(XdpFeatures { native: true, fragments }) => {
            Support::Native { source: "the driver says so", fragments: Some(fragments) }
        }
        Some(XdpFeatures { native: false, .. }) => {
            Support::None { source: format!("{driver} says that it has none") }
        }
        None if driver == "veth" || REOPENING.contains(&driver) => {
            Support::Native { source: "by the driver's name; this kernel doesn't say", fragments: None }
        }
        None => Support::None { source: format!("{driver} isn't known for it, and this kernel doesn't say") },
    }
}

/// Settings for which drivers refuse native XDP that they have.
fn refusal(device: &Device, fragments: Option<bool>) -> Option<(String, String)> {
    let (link, interface) = (&device.link, &device.link.name);
    if link.driver.name() == "virtio_net"
        && let Some(Offloads { lro, gro_hw, .. }) = device.offloads
        && (lro || gro_hw)
    {
        let found = "may be refused: the host merges packets (LRO or hardware GRO is on)";
        let advice = format!("{AUTO}, or `ethtool -K {interface} gro-hw off lro off` first");
        return Some((found.to_owned(), advice));
    }
    if link.mtu > ONE_PAGE_MTU && fragments != Some(true) {
        let found = format!("may be refused: an MTU of {} needs several buffers to a packet", link.mtu);
        return Some((found, format!("{AUTO}, or an MTU of at most {ONE_PAGE_MTU}")));
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
            "leave it at `--attach auto` unless this node is only being brought into service",
        ),
        _ => (
            "it isn't known whether this driver interrupts traffic for it",
            "leave it at `--attach auto`, or try it on a node without users",
        ),
    }
}

#[cfg(test)]
mod tests;
