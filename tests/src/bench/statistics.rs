//! What programs cost: the kernel's own statistics, switched on while they are read, and medians over rounds.

use std::{os::fd::OwnedFd, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};
use serde::Serialize;

use crate::{attached::Attached, lab::NIC, netns::Namespace};

/// The kernel's statistics about programs, on while this lives. They cost every program of the machine some nanoseconds
/// per run, which are in what they say.
#[derive(Debug)]
pub struct Statistics {
    _on: OwnedFd,
}

/// The programs on the gateway's [`NIC`], by their ids in the kernel.
#[derive(Clone, Debug)]
pub struct Programs {
    xdp: Vec<u32>,
    tc: Vec<u32>,
}

/// What the programs of one hook did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The name that they have.
    pub program: String,
    /// Packets that they were run for.
    pub packets: u64,
    /// The time that they took for all of them.
    pub time: Duration,
}

/// What the programs did at each hook.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// XDP, if there is a program.
    pub xdp: Option<Usage>,
    /// TC, both directions together.
    pub tc: Usage,
}

impl Statistics {
    /// Switches them on.
    ///
    /// # Errors
    /// Not root, or a kernel before 5.8.
    pub fn on() -> Result<Self> {
        let on = enable_stats(Stats::RunTime).context("statistics about kernel programs (Linux 5.8)")?;
        Ok(Self { _on: on })
    }

    /// What these did since they were loaded, as far as statistics were on.
    ///
    /// # Errors
    /// One of them isn't loaded any more.
    pub fn usage(&self, programs: &Programs) -> Result<Hooks> {
        let loaded: Vec<_> = loaded_programs().filter_map(Result::ok).collect();
        let of = |ids: &[u32]| {
            let mut usage = Usage { program: String::new(), packets: 0, time: Duration::ZERO };
            for &id in ids {
                let info = loaded.iter().find(|info| info.id() == id).context("a program is gone")?;
                info.name_as_str().unwrap_or("?").clone_into(&mut usage.program);
                usage.packets += info.run_count();
                usage.time += info.run_time();
            }
            anyhow::Ok(usage)
        };
        let xdp = if programs.xdp.is_empty() { None } else { Some(of(&programs.xdp)?) };
        Ok(Hooks { xdp, tc: of(&programs.tc)? })
    }
}

impl Programs {
    /// Those that are attached now.
    ///
    /// # Errors
    /// The device or a tool is missing, or there is no program.
    pub fn on_nic(gateway: &Namespace) -> Result<Self> {
        let Attached { mut tcx, xdp, .. } = Attached::on(gateway, NIC)?;
        // One program may serve both directions.
        tcx.dedup();
        ensure!(!tcx.is_empty(), "no program is attached by TCX (Linux 6.6), which this benchmark reads");
        Ok(Self { xdp, tc: tcx })
    }
}

impl Hooks {
    /// What was done after `earlier`, by the same programs.
    #[must_use]
    pub fn since(self, earlier: &Self) -> Self {
        let xdp = self.xdp.zip(earlier.xdp.as_ref());
        Self { xdp: xdp.map(|(now, earlier)| now.since(earlier)), tc: self.tc.since(&earlier.tc) }
    }

    /// The time that all took together.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.tc.time + self.xdp.as_ref().map_or(Duration::ZERO, |xdp| xdp.time)
    }
}

impl Usage {
    fn since(self, earlier: &Self) -> Self {
        let packets = self.packets.saturating_sub(earlier.packets);
        Self { packets, time: self.time.saturating_sub(earlier.time), ..self }
    }

    /// Nanoseconds per packet, 0 without packets.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
    pub fn nanoseconds_per_packet(&self) -> f64 {
        self.time.as_nanos() as f64 / self.packets.max(1) as f64
    }
}

/// A figure over the rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// As they were measured.
    pub rounds: Vec<f64>,
}

impl Spread {
    /// Of these, in the order in which they were measured. All zero if there are none.
    #[must_use]
    pub fn of(rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        Self { median: f64::midpoint(at(last / 2), at(sorted.len() / 2)), min: at(0), max: at(last), rounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_there() {
        for (rounds, median, min, max) in [
            (vec![3.0, 1.0, 2.0], 2.0, 1.0, 3.0),
            (vec![4.0, 1.0, 2.0, 10.0], 3.0, 1.0, 10.0),
            (vec![7.0], 7.0, 7.0, 7.0),
            (vec![], 0.0, 0.0, 0.0),
        ] {
            let spread = Spread::of(rounds.clone());
            assert_eq!(spread, Spread { median, min, max, rounds });
        }
    }
}
