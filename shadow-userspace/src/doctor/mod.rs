//! The doctor: says what this kernel, these interfaces and this user can do for `run`, and what to fix. Changes
//! nothing, attaches nothing.
//!
//! Each subject reads the system thinly and judges what it read in a function without side effects: [`kernel`],
//! [`rights`], [`programs`] (the proof: they are loaded) and [`device`]. [`check`] is a line, [`report`]
//! shows them. A check is a problem exactly where `run` with the same interfaces would fail.

mod check;
mod device;
mod kernel;
mod netlink;
mod programs;
mod report;
mod rights;

pub use check::{Check, Verdict};
pub use report::Report;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Network interfaces by name; without any, those that are up are listed.
    pub interfaces: Vec<String>,
}

/// Looks at everything.
#[must_use]
pub fn examine(options: &Options) -> Report {
    let (capable, rights) = rights::check();
    let mut checks = kernel::checks();
    checks.push(rights);
    checks.extend(programs::checks(capable));
    if options.interfaces.is_empty() {
        checks.extend(device::list());
    }
    for interface in &options.interfaces {
        checks.extend(device::checks(interface).0);
    }
    Report { checks }
}
