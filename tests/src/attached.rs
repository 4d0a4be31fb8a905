//! What is attached to a device: the question after which an agent must leave no answer.

use std::process::Command;

use anyhow::{Context as _, Result};
use aya::programs::{SchedClassifier, TcAttachType, loaded_programs};

use crate::netns::Namespace;

/// The programs on one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Ids of TCX programs, ingress and egress.
    pub tcx: Vec<u32>,
    /// Ids of XDP programs.
    pub xdp: Vec<u32>,
    /// Lines of `tc filter show`, those without a handle left out: one for each filter.
    pub filters: Vec<String>,
    /// Whether there is a qdisc for filters.
    pub clsact: bool,
}

impl Attached {
    /// What is on a device of a namespace.
    ///
    /// # Errors
    /// The device or a tool is missing.
    pub fn on(namespace: &Namespace, device: &str) -> Result<Self> {
        let tcx = namespace
            .run(|| Ok([TcAttachType::Ingress, TcAttachType::Egress].map(|side| tcx(device, side))))?;
        let tcx = tcx.into_iter().flatten().collect();
        let xdp = xdp_ids(&output(namespace, &["ip", "-details", "link", "show", "dev", device])?);
        let mut filters = Vec::new();
        for side in ["ingress", "egress"] {
            let shown = output(namespace, &["tc", "filter", "show", "dev", device, side])?;
            // A handle comes in front of what is said of a filter; other lines are of a priority, or go on about one.
            filters.extend(
                shown
                    .lines()
                    .filter(|line| line.contains(" handle ") || line.contains(" fh "))
                    .map(str::to_owned),
            );
        }
        let qdiscs = output(namespace, &["tc", "qdisc", "show", "dev", device])?;
        Ok(Self { tcx, xdp, filters, clsact: qdiscs.contains("qdisc clsact") })
    }

    /// Whether nothing is attached.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Those of these programs that the kernel still holds.
    #[must_use]
    pub fn still_loaded(&self) -> Vec<u32> {
        let ours = |id: &u32| self.tcx.contains(id) || self.xdp.contains(id);
        loaded_programs().filter_map(Result::ok).map(|program| program.id()).filter(ours).collect()
    }
}

/// A kernel without TCX has none attached.
fn tcx(device: &str, side: TcAttachType) -> Vec<u32> {
    let programs = SchedClassifier::query_tcx(device, side).map(|(_, programs)| programs).unwrap_or_default();
    programs.iter().map(aya::programs::ProgramInfo::id).collect()
}

/// The ids after `prog/xdp id`.
fn xdp_ids(shown: &str) -> Vec<u32> {
    let after = shown.split("prog/xdp id ").skip(1);
    after.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
}

fn output(namespace: &Namespace, words: &[&str]) -> Result<String> {
    let mut command: Command = namespace.command(words[0]);
    let output = command.args(&words[1..]).output().with_context(|| format!("{} did not start", words[0]))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_ids_are_read_from_ip() {
        let shown =
            "2: nic0: <UP> mtu 1500 xdpgeneric qdisc noqueue\n    prog/xdp id 57 name tag tag 3b18 jited\n";
        assert_eq!(xdp_ids(shown), [57]);
        assert_eq!(xdp_ids("2: nic0: <UP> mtu 1500\n"), [0u32; 0]);
    }
}
