//! What the kernel says about this process, under the names that every exporter gives it. What can't be read is left out.

use std::{
    fmt, fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::time::{ClockId, clock_gettime};

use super::{BARE, Families};

/// The unit of times in `/proc/PID/stat` per second: the same on every machine that runs this.
const USER_HZ: u64 = 100;

/// When the process began; the same at each scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::admin) struct ProcessStart(Option<Duration>);

impl ProcessStart {
    /// Reads it.
    pub(in crate::admin) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let since_start = ticks_at_start(&stat).and_then(|ticks| {
            let start = Duration::from_millis(ticks * (1000 / USER_HZ));
            Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?).checked_sub(start)
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        Self(now.zip(since_start).and_then(|(now, since)| now.checked_sub(since)))
    }
}

pub(super) fn encode(start: ProcessStart, to: &mut Families<'_>) -> fmt::Result {
    to.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        start.0.map(|start| (BARE, start.as_secs_f64())),
    )?;
    let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok().map(Duration::from);
    to.counter_of_seconds(
        "process_cpu_seconds",
        "Processor time of the process, user and system.",
        cpu.map(|cpu| (BARE, cpu)),
    )?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    to.gauge(
        "process_resident_memory_bytes",
        "Memory of the process that is in RAM.",
        resident(&status).map(|bytes| (BARE, bytes)),
    )?;
    // Reading the directory is one of them.
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1));
    to.gauge("process_open_fds", "File descriptors that are open.", open.map(|count| (BARE, count)))
}

/// Field 22; the second, the name in parentheses, may have anything in it.
fn ticks_at_start(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(19)?.parse().ok()
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_process_is_called() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(ticks_at_start(stat), Some(777));
        assert_eq!(ticks_at_start("42 (a) S 1"), None);
        assert_eq!(resident("VmSize:\t  9 kB\nVmRSS:\t   12 kB\n"), Some(12 * 1024));
        assert_eq!(resident("VmSize:\t  9 kB\n"), None);
    }

    #[test]
    fn this_process_began_before_now_and_after_yesterday() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let began = ProcessStart::read().0.unwrap();
        assert!(began <= now && now - began < Duration::from_secs(86_400), "{began:?} at {now:?}");
    }
}
