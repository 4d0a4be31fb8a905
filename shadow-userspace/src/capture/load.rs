//! Brings the kernel programs and their maps into the kernel. The object lies inside this binary.

use std::io;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, PerCpuArray, RingBuf},
    programs::ProgramError,
};
use shadow_common::{Config, EXPORT_RESPONSES, FlowKey, MAX_CHUNK, ONLY_NEW, REPORT_ANSWERS, Resync};

use crate::capture::{CaptureError, Control, Kernel, LiveOptions, Ring, control::Maps};

/// The kernel object, built by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/shadow-ebpf"));

/// The TC program in the object. The kernel shows this name, by which leftovers are told from other people's filters.
pub const EXPORT: &str = "shadow_export";

/// The XDP program in the object for drivers.
pub const TAG: &str = "shadow_tag";

/// The same for generic XDP.
pub const TAG_SKB: &str = "shadow_tag_skb";

/// The smallest ring in bytes: several records of the largest class must fit.
pub const MIN_RING: u32 = MAX_CHUNK as u32 * 4;

/// The loaded object: programs that nothing is attached with yet, and their maps.
pub struct Programs {
    /// The programs, and what of the maps isn't taken out below. Dropping it detaches them.
    pub ebpf: Ebpf,
    /// Where exported records arrive.
    pub ring: Ring,
    /// The live maps.
    pub control: Control,
}

/// Loads the object for this kernel and sets its maps as `options` say. Attaches nothing.
///
/// # Errors
/// If the kernel refuses the object, or the ring's size is impossible.
pub fn load(options: &LiveOptions, kernel: &Kernel) -> Result<Programs, CaptureError> {
    if !options.ring_bytes.is_power_of_two() || options.ring_bytes < MIN_RING {
        return Err(CaptureError::RingSize { bytes: options.ring_bytes, minimum: MIN_RING });
    }
    let has_loop = u32::from(kernel.has_bpf_loop());
    let flows = options.max_flows.max(1);
    let mut ebpf = EbpfLoader::new()
        .override_global("HAS_LOOP", &has_loop, true)
        .map_max_entries("RING", options.ring_bytes)
        .map_max_entries("FLOWS", flows)
        .map_max_entries("RESYNC", flows)
        .load(OBJECT)?;
    // Programs are loaded while their maps are still open somewhere: what is taken out here lives on in the control.
    let maps = Maps {
        config: map(&mut ebpf, "CONFIG", Array::<_, Config>::try_from)?,
        ports: map(&mut ebpf, "PORTS", Array::<_, u64>::try_from)?,
        resync: map(&mut ebpf, "RESYNC", HashMap::<_, FlowKey, Resync>::try_from)?,
        counts: map(&mut ebpf, "COUNTS", PerCpuArray::<_, u64>::try_from)?,
    };
    let ring = map(&mut ebpf, "RING", RingBuf::try_from)?;
    let initial = Config {
        sample_threshold: options.rate.threshold(),
        flags: flags(options),
        seed: options.seed,
        own_mark: options.own_mark,
        sample_by: options.sample_by as u32,
    };
    let control = Control::new(maps, initial, &options.ports, options.ring_bytes)?;
    let ring = Ring::new(ring, control.clone());
    Ok(Programs { ebpf, ring, control })
}

/// How often a program is loaded at most.
const ATTEMPTS: usize = 5;

/// Loads a program. The verifier gives up with EAGAIN when something waits for the thread to return (`signal_pending`);
/// as in libbpf it is then asked again.
///
/// # Errors
/// What the last attempt said.
pub fn retried(load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    again(load, |error| match error {
        ProgramError::LoadError { io_error, .. } => io_error.kind() == io::ErrorKind::WouldBlock,
        _ => false,
    })
}

/// Tries until it succeeds, fails for good, or was tried often enough.
fn again<E>(mut load: impl FnMut() -> Result<(), E>, was_interrupted: impl Fn(&E) -> bool) -> Result<(), E> {
    let mut result = load();
    for _ in 1..ATTEMPTS {
        match &result {
            Err(error) if was_interrupted(error) => result = load(),
            _ => break,
        }
    }
    result
}

fn flags(options: &LiveOptions) -> u32 {
    let wanted = [
        (options.export_responses, EXPORT_RESPONSES),
        (options.only_new, ONLY_NEW),
        (options.report_answers, REPORT_ANSWERS),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).fold(0, |flags, (_, flag)| flags | flag)
}

/// Takes a map out of the object, as its type.
fn map<M>(
    ebpf: &mut Ebpf,
    name: &'static str,
    convert: impl FnOnce(aya::maps::Map) -> Result<M, aya::maps::MapError>,
) -> Result<M, CaptureError> {
    let map = ebpf.take_map(name).ok_or(CaptureError::Object(name))?;
    convert(map).map_err(|source| CaptureError::Map { map: name, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_was_interrupted_is_tried_again() {
        for (failures, kind, loads, is_ok) in [
            (0, io::ErrorKind::WouldBlock, 1, true),
            (4, io::ErrorKind::WouldBlock, 5, true),
            (9, io::ErrorKind::WouldBlock, 5, false),
            (1, io::ErrorKind::PermissionDenied, 1, false),
        ] {
            let mut count = 0;
            let load = || {
                count += 1;
                if count > failures { Ok(()) } else { Err(kind) }
            };
            let result = again(load, |error| *error == io::ErrorKind::WouldBlock);
            assert_eq!((count, result.is_ok()), (loads, is_ok), "{failures} failures, {kind:?}");
        }
    }
}
