//! The doctor: says what this kernel, these interfaces and this user can do for `run`, and what to fix. Changes
//! nothing, attaches nothing.
//!
//! Each subject reads the system thinly and judges what it read in a function without side effects: [`kernel`],
//! [`rights`], [`programs`] (the proof: they are loaded), [`device`] and [`traffic`]. [`check`] is a line, [`report`]
//! shows them. A check is a problem exactly where `run` with the same interfaces would fail.

mod check;
mod device;
mod kernel;
mod programs;
mod report;
mod rights;
mod traffic;

use std::time::Duration;

pub use check::{Check, Verdict};
pub use report::Report;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Network interfaces by name; without any, those that are up are listed.
    pub interfaces: Vec<String>,
    /// Service ports whose traffic is looked at, on every interface that is named.
    pub ports: Vec<u16>,
    /// How long to look at traffic.
    pub look_for: Duration,
}

/// Looks at everything; takes as long as it looks at traffic.
#[must_use]
pub fn examine(options: &Options) -> Report {
    let (capable, rights) = rights::check();
    let mut checks = kernel::checks();
    checks.push(rights);
    checks.extend(programs::checks(capable));
    if options.interfaces.is_empty() {
        checks.extend(device::list());
    }
    let mut links = Vec::new();
    for interface in &options.interfaces {
        let (found, link) = device::checks(interface);
        checks.extend(found);
        links.extend(link);
    }
    if !options.ports.is_empty() {
        checks.extend(traffic::checks(&links, &options.ports, options.look_for));
    }
    Report { checks }
}
