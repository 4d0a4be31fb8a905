//! The proof: the programs are loaded, and verified by the kernel, as `run` would; attached to nothing, and let go.

use std::{
    fs,
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    programs::{ProgramError, ProgramInfo, SchedClassifier, Xdp},
};

use crate::{
    capture::{
        AttachMode, CaptureError, EXPORT, Kernel, LiveOptions, MIN_RING, Programs, TAG, TAG_SKB, failed,
        load, preflight, program, retried,
    },
    doctor::Check,
};

const NAME: &str = "programs";

/// What loading led to.
struct Loaded {
    /// How long it took, verification included.
    took: Duration,
    /// Bytes of machine code of [`EXPORT`]; 0 if it is interpreted.
    jitted: u32,
    xdp: [LoadedXdp; 2],
}

/// An XDP program's name, and what the kernel says to it. Not every mode needs it.
type LoadedXdp = (&'static str, Result<(), ProgramError>);

/// Loads the programs, if this process may.
pub(super) fn checks(kernel: &Kernel, attach: AttachMode) -> Vec<Check> {
    if preflight::capabilities(false).is_err() {
        return vec![Check::warning(NAME, "not tried", "it needs the capabilities that are missing")];
    }
    match try_load(kernel) {
        Ok(loaded) => vec![judge(&loaded, attach), jit(loaded.jitted, sysctl().as_deref())],
        Err(error) => vec![Check::problem(
            NAME,
            error.to_string(),
            "the kernel refuses the programs: see above what it lacks, or report this line",
        )],
    }
}

fn try_load(kernel: &Kernel) -> Result<Loaded, CaptureError> {
    let start = Instant::now();
    // Whole: programs are verified with their maps, the ring and the live ones included.
    let Programs { mut ebpf, ring: _ring, control: _control } = load(&options(), kernel)?;
    let export: &mut SchedClassifier = program(&mut ebpf, EXPORT)?.try_into().map_err(failed(EXPORT))?;
    retried(|| export.load()).map_err(failed(EXPORT))?;
    let jitted = export.info().as_ref().map_or(0, ProgramInfo::size_jitted);
    let xdp = [load_xdp(&mut ebpf, TAG)?, load_xdp(&mut ebpf, TAG_SKB)?];
    Ok(Loaded { took: start.elapsed(), jitted, xdp })
}

fn load_xdp(ebpf: &mut Ebpf, name: &'static str) -> Result<LoadedXdp, CaptureError> {
    let xdp: &mut Xdp = program(ebpf, name)?.try_into().map_err(failed(name))?;
    Ok((name, retried(|| xdp.load())))
}

/// The least that loads: what is in the maps makes no difference to the verifier.
fn options() -> LiveOptions {
    LiveOptions { ring_bytes: MIN_RING, max_flows: 1, ..LiveOptions::default() }
}

fn judge(loaded: &Loaded, attach: AttachMode) -> Check {
    let found = format!("loaded and verified in {} ms", loaded.took.as_millis());
    let refused = |needed: fn(&str, AttachMode) -> bool| {
        loaded.xdp.iter().find_map(|(name, result)| match result {
            Err(error) if needed(name, attach) => Some(format!("{found}, but for {name}: {error}")),
            _ => None,
        })
    };
    if let Some(found) = refused(|name, attach| attach.xdp_program() == Some(name)) {
        return Check::problem(NAME, found, "use `--attach tc`, which does without");
    }
    match refused(|_, _| true) {
        Some(found) => Check::warning(NAME, found, "`--attach auto` and `tc` work without it"),
        None => Check::ok(NAME, found),
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
    fn only_xdp_needs_its_program() {
        let loaded = |native, generic| {
            let took = Duration::from_millis(7);
            Loaded { took, jitted: 1, xdp: [(TAG, native), (TAG_SKB, generic)] }
        };
        let refused = || Err(ProgramError::AlreadyLoaded);
        let fine = loaded(Ok(()), Ok(()));
        assert_eq!(judge(&fine, AttachMode::XdpNative), Check::ok(NAME, "loaded and verified in 7 ms"));
        for (loaded, attach, status) in [
            (loaded(refused(), Ok(())), AttachMode::XdpNative, "problem"),
            (loaded(refused(), Ok(())), AttachMode::XdpGeneric, "warning"),
            (loaded(Ok(()), refused()), AttachMode::XdpNative, "warning"),
            (loaded(Ok(()), refused()), AttachMode::XdpGeneric, "problem"),
            (loaded(refused(), refused()), AttachMode::Auto, "warning"),
            (loaded(refused(), refused()), AttachMode::Clsact, "warning"),
        ] {
            assert_eq!(judge(&loaded, attach).verdict.status(), status, "{attach:?}");
        }
    }
}
