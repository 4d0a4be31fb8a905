//! Brings the kernel programs and their maps into the kernel. The object lies inside this binary.

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, PerCpuArray, RingBuf},
};
use shadow_common::{Config, EXPORT_RESPONSES, MAX_CHUNK, PORT_WORDS, port_bit, port_word};

use crate::capture::{CaptureError, Control, LiveOptions};

/// The kernel object, built by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/shadow-ebpf"));

/// The TC program in the object. The kernel shows this name, by which leftovers are told from other people's filters.
pub const EXPORT: &str = "shadow_export";

/// The XDP program in the object.
pub const TAG: &str = "shadow_tag";

/// The smallest ring in bytes: several records of the largest class must fit.
pub const MIN_RING: u32 = MAX_CHUNK as u32 * 4;

/// The loaded object: programs that nothing is attached with yet, and their maps.
pub struct Programs {
    /// The programs, and what of the maps isn't taken out below. Dropping it detaches them.
    pub ebpf: Ebpf,
    /// Where exported records arrive.
    pub ring: RingBuf<MapData>,
    /// The live maps.
    pub control: Control,
}

/// Loads the object and sets its maps as `options` say. Attaches nothing.
///
/// # Errors
/// If the kernel refuses the object, or the ring's size is impossible.
pub fn load(options: &LiveOptions) -> Result<Programs, CaptureError> {
    if !options.ring_bytes.is_power_of_two() || options.ring_bytes < MIN_RING {
        return Err(CaptureError::RingSize { bytes: options.ring_bytes, minimum: MIN_RING });
    }
    let mut ebpf = EbpfLoader::new()
        .map_max_entries("RING", options.ring_bytes)
        .map_max_entries("FLOWS", options.max_flows.max(1))
        .load(OBJECT)?;
    let ring = map(&mut ebpf, "RING", RingBuf::try_from)?;
    let config = map(&mut ebpf, "CONFIG", Array::<_, Config>::try_from)?;
    let counts = map(&mut ebpf, "COUNTS", PerCpuArray::<_, u64>::try_from)?;
    set_ports(&mut ebpf, &options.ports)?;
    let initial = Config {
        sample_threshold: options.rate.threshold(),
        flags: if options.export_responses { EXPORT_RESPONSES } else { 0 },
        seed: options.seed,
        own_mark: options.own_mark,
        reserved: 0,
    };
    let control = Control::new(config, counts, initial)?;
    Ok(Programs { ebpf, ring, control })
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

/// Sets the port bitmap where it is: taken out, it would be gone before the programs that use it are loaded.
fn set_ports(ebpf: &mut Ebpf, ports: &[u16]) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Map { map: "PORTS", source };
    let map = ebpf.map_mut("PORTS").ok_or(CaptureError::Object("PORTS"))?;
    let mut map = Array::<_, u64>::try_from(map).map_err(failed)?;
    let mut words = vec![0_u64; PORT_WORDS as usize];
    for &port in ports {
        words[port_word(port) as usize] |= port_bit(port);
    }
    for (word, &bits) in (0..).zip(&words).filter(|&(_, &bits)| bits != 0) {
        map.set(word, bits, 0).map_err(failed)?;
    }
    Ok(())
}
