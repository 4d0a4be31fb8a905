//! The proof: the programs are loaded, and verified by the kernel, as `run` would; attached to nothing, and let go.

use std::{
    fs,
    time::{Duration, Instant},
};

use aya::programs::{ProgramError, ProgramInfo, SchedClassifier, Xdp};

use shadow_common::SampleBy;

use crate::{
    capture::{AttachMode, CaptureError, EXPORT, Kernel, LiveOptions, MIN_RING, SampleRate, TAG, load},
    doctor::Check,
};

const NAME: &str = "programs";

/// What loading led to.
struct Loaded {
    /// How long it took, verification included.
    took: Duration,
    /// Bytes of machine code of [`EXPORT`]; 0 if it is interpreted.
    jitted: u32,
    /// What the kernel says to [`TAG`], which only XDP needs.
    tag: Result<(), ProgramError>,
}

/// Loads the programs, if this process may.
pub(super) fn checks(capable: bool) -> Vec<Check> {
    if !capable {
        return vec![Check::warning(NAME, "not tried", "it needs the capabilities that are missing")];
    }
    match try_load() {
        Ok(loaded) => vec![judge(&loaded), jit(loaded.jitted, sysctl().as_deref())],
        Err(error) => vec![Check::problem(
            NAME,
            error.to_string(),
            "the kernel refuses the programs: see above what it lacks, or report this line",
        )],
    }
}

fn try_load() -> Result<Loaded, CaptureError> {
    let start = Instant::now();
    // Whole: programs are verified with their maps, the ring and the live ones included.
    let mut programs = load(&options(), &Kernel::detect()?)?;
    let ebpf = &mut programs.ebpf;
    let failed = |program| move |source| CaptureError::Program { program, source };
    let program = ebpf.program_mut(EXPORT).ok_or(CaptureError::Object(EXPORT))?;
    let export: &mut SchedClassifier = program.try_into().map_err(failed(EXPORT))?;
    export.load().map_err(failed(EXPORT))?;
    let jitted = export.info().as_ref().map_or(0, ProgramInfo::size_jitted);
    let program = ebpf.program_mut(TAG).ok_or(CaptureError::Object(TAG))?;
    let tag: &mut Xdp = program.try_into().map_err(failed(TAG))?;
    let tag = tag.load();
    Ok(Loaded { took: start.elapsed(), jitted, tag })
}

/// The least that loads: what is in the maps makes no difference to the verifier.
fn options() -> LiveOptions {
    LiveOptions {
        interfaces: Vec::new(),
        netns: None,
        ports: Vec::new(),
        rate: SampleRate::ALL,
        sample_by: SampleBy::Request,
        attach: AttachMode::Auto,
        ring_bytes: MIN_RING,
        max_flows: 1,
        export_responses: false,
        own_mark: 0,
        seed: 0,
    }
}

fn judge(loaded: &Loaded) -> Check {
    let millis = loaded.took.as_millis();
    match &loaded.tag {
        Ok(()) => Check::ok(NAME, format!("loaded and verified in {millis} ms")),
        Err(error) => Check::warning(
            NAME,
            format!("loaded and verified in {millis} ms, but for XDP: {error}"),
            "`--attach auto` and `tc` work; the XDP modes don't",
        ),
    }
}

/// `sysctl` is visible in the host's network namespace only; the loaded program tells it everywhere.
fn jit(jitted: u32, sysctl: Option<&str>) -> Check {
    const NAME: &str = "JIT";
    match (jitted, sysctl.map(str::trim)) {
        (0, Some("0")) => Check::warning(
            NAME,
            "off: every packet pays for an interpreter",
            "`sysctl net.core.bpf_jit_enable=1`",
        ),
        (0, _) => Check::warning(
            NAME,
            "the programs are interpreted: every packet pays for it",
            "`sysctl net.core.bpf_jit_enable=1` on the host; a kernel built without the JIT has none",
        ),
        (_, Some("2")) => Check::warning(
            NAME,
            "on, with debugging: machine code of every program goes to the kernel's log",
            "`sysctl net.core.bpf_jit_enable=1`",
        ),
        (bytes, _) => Check::ok(NAME, format!("on: {bytes} bytes of machine code")),
    }
}

fn sysctl() -> Option<String> {
    fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreted_programs_are_a_warning() {
        for (jitted, sysctl, status) in [
            (0, Some("0\n"), "warning"),
            (0, Some("1\n"), "warning"),
            (0, None, "warning"),
            (4096, Some("1\n"), "ok"),
            (4096, Some("2\n"), "warning"),
            (4096, None, "ok"),
        ] {
            assert_eq!(jit(jitted, sysctl).verdict.status(), status, "{jitted} {sysctl:?}");
        }
    }

    #[test]
    fn only_xdp_needs_the_tag() {
        let loaded = |tag| Loaded { took: Duration::from_millis(7), jitted: 1, tag };
        assert_eq!(judge(&loaded(Ok(()))), Check::ok(NAME, "loaded and verified in 7 ms"));
        assert_eq!(judge(&loaded(Err(ProgramError::AlreadyLoaded))).verdict.status(), "warning");
    }

    #[test]
    fn nothing_is_tried_in_vain() {
        let checks = checks(false);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].verdict.status(), "warning");
    }
}
