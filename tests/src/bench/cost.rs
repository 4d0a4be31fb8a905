//! What each program takes per packet, for traffic that it doesn't look at, doesn't export and exports.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use aya::programs::{TcAttachType, XdpMode, links::LinkOrder};
use shadow_common::Counter;
use shadow_userspace::capture::{AttachMode, SampleRate};

use crate::{
    bench::{
        capture::Capture,
        statistics::{Hooks, Programs, Statistics},
        traffic::{OTHER_PORT, Traffic},
    },
    foreign::{Classifier, Foreign},
    lab::{Family, Lab, NIC},
};

/// The ways to attach that are measured.
pub const MODES: [Mode; 3] = [
    Mode { name: "tc", attach: AttachMode::Tc, xdp: None },
    Mode { name: "xdp-native", attach: AttachMode::XdpNative, xdp: Some(XdpMode::Driver) },
    Mode { name: "xdp-generic", attach: AttachMode::XdpGeneric, xdp: Some(XdpMode::Skb) },
];

/// A way to attach.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// As `--attach` takes it.
    pub name: &'static str,
    attach: AttachMode,
    xdp: Option<XdpMode>,
}

/// What the programs have to do with the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// There are empty programs in place of the agent's: the statistics' own share.
    Empty,
    /// The port is none that they look at.
    NotMatched,
    /// Sampled at 0 %.
    Unsampled,
    /// Sampled at 100 %.
    Sampled,
    /// The same, and they tell when answers begin.
    Timed,
}

/// Those that the agent's programs have, each measured with every size of request.
const ROLES: [Role; 4] = [Role::NotMatched, Role::Unsampled, Role::Sampled, Role::Timed];

/// How large requests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// GETs of 64 bytes.
    Small,
    /// GETs that fill a frame.
    Frame,
    /// POSTs of 1 MiB, in segments as large as the device takes them.
    Bulk,
}

/// Every size.
const SIZES: [Size; 3] = [Size::Small, Size::Frame, Size::Bulk];

impl Size {
    /// Enough packets that a preempted one doesn't show, and few enough for many rounds.
    fn traffic(self) -> Traffic {
        match self {
            Self::Small => Traffic::gets(64, 5000),
            // 1514 bytes without Ethernet, IPv4 and TCP headers, timestamps in the latter.
            Self::Frame => Traffic::gets(1448, 5000),
            // Few connections: each then has a window in which large segments fit.
            Self::Bulk => Traffic { connections: 2, ..Traffic::posts(1 << 20, 150) },
        }
    }
}

/// One kind of traffic, measured once.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the programs did.
    pub hooks: Hooks,
    /// How long it passed.
    pub elapsed: Duration,
    /// Its requests.
    pub requests: u32,
    /// Segments that were exported.
    pub exported: u64,
    /// Payload bytes in them.
    pub bytes: u64,
    /// Segments for which the ring had no room: then the programs did less than they should have.
    pub ring_full: u64,
}

/// Measures one way to attach, each kind of traffic once, and gives every sample to `each`.
///
/// # Errors
/// The programs can't be attached, or the traffic can't be run.
pub fn round(
    lab: &Lab,
    statistics: &Statistics,
    mode: Mode,
    mut each: impl FnMut(Role, Size, Sample),
) -> Result<()> {
    each(Role::Empty, Size::Small, empty(lab, statistics, mode)?);
    let none: SampleRate = "0%".parse()?;
    let capture = Capture::start(&lab.gateway, mode.attach, none)?;
    let programs = Programs::on_nic(&lab.gateway)?;
    for role in ROLES {
        let is_sampled = matches!(role, Role::Sampled | Role::Timed);
        capture.control().set_rate(if is_sampled { SampleRate::ALL } else { none })?;
        capture.control().set_report_answers(role == Role::Timed)?;
        for size in SIZES {
            let before = capture.control().counters()?;
            let mut sample = measure(lab, statistics, &programs, role, size)?;
            let after = capture.control().counters()?;
            let count = |counter| after.get(counter) - before.get(counter);
            sample.exported = count(Counter::Exported);
            sample.bytes = count(Counter::ExportedBytes);
            sample.ring_full = count(Counter::RingFull);
            each(role, size, sample);
        }
    }
    capture.stop()?;
    Ok(())
}

/// What programs cost that do nothing.
fn empty(lab: &Lab, statistics: &Statistics, mode: Mode) -> Result<Sample> {
    let tc = |side| Foreign::tcx(&lab.gateway, NIC, side, LinkOrder::default(), Classifier::Next);
    let _tc = [tc(TcAttachType::Ingress)?, tc(TcAttachType::Egress)?];
    let _xdp = mode.xdp.map(|xdp| Foreign::xdp(&lab.gateway, NIC, xdp)).transpose()?;
    let programs = Programs::on_nic(&lab.gateway)?;
    measure(lab, statistics, &programs, Role::Empty, Size::Small)
}

fn measure(
    lab: &Lab,
    statistics: &Statistics,
    programs: &Programs,
    role: Role,
    size: Size,
) -> Result<Sample> {
    let mut to = lab.v1_address(Family::V4);
    if role == Role::NotMatched {
        to = SocketAddr::new(to.ip(), OTHER_PORT);
    }
    let traffic = size.traffic();
    let before = statistics.usage(programs)?;
    let elapsed = traffic.run(&lab.client, to)?;
    let after = statistics.usage(programs)?;
    let hooks = after.since(&before);
    Ok(Sample { hooks, elapsed, requests: traffic.requests, exported: 0, bytes: 0, ring_full: 0 })
}
