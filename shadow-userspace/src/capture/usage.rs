//! What the programs cost, by the kernel's own account: it keeps one while `kernel.bpf_stats_enabled` is 1.
//!
//! Read from `/proc/self/fdinfo`, which needs no rights: asking the kernel for a program by its id would.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::Arc,
    time::Duration,
};

use aya::{Ebpf, programs::ProgramFd};

/// The runs of one program since it was loaded, as far as the kernel kept account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramUsage {
    /// Its name in the kernel object.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// How long it ran, all runs together.
    pub time: Duration,
}

/// A handle on the loaded programs' accounts; cheap to clone, for any thread. It keeps the programs loaded, and not
/// attached.
#[derive(Clone)]
pub struct Usage {
    programs: Arc<[(String, ProgramFd)]>,
}

impl Usage {
    /// Of those that are loaded.
    pub(super) fn of(ebpf: &Ebpf) -> Self {
        let loaded = ebpf.programs().filter_map(|(name, program)| {
            let fd = program.fd().ok()?.try_clone().ok()?;
            Some((name.to_owned(), fd))
        });
        Self { programs: loaded.collect() }
    }

    /// The accounts now; without those that can't be read, which only a kernel before 5.1 or a missing `/proc` does.
    #[must_use]
    pub fn read(&self) -> Vec<ProgramUsage> {
        let read = |(name, fd): &(String, ProgramFd)| {
            let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()?;
            parse(name, &text)
        };
        self.programs.iter().filter_map(read).collect()
    }
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.programs.iter().map(|(name, _)| name)).finish()
    }
}

/// Lines of a name, a colon and a value.
fn parse(program: &str, text: &str) -> Option<ProgramUsage> {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.trim().parse().ok()
    };
    let (runs, time) = (field("run_cnt")?, Duration::from_nanos(field("run_time_ns")?));
    Some(ProgramUsage { program: program.to_owned(), runs, time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_what_the_kernel_says_of_a_descriptor() {
        let text = "pos:\t0\nprog_type:\t3\nrun_time_ns:\t1500\nrun_cnt:\t3\nrecursion_misses:\t0\n";
        let usage = ProgramUsage { program: "p".to_owned(), runs: 3, time: Duration::from_nanos(1500) };
        assert_eq!(parse("p", text), Some(usage));
        for text in ["", "run_cnt:\t3\n", "run_cnt:\tx\nrun_time_ns:\t1\n", "run_cnt 3\nrun_time_ns 1\n"] {
            assert_eq!(parse("p", text), None, "{text:?}");
        }
    }
}
