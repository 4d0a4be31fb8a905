//! The doctor: says what this kernel, these interfaces and this user can do for `run`, and what to fix. Changes
//! nothing, attaches nothing.
//!
//! Each subject reads the system thinly and judges what it read in a function without side effects: [`kernel`],
//! [`rights`], [`programs`] (the proof: they are loaded), [`device`] and [`traffic`]. [`check`] is a line, [`report`]
//! shows them. A check is a problem exactly where `run` with the same arguments would fail.

mod check;
mod device;
mod kernel;
mod programs;
mod report;
mod rights;
mod traffic;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub use check::{Check, Verdict};
pub use report::Report;

use crate::capture::{AttachMode, CaptureError, Kernel, netns::Namespace};

/// What to look at, and what `run` would be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Network interfaces by name; without any, those that are up are listed.
    pub interfaces: Vec<String>,
    /// The network namespace that they are in, by its path; none: this process'.
    pub netns: Option<PathBuf>,
    /// Where to attach.
    pub attach: AttachMode,
    /// Service ports whose traffic is looked at, on every interface that is named.
    pub ports: Vec<u16>,
    /// How long to look at traffic.
    pub look_for: Duration,
}

/// Looks at everything; takes as long as it looks at traffic.
#[must_use]
pub fn examine(options: &Options) -> Report {
    let kernel = match Kernel::detect() {
        Ok(kernel) => kernel,
        // `run` gives up here too.
        Err(error) => return Report { checks: vec![kernel::unknown(&error)] },
    };
    let mut checks = kernel::checks(&kernel, options.attach);
    checks.push(rights::check(options.netns.is_some()));
    checks.extend(programs::checks(&kernel, options.attach));
    let there = Namespace::open(options.netns.as_deref())
        .and_then(|namespace| namespace.run(|| Ok(interfaces(options, &kernel))));
    if let Some(path) = &options.netns {
        checks.push(namespace(path, there.as_ref().err()));
    }
    checks.extend(there.unwrap_or_default());
    Report { checks }
}

fn namespace(path: &Path, error: Option<&CaptureError>) -> Check {
    const NAME: &str = "namespace";
    const ADVICE: &str = "give a path such as /run/netns/NAME or /proc/PID/ns/net";
    match error {
        None => Check::ok(NAME, path.display().to_string()),
        Some(CaptureError::Namespace { path, reason }) => {
            Check::problem(NAME, format!("{path:?} is none that can be entered: {reason}"), ADVICE)
        }
        Some(other) => Check::problem(NAME, other.to_string(), ADVICE),
    }
}

/// Everything about the interfaces, asked in their namespace.
fn interfaces(options: &Options, kernel: &Kernel) -> Vec<Check> {
    if options.interfaces.is_empty() {
        return device::list();
    }
    let (mut checks, mut links) = (Vec::new(), Vec::new());
    for interface in &options.interfaces {
        let (found, link) = device::checks(interface, kernel, options.attach);
        checks.extend(found);
        links.extend(link);
    }
    if !options.ports.is_empty() {
        checks.extend(traffic::checks(&links, &options.ports, options.look_for));
    }
    checks
}
