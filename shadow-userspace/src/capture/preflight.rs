//! What must hold before anything is loaded. Each check that fails is one clear line.

use std::io;

use nix::net::if_::if_nametoindex;

use crate::{
    capture::CaptureError,
    netlink::link::{self, Layer},
    process,
};

/// Capabilities that loading and attaching need (capabilities(7)): number and name.
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];

/// Stands for CAP_PERFMON and CAP_BPF as well, and lets enter namespaces.
const CAP_SYS_ADMIN: u32 = 21;

/// Checks that this process may load programs, and enter a network namespace if it is to.
///
/// # Errors
/// Names the capabilities that are missing.
pub fn capabilities(enters_namespace: bool) -> Result<(), CaptureError> {
    let effective = process::set("CapEff")
        .map_err(|source| CaptureError::System { what: "/proc/self/status", source })?;
    let missing = missing_capabilities(effective, enters_namespace);
    if missing.is_empty() { Ok(()) } else { Err(CaptureError::Capabilities { missing: missing.join(", ") }) }
}

fn missing_capabilities(set: u64, enters_namespace: bool) -> Vec<&'static str> {
    let has = |number: u32| set & (1 << number) != 0;
    let needed = NEEDED.into_iter().filter(|&(number, _)| !(number > 32 && has(CAP_SYS_ADMIN)));
    let entering = enters_namespace.then_some((CAP_SYS_ADMIN, "CAP_SYS_ADMIN"));
    needed.chain(entering).filter(|&(number, _)| !has(number)).map(|(_, name)| name).collect()
}

/// Checks that the interface exists in the thread's network namespace, and that XDP can be there if it is asked for.
///
/// # Errors
/// Lists the interfaces that exist, or says what it isn't.
pub fn interface(name: &str, xdp: bool) -> Result<(), CaptureError> {
    if if_nametoindex(name).is_ok() {
        // Where the kernel doesn't say, the driver will.
        let refused = xdp && link::named(name).is_ok_and(|link| !link.layer.has_ethernet());
        return if refused { Err(CaptureError::NoEthernet { interface: name.to_owned() }) } else { Ok(()) };
    }
    let mut existing =
        interface_names().map_err(|source| CaptureError::System { what: "interfaces", source })?;
    existing.sort();
    Err(CaptureError::UnknownInterface { name: name.to_owned(), existing: existing.join(", ") })
}

/// Whether what is sent on it comes in on it.
pub fn is_loopback(interface: &str) -> bool {
    link::named(interface).is_ok_and(|link| link.layer == Layer::Loopback)
}

fn interface_names() -> io::Result<Vec<String>> {
    let interfaces = nix::net::if_::if_nameindex()?;
    Ok(interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_capabilities_that_are_missing() {
        assert_eq!(missing_capabilities(u64::MAX, true), [] as [&str; 0]);
        assert_eq!(missing_capabilities(0, false), ["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(missing_capabilities(1 << 12 | 1 << 38, false), ["CAP_BPF"]);
        assert_eq!(missing_capabilities(1 << 21, true), ["CAP_NET_ADMIN"]);
        assert_eq!(missing_capabilities(1 << 12 | 1 << 38 | 1 << 39, true), ["CAP_SYS_ADMIN"]);
    }

    #[test]
    fn lists_the_interfaces_that_exist() {
        let error = interface("no-such-if0", false).unwrap_err().to_string();
        assert!(error.contains("\"no-such-if0\"") && error.contains("lo"), "{error}");
    }

    #[test]
    fn lo_is_a_loopback_that_takes_xdp() {
        assert!(interface("lo", true).is_ok());
        assert!(is_loopback("lo") && !is_loopback("no-such-if0"));
    }
}
