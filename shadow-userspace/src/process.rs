//! This process to the kernel: the sets of bits in `/proc/self/status`, and its limit of open files.

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

/// Lets the process have as many open files as it may: each copy on its way is a connection, and the usual limit of 1024
/// is soon reached by a few upstreams. It is the most that is asked for, so what it can't have it does without.
pub(crate) fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("the limit of open files stays at {soft}: {error}");
    }
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

    #[test]
    fn as_many_files_as_may_be() {
        use nix::sys::resource::{Resource, getrlimit};
        raise_file_limit();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }
}
