//! What this kernel can do: the one place where versions are compared and features are probed.

use std::{fs, io};

use aya::{
    programs::{ProgramError, SchedClassifier, TcAttachType},
    util::KernelVersion,
};
use nix::errno::Errno;

use crate::capture::CaptureError;

/// Something that not every kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is.
    pub name: &'static str,
    /// The version of Linux that brought it.
    pub since: &'static str,
    /// What is done, or is to be done, where it is missing.
    pub without: &'static str,
    version: KernelVersion,
}

/// Without it nothing works: the oldest kernel that is supported.
const BASE: Feature = Feature {
    name: "BPF features that the programs need",
    since: "5.15",
    without: "run a newer kernel",
    version: KernelVersion::new(5, 15, 0),
};

const BPF_LOOP: Feature = Feature {
    name: "bpf_loop",
    since: "5.17",
    without: "the agent, and not the kernel, follows the requests of a connection",
    version: KernelVersion::new(5, 17, 0),
};

/// With it came `bpf_xdp_load_bytes`.
const XDP: Feature = Feature {
    name: "XDP for packets in fragments",
    since: "5.18",
    without: "use `--attach tc`",
    version: KernelVersion::new(5, 18, 0),
};

const TCX: Feature = Feature {
    name: "TCX links",
    since: "6.6",
    without: "TC attaches by netlink filters",
    version: KernelVersion::new(6, 6, 0),
};

/// The running kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    release: String,
    version: KernelVersion,
    tcx: bool,
    bpf_loop: bool,
}

impl Kernel {
    /// Asks the running kernel. Without CAP_NET_ADMIN its version alone tells.
    ///
    /// # Errors
    /// It doesn't say its version.
    pub fn detect() -> Result<Self, CaptureError> {
        let version = KernelVersion::current().map_err(|error| CaptureError::System {
            what: "kernel version",
            source: io::Error::other(error),
        })?;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let tcx = probe_tcx().unwrap_or(version >= TCX.version);
        Ok(Self { release: release.trim().to_owned(), version, tcx, bpf_loop: version >= BPF_LOOP.version })
    }

    /// Its release as it says it itself, such as `6.1.0-44-amd64`.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Whether TC programs attach by TCX links; else by filters of a clsact qdisc.
    #[must_use]
    pub const fn has_tcx(&self) -> bool {
        self.tcx
    }

    /// Whether programs may call `bpf_loop`.
    #[must_use]
    pub const fn has_bpf_loop(&self) -> bool {
        self.bpf_loop
    }

    /// The same without `bpf_loop`, as an older one is.
    #[must_use]
    pub fn without_bpf_loop(self) -> Self {
        Self { bpf_loop: false, ..self }
    }

    /// What it lacks of that which isn't always needed.
    #[must_use]
    pub fn lacks(&self) -> Vec<Feature> {
        let has = [(BPF_LOOP, self.bpf_loop), (XDP, self.version >= XDP.version), (TCX, self.tcx)];
        has.into_iter().filter(|(_, has)| !has).map(|(feature, _)| feature).collect()
    }

    /// Checks that it has what is needed; `xdp` says whether XDP is asked for.
    ///
    /// # Errors
    /// Names the feature and the version that brought it.
    pub fn require(&self, xdp: bool) -> Result<(), CaptureError> {
        let needed = if xdp { &[BASE, XDP][..] } else { &[BASE] };
        match needed.iter().find(|feature| self.version < feature.version) {
            Some(&feature) => Err(CaptureError::Kernel { kernel: self.release.clone(), feature }),
            None => Ok(()),
        }
    }

    /// One that isn't running here.
    #[cfg(test)]
    pub(crate) fn of((major, minor, patch): (u8, u8, u16)) -> Self {
        let version = KernelVersion::new(major, minor, patch);
        Self {
            release: format!("{major}.{minor}.{patch}-test"),
            version,
            tcx: version >= TCX.version,
            bpf_loop: version >= BPF_LOOP.version,
        }
    }
}

/// Asks for the TCX programs of the device that every namespace has; `None` if the answer is about something else.
fn probe_tcx() -> Option<bool> {
    match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
        Ok(_) => Some(true),
        // The attach type is unknown to it.
        Err(ProgramError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(Errno::EINVAL as i32) =>
        {
            Some(false)
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_what_came_with_it() {
        for (version, base, xdp, bpf_loop, tcx) in [
            ((5, 14, 99), false, false, false, false),
            ((5, 15, 0), true, false, false, false),
            ((5, 17, 3), true, false, true, false),
            ((5, 18, 0), true, true, true, false),
            ((6, 5, 9), true, true, true, false),
            ((6, 6, 0), true, true, true, true),
        ] {
            let kernel = Kernel::of(version);
            let found = (kernel.require(false).is_ok(), kernel.require(true).is_ok());
            assert_eq!(found, (base, xdp), "{version:?}");
            assert_eq!((kernel.has_bpf_loop(), kernel.has_tcx()), (bpf_loop, tcx), "{version:?}");
            let lacks = [(BPF_LOOP, bpf_loop), (XDP, xdp), (TCX, tcx)].into_iter().filter(|(_, has)| !has);
            assert_eq!(kernel.lacks(), lacks.map(|(feature, _)| feature).collect::<Vec<_>>(), "{version:?}");
        }
    }

    #[test]
    fn what_is_missing_is_one_line_with_versions() {
        let error = Kernel::of((5, 10, 1)).require(false).unwrap_err().to_string();
        assert!(error.contains("5.10.1-test") && error.contains("5.15"), "{error}");
        let error = Kernel::of((5, 15, 1)).require(true).unwrap_err().to_string();
        assert!(error.contains("--attach tc") && error.contains("5.18"), "{error}");
    }
}
