//! The kernel: its version, and what it was started with.

use std::{fs, path::Path};

use crate::{
    capture::{AttachMode, CaptureError, Kernel},
    doctor::Check,
};

const NAME: &str = "kernel";

/// Looks at the running kernel.
pub(super) fn checks(kernel: &Kernel, attach: AttachMode) -> Vec<Check> {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").ok();
    vec![
        version(kernel, attach),
        btf(Path::new("/sys/kernel/btf/vmlinux").exists()),
        self::lockdown(lockdown.as_deref()),
    ]
}

/// The line for a kernel that doesn't say what it is.
pub(super) fn unknown(error: &CaptureError) -> Check {
    Check::problem(NAME, error.to_string(), "is /proc mounted? Report this line if it is")
}

fn version(kernel: &Kernel, attach: AttachMode) -> Check {
    if let Err(error) = kernel.require(attach.xdp().is_some()) {
        return Check::problem(NAME, error.to_string(), "from Linux 6.6 on everything is there");
    }
    let lacks = kernel.lacks();
    if lacks.is_empty() {
        return Check::ok(NAME, kernel.release());
    }
    let lacks = lacks.iter().map(|it| format!("no {} ({}): {}", it.name, it.since, it.without));
    let found = format!("{} has {}", kernel.release(), lacks.collect::<Vec<_>>().join("; "));
    Check::warning(NAME, found, "it works without; a kernel from 6.6 on has everything")
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
        const TC: AttachMode = AttachMode::Tc;
        for (kernel, attach, status, words) in [
            ((5, 14, 3), TC, "problem", "came with Linux 5.15"),
            ((5, 15, 3), TC, "warning", "no bpf_loop (5.17): the agent, and not the kernel"),
            ((5, 15, 3), AttachMode::XdpNative, "problem", "came with Linux 5.18"),
            (
                (5, 17, 3),
                TC,
                "warning",
                "has no XDP for packets in fragments (5.18): use `--attach tc`; no TCX",
            ),
            (
                (6, 5, 3),
                AttachMode::XdpNative,
                "warning",
                "has no TCX links (6.6): TC attaches by netlink filters",
            ),
            ((6, 6, 3), TC, "ok", "6.6.3-test"),
            ((7, 0, 3), AttachMode::XdpGeneric, "ok", "7.0.3-test"),
        ] {
            let check = version(&Kernel::of(kernel), attach);
            assert_eq!(check.verdict.status(), status, "{check:?}");
            assert!(check.found.contains(words), "{check:?}");
        }
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
