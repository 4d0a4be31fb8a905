//! Where the requests are and how they are reached: what `run` and `doctor` are told alike.

use std::{collections::HashSet, path::PathBuf};

use clap::{Args, ValueEnum};

use crate::capture::AttachMode;

/// The arguments that both have.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Network namespace of the interfaces, such as /run/netns/NAME or /proc/PID/ns/net [default: the agent's own]
    #[arg(long, value_name = "PATH")]
    pub(super) netns: Option<PathBuf>,

    /// Where to attach: TC alone unless XDP does no harm (auto), XDP in the driver, XDP in the stack, TC alone, or TC
    /// by netlink filters, as on kernels before 6.6 (clsact)
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(super) attach: Attach,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Attach {
    #[default]
    Auto,
    XdpNative,
    XdpGeneric,
    Tc,
    Clsact,
}

impl From<Attach> for AttachMode {
    fn from(attach: Attach) -> Self {
        match attach {
            Attach::Auto => Self::Auto,
            Attach::XdpNative => Self::XdpNative,
            Attach::XdpGeneric => Self::XdpGeneric,
            Attach::Tc => Self::Tc,
            Attach::Clsact => Self::Clsact,
        }
    }
}

/// Interfaces without what comes again, in order.
pub(super) fn once_each(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// Ports without what comes again, sorted.
pub(super) fn sorted(mut ports: Vec<u16>) -> Vec<u16> {
    ports.sort_unstable();
    ports.dedup();
    ports
}
