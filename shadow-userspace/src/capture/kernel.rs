//! What this kernel can do: the one place where versions are compared and features are probed.

use std::{fs, io};

use aya::{
    programs::{ProgramError, SchedClassifier, TcAttachType},
    util::KernelVersion,
};
use nix::errno::Errno;

use crate::capture::CaptureError;

/// The oldest that is supported, by number and in words.
const OLDEST: (KernelVersion, &str) = (KernelVersion::new(5, 15, 0), "5.15");
/// The first with `bpf_loop`.
const BPF_LOOP: KernelVersion = KernelVersion::new(5, 17, 0);
/// The first with XDP programs that take packets in fragments, and `bpf_xdp_load_bytes`.
const XDP_FRAGMENTS: (KernelVersion, &str) = (KernelVersion::new(5, 18, 0), "5.18");
/// The first with TCX.
const TCX: KernelVersion = KernelVersion::new(6, 6, 0);

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
        let tcx = probe_tcx().unwrap_or(version >= TCX);
        Ok(Self { release: release.trim().to_owned(), version, tcx, bpf_loop: version >= BPF_LOOP })
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

    /// Checks that it has what is needed; `xdp` says whether XDP is asked for.
    ///
    /// # Errors
    /// Names the feature and the version that brought it.
    pub fn require(&self, xdp: bool) -> Result<(), CaptureError> {
        let missing = |feature, since| CaptureError::Kernel { kernel: self.release.clone(), feature, since };
        if self.version < OLDEST.0 {
            return Err(missing("BPF features that the programs need", OLDEST.1));
        }
        if xdp && self.version < XDP_FRAGMENTS.0 {
            return Err(missing(
                "XDP for packets in fragments (`--attach tc` does without)",
                XDP_FRAGMENTS.1,
            ));
        }
        Ok(())
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

    fn of(version: (u8, u8, u16)) -> Kernel {
        let (major, minor, patch) = version;
        let version = KernelVersion::new(major, minor, patch);
        Kernel {
            release: format!("{major}.{minor}.{patch}-test"),
            version,
            tcx: version >= TCX,
            bpf_loop: version >= BPF_LOOP,
        }
    }

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
            let kernel = of(version);
            let found = (kernel.require(false).is_ok(), kernel.require(true).is_ok());
            assert_eq!(found, (base, xdp), "{version:?}");
            assert_eq!((kernel.has_bpf_loop(), kernel.has_tcx()), (bpf_loop, tcx), "{version:?}");
        }
    }

    #[test]
    fn what_is_missing_is_one_line_with_versions() {
        let error = of((5, 10, 1)).require(false).unwrap_err().to_string();
        assert!(error.contains("5.10.1-test") && error.contains("5.15"), "{error}");
        let error = of((5, 15, 1)).require(true).unwrap_err().to_string();
        assert!(error.contains("--attach tc") && error.contains("5.18"), "{error}");
    }
}
