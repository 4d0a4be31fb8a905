//! What the kernel says about this process: the sets of bits in `/proc/self/status`.

use std::{fs, io};

/// The set of this name, such as `CapEff` or `SigIgn`; empty if the kernel has none of the name.
///
/// # Errors
/// /proc isn't there.
pub fn set(name: &str) -> io::Result<u64> {
    Ok(find(&fs::read_to_string("/proc/self/status")?, name).unwrap_or(0))
}

fn find(status: &str, name: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_name() {
        let status = "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n";
        assert_eq!(find(status, "CapEff"), Some(0x1ff_ffff_ffff));
        assert_eq!(find(status, "Cap"), None);
        assert_eq!(find("Name:\tx\n", "CapEff"), None);
    }
}
