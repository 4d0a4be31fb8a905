//! System packages, on Debian and its kin; elsewhere a line to type.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{Need, Privilege, Step};
use crate::machine;

/// A step whose success is a program that can be found.
pub fn step(
    name: &'static str,
    need: Need,
    look: fn() -> Option<String>,
    install: fn(Privilege) -> Result<()>,
    by_hand: fn() -> String,
) -> Step {
    Step { name, need, look, installs: "the system package", install, by_hand }
}

macro_rules! program {
    ($module:ident, $package:literal, $install:path) => {
        pub mod $module {
            //! A program of the same name.
            use super::{Privilege, Result, machine};

            pub fn look() -> Option<String> {
                machine::program(stringify!($module)).map(|found| found.display().to_string())
            }

            pub fn install(privilege: Privilege) -> Result<()> {
                $install(privilege, &[$package])
            }

            pub fn by_hand() -> String {
                format!("install the package {} with your distribution's tool", $package)
            }
        }
    };
}

program!(ip, "iproute2", super::install);
program!(nginx, "nginx", super::install_without_service);
program!(curl, "curl", super::install);
program!(wrk, "wrk", super::install);
program!(tcpdump, "tcpdump", super::install);
// Its package would ask who may capture; unasked it leaves that to root, and the tests only read files with it.
program!(tshark, "tshark", super::install);

pub mod cpp {
    //! A C++ compiler, under the name that build scripts know it by.
    use super::{Privilege, Result, machine};

    pub fn look() -> Option<String> {
        machine::program("c++").map(|found| found.display().to_string())
    }

    pub fn install(privilege: Privilege) -> Result<()> {
        super::install(privilege, &["g++"])
    }

    pub fn by_hand() -> String {
        "install the package g++ (or clang, as `c++`) with your distribution's tool".to_owned()
    }
}

/// Installs packages by apt-get, as root. The package lists are refreshed once, if it fails without.
pub fn install(privilege: Privilege, packages: &[&str]) -> Result<()> {
    let apt_get = machine::program("apt-get").context("this distribution has no apt-get")?;
    if privilege == Privilege::Refused && !machine::is_root() {
        bail!("needs root");
    }
    let attempt = || {
        let mut command = apt(&apt_get)?;
        command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        machine::run_quietly(&mut command)
    };
    let Err(first) = attempt() else { return Ok(()) };
    machine::run_quietly(apt(&apt_get)?.arg("update")).with_context(|| format!("{first:#}"))?;
    attempt()
}

fn apt(apt_get: &Path) -> Result<Command> {
    // Through env, because sudo drops variables. RUNLEVEL keeps System V scripts from starting what is installed.
    let mut command = machine::as_root("env")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]).arg(apt_get);
    command.args(["--quiet", "--option", "DPkg::Lock::Timeout=60"]).stdin(Stdio::null());
    Ok(command)
}

/// Installs a server of which only the program is wanted. Under systemd its unit is masked while the package installs,
/// so that nothing listens on the machine, and disabled afterwards, so that nothing does after a reboot.
fn install_without_service(privilege: Privilege, packages: &[&str]) -> Result<()> {
    let systemd =
        Path::new("/run/systemd/system").is_dir() && (privilege == Privilege::Allowed || machine::is_root());
    let systemctl = |arguments: &[&str]| -> Result<()> {
        let units = packages.iter().map(|package| format!("{package}.service"));
        machine::run_quietly(machine::as_root("systemctl")?.args(arguments).args(units))
    };
    if !systemd {
        return install(privilege, packages);
    }
    systemctl(&["mask", "--runtime"])?;
    let installed = install(privilege, packages);
    systemctl(&["unmask", "--runtime"])?;
    installed?;
    systemctl(&["disable"])
}
