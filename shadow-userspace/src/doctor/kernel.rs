//! The kernel: its version, and what it was started with.

use std::{fs, path::Path};

use aya::util::KernelVersion;

use crate::doctor::Check;

/// The oldest supported.
const OLDEST: KernelVersion = KernelVersion::new(5, 15, 0);

/// What newer kernels bring, and what it is like without.
const SINCE: [(KernelVersion, &str); 3] = [
    (KernelVersion::new(5, 17, 0), "sampling by request in the kernel (bpf_loop, 5.17)"),
    (KernelVersion::new(5, 18, 0), "XDP (5.18)"),
    (TCX_SINCE, "TCX links (6.6), so TC attaches by netlink filters"),
];

/// The first kernel with TCX links.
pub(super) const TCX_SINCE: KernelVersion = KernelVersion::new(6, 6, 0);

/// Looks at the running kernel.
pub(super) fn checks() -> Vec<Check> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").ok();
    vec![
        version(running(), release.trim()),
        btf(Path::new("/sys/kernel/btf/vmlinux").exists()),
        self::lockdown(lockdown.as_deref()),
    ]
}

/// The running kernel's version, if it can be read.
pub(super) fn running() -> Option<KernelVersion> {
    KernelVersion::current().ok()
}

fn version(version: Option<KernelVersion>, release: &str) -> Check {
    let Some(version) = version else {
        return Check::warning(
            "kernel",
            format!("version {release:?} is of no known form"),
            format!("shadow needs Linux {OLDEST} or newer; see below whether the programs load"),
        );
    };
    if version < OLDEST {
        let found = format!("{release} is older than {OLDEST}, the oldest supported");
        return Check::problem("kernel", found, "run a newer kernel; from 6.6 on everything is there");
    }
    let missing: Vec<_> = SINCE.iter().filter(|(since, _)| version < *since).map(|&(_, what)| what).collect();
    if missing.is_empty() {
        return Check::ok("kernel", release);
    }
    let found = format!("{release} has no {}", missing.join("; no "));
    Check::warning("kernel", found, "it works without; a kernel from 6.6 on has everything")
}

fn btf(exists: bool) -> Check {
    let found = if exists { "the kernel describes its types" } else { "none, and none is needed" };
    Check::ok("BTF", found)
}

/// `text` is the file's: the active mode stands in brackets.
fn lockdown(text: Option<&str>) -> Check {
    let active = text.and_then(|text| text.split_once('[')?.1.split_once(']').map(|(mode, _)| mode));
    match active {
        Some("confidentiality") => Check::warning(
            "lockdown",
            "confidentiality: programs may not read kernel memory; ours only read packets",
            "should the kernel programs be refused below, start the kernel with lockdown=integrity",
        ),
        Some(mode) => Check::ok("lockdown", mode),
        None => Check::ok("lockdown", "none, or not visible from here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn versions() {
        for (kernel, status, words) in [
            ((5, 14), "problem", "older than 5.15.0"),
            (
                (5, 15),
                "warning",
                "no sampling by request in the kernel (bpf_loop, 5.17); no XDP (5.18); no TCX",
            ),
            ((5, 17), "warning", "no XDP (5.18); no TCX"),
            ((6, 5), "warning", "no TCX links (6.6)"),
            ((6, 6), "ok", "release"),
            ((7, 0), "ok", "release"),
        ] {
            let check = version(Some(KernelVersion::new(kernel.0, kernel.1, 3)), "release");
            assert_eq!(check.verdict.status(), status, "{check:?}");
            assert!(check.found.contains(words), "{check:?}");
        }
        assert_eq!(version(None, "x").verdict.status(), "warning");
    }

    #[test]
    fn lockdown_modes() {
        for (text, status) in [
            (Some("[none] integrity confidentiality\n"), "ok"),
            (Some("none [integrity] confidentiality\n"), "ok"),
            (Some("none integrity [confidentiality]\n"), "warning"),
            (Some("?"), "ok"),
            (None, "ok"),
        ] {
            assert_eq!(lockdown(text).verdict.status(), status, "{text:?}");
        }
    }

    #[test]
    fn btf_is_never_needed() {
        assert!([true, false].into_iter().all(|exists| btf(exists).verdict == Verdict::Ok));
    }
}
