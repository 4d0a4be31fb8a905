//! Why capturing can't start, or ended: each one line that says what to do.

use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use crate::capture::{Feature, file::FileError};

/// Why capturing can't start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// No interface of that name.
    #[error("there is no network interface {name:?}; this namespace has: {existing}")]
    UnknownInterface {
        /// The name that was given.
        name: String,
        /// The names that exist, for the message.
        existing: String,
    },
    /// A capture file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The process may not load or attach programs.
    #[error(
        "loading and attaching kernel programs needs {missing}: run as root (sudo), or grant them to the binary \
         with setcap"
    )]
    Capabilities {
        /// The capabilities that are missing, for the message.
        missing: String,
    },
    /// The kernel lacks something.
    #[error(
        "this kernel ({kernel}) has no {}, which came with Linux {}: {}", feature.name, feature.since, feature.without
    )]
    Kernel {
        /// The running kernel's version.
        kernel: String,
        /// What is missing.
        feature: Feature,
    },
    /// `--netns` can't be entered.
    #[error(
        "--netns {path:?} is no network namespace that can be entered ({reason}): give a path such as \
         /run/netns/NAME or /proc/PID/ns/net"
    )]
    Namespace {
        /// The path that was given.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// XDP is asked for on a device without Ethernet.
    #[error("{interface} carries no Ethernet frames, which XDP takes alone: use `--attach tc`")]
    NoEthernet {
        /// The interface.
        interface: String,
    },
    /// The older qdisc stands where clsact belongs; it has no egress.
    #[error(
        "{interface} has an ingress qdisc, in whose place TC filters of both directions need a clsact one: replace it \
         (`tc qdisc del dev {interface} ingress`, and add its filters to a clsact qdisc)"
    )]
    IngressQdisc {
        /// The interface.
        interface: String,
    },
    /// Qdiscs or filters of an interface can't be read or changed.
    #[error("{interface}: TC can't {task}: {source}")]
    Tc {
        /// The interface.
        interface: String,
        /// What was tried.
        task: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The driver refuses XDP.
    #[error(
        "{interface}: the driver refuses {mode} XDP ({reason}); use `--attach tc`, or `--attach xdp-generic`, or an \
         MTU that XDP can hold"
    )]
    XdpRefused {
        /// The interface.
        interface: String,
        /// `native` or `generic`.
        mode: &'static str,
        /// The kernel's reason.
        reason: io::Error,
    },
    /// The ring's size isn't one that the kernel takes.
    #[error("a ring of {bytes} bytes is not possible: give a power of two, at least {minimum}")]
    RingSize {
        /// The size that was given.
        bytes: u32,
        /// The smallest possible: a record of the largest class must fit.
        minimum: u32,
    },
    /// The kernel programs can't be loaded.
    #[error("the kernel programs can't be loaded: {0}")]
    Load(#[from] EbpfError),
    /// A program can't be verified or attached.
    #[error("kernel program {program}: {source}")]
    Program {
        /// The program.
        program: &'static str,
        /// aya's error.
        source: ProgramError,
    },
    /// A map can't be read or written.
    #[error("kernel map {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// aya's error.
        source: MapError,
    },
    /// The object inside the binary isn't the one this agent was built with.
    #[error("the kernel object has no {0}: rebuild the agent")]
    Object(&'static str),
    /// The ring can't be waited for.
    #[error("waiting for the ring: {0}")]
    Wait(#[source] io::Error),
    /// Something of the system can't be read.
    #[error("{what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
}
