//! `cargo xtask setup`: each thing that is needed is looked for, installed where it is missing, and looked for again.
//!
//! Looking costs milliseconds and changes nothing, so every other task sets up first. A step that fails says what to do
//! by hand, and the others still run.

mod packages;
mod rust;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Options of `cargo xtask setup`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Install nothing that needs root; say what to do instead.
    #[arg(long)]
    no_sudo: bool,
}

/// What a step is needed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To build the agent.
    Build,
    /// To run the lab in network namespaces.
    Lab,
    /// To test.
    Test,
    /// To fuzz.
    Fuzz,
}

/// One thing that must be there.
struct Step {
    name: &'static str,
    need: Need,
    /// Says what was found.
    look: fn() -> Option<String>,
    /// Says what is about to happen, where it takes long.
    installs: &'static str,
    install: fn(Privilege) -> Result<()>,
    by_hand: fn() -> String,
}

/// Whether steps may use root's rights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Privilege {
    Allowed,
    Refused,
}

fn steps() -> [Step; 11] {
    use packages::{cpp, curl, ip, nginx, tcpdump, tshark, wrk};
    [
        rust::compiler(),
        rust::linker(),
        rust::llvm(),
        packages::step("ip", Need::Lab, ip::look, ip::install, ip::by_hand),
        packages::step("nginx", Need::Test, nginx::look, nginx::install, nginx::by_hand),
        packages::step("curl", Need::Test, curl::look, curl::install, curl::by_hand),
        packages::step("wrk", Need::Test, wrk::look, wrk::install, wrk::by_hand),
        packages::step("tcpdump", Need::Test, tcpdump::look, tcpdump::install, tcpdump::by_hand),
        packages::step("tshark", Need::Test, tshark::look, tshark::install, tshark::by_hand),
        rust::lints(),
        packages::step("C++ compiler", Need::Fuzz, cpp::look, cpp::install, cpp::by_hand),
    ]
}

/// Does every step and shows each.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let privilege = if arguments.no_sudo { Privilege::Refused } else { Privilege::Allowed };
    let failed = steps().iter().filter(|step| !take(step, privilege, true)).count();
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does the steps for these needs; silent where all is there.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let steps = steps();
    let wanted = steps.iter().filter(|step| needs.contains(&step.need));
    let failed: Vec<&str> =
        wanted.filter(|step| !take(step, Privilege::Allowed, false)).map(|step| step.name).collect();
    if !failed.is_empty() {
        bail!("not set up: {}; the lines above say what to do by hand", failed.join(", "));
    }
    Ok(())
}

/// Whether the thing is there in the end.
fn take(step: &Step, privilege: Privilege, verbose: bool) -> bool {
    let say = |text: String| eprintln!("{:<14} {text}", step.name);
    if let Some(found) = (step.look)() {
        if verbose {
            say(format!("ok: {found}"));
        }
        return true;
    }
    say(format!("installing {}", step.installs));
    let result = (step.install)(privilege);
    match ((step.look)(), result) {
        (Some(found), _) => {
            say(format!("ok: {found}"));
            true
        }
        (None, Ok(())) => {
            say(format!("failed: still missing after the installation; by hand: {}", (step.by_hand)()));
            false
        }
        (None, Err(error)) => {
            say(format!("failed: {error:#}; by hand: {}", (step.by_hand)()));
            false
        }
    }
}
