//! What must hold before anything is loaded. Each check that fails is one clear line.

use std::{fs, io, path::Path};

use aya::util::KernelVersion;

use crate::capture::CaptureError;

/// Capabilities that loading and attaching need (capabilities(7)): number and name.
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];

/// Stands for CAP_PERFMON and CAP_BPF as well.
const CAP_SYS_ADMIN: u32 = 21;

/// Checks that this process may load programs.
///
/// # Errors
/// Names the capabilities that are missing.
pub fn capabilities() -> Result<(), CaptureError> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|source| CaptureError::System { what: "/proc/self/status", source })?;
    let missing = missing_capabilities(effective(&status).unwrap_or(0));
    if missing.is_empty() { Ok(()) } else { Err(CaptureError::Capabilities { missing: missing.join(", ") }) }
}

/// The effective set in the text of `/proc/PID/status`.
fn effective(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

fn missing_capabilities(set: u64) -> Vec<&'static str> {
    let has = |number: u32| set & (1 << number) != 0;
    NEEDED
        .into_iter()
        .filter(|&(number, _)| !(has(number) || number > 32 && has(CAP_SYS_ADMIN)))
        .map(|(_, name)| name)
        .collect()
}

/// Checks that the interface exists in this network namespace.
///
/// # Errors
/// Lists the interfaces that do.
pub fn interface(name: &str) -> Result<(), CaptureError> {
    if nix::net::if_::if_nametoindex(name).is_ok() {
        return Ok(());
    }
    let mut existing =
        interface_names().map_err(|source| CaptureError::System { what: "interfaces", source })?;
    existing.sort();
    Err(CaptureError::UnknownInterface { name: name.to_owned(), existing: existing.join(", ") })
}

fn interface_names() -> io::Result<Vec<String>> {
    let interfaces = nix::net::if_::if_nameindex()?;
    Ok(interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect())
}

/// Checks that the kernel has what is needed; `xdp` says whether XDP is asked for.
///
/// # Errors
/// Names the feature and the version that brought it.
pub fn kernel(xdp: bool) -> Result<(), CaptureError> {
    let version = KernelVersion::current()
        .map_err(|error| CaptureError::System { what: "kernel version", source: io::Error::other(error) })?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match missing_feature(version, Path::new("/sys/kernel/btf/vmlinux").exists(), xdp) {
        None => Ok(()),
        Some((feature, since)) => {
            Err(CaptureError::Kernel { kernel: release.trim().to_owned(), feature, since })
        }
    }
}

fn missing_feature(version: KernelVersion, btf: bool, xdp: bool) -> Option<(&'static str, &'static str)> {
    if version < KernelVersion::new(6, 6, 0) {
        return Some(("TCX links, by which the programs attach", "6.6"));
    }
    if xdp && !btf {
        return Some(("BTF (CONFIG_DEBUG_INFO_BTF)", "5.2, where it is switched on"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_capabilities_that_are_missing() {
        assert_eq!(missing_capabilities(u64::MAX), [] as [&str; 0]);
        assert_eq!(missing_capabilities(0), ["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(missing_capabilities(1 << 12 | 1 << 38), ["CAP_BPF"]);
        assert_eq!(missing_capabilities(1 << 21), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn reads_the_effective_set() {
        let status = "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n";
        assert_eq!(effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn lists_the_interfaces_that_exist() {
        let error = interface("no-such-if0").unwrap_err().to_string();
        assert!(error.contains("\"no-such-if0\"") && error.contains("lo"), "{error}");
        assert!(interface("lo").is_ok());
    }

    #[test]
    fn names_the_kernel_feature() {
        let old = missing_feature(KernelVersion::new(6, 5, 9), true, false);
        assert_eq!(old.map(|(_, since)| since), Some("6.6"));
        assert_eq!(missing_feature(KernelVersion::new(6, 6, 0), true, true), None);
    }
}
