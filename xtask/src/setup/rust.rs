//! The Rust parts: a compiler with its library's sources, bpf-linker, an LLVM for it, rustfmt and clippy.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};
use ebpf_toolchain::{
    BPF_LINKER_LLVM, BPF_LINKER_VERSION, Missing, candidates, cargo_home, find, is_program,
};

use super::{Need, Privilege, Step, packages};
use crate::machine;

/// Installed where no toolchain that is there can serve: the workspace's `rust-version`, so the LLVM is known to fit.
const FALLBACK_TOOLCHAIN: &str = "1.95.0";

/// Debian's newest Rust beside its old one: compiler, cargo and sources of one version.
const DISTRIBUTION_PAIR: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

pub fn compiler() -> Step {
    Step {
        name: "eBPF compiler",
        need: Need::Build,
        look: || find().map(|found| format!("{}, LLVM {}", found.name, found.llvm)),
        installs: "rust-src",
        install: install_compiler,
        by_hand: || {
            format!(
                "`rustup toolchain install {FALLBACK_TOOLCHAIN} --profile minimal --component rust-src`, or on Debian \
                 12 `apt-get install {}`",
                DISTRIBUTION_PAIR.join(" ")
            )
        },
    }
}

pub fn linker() -> Step {
    Step {
        name: "bpf-linker",
        need: Need::Build,
        look: || {
            ebpf_toolchain::bpf_linker().map(|found| format!("{BPF_LINKER_VERSION}, {}", found.display()))
        },
        installs: "bpf-linker (about two minutes)",
        install: |_| install_linker(),
        by_hand: || format!("`cargo install bpf-linker --version {BPF_LINKER_VERSION} --locked --force`"),
    }
}

pub fn llvm() -> Step {
    Step {
        name: "libLLVM",
        need: Need::Build,
        look: || {
            let directory = ebpf_toolchain::llvm_directory(&find()?)?;
            Some(directory.display().to_string())
        },
        installs: "an LLVM library for bpf-linker",
        install: |privilege| packages::install(privilege, &[&llvm_package()]),
        by_hand: || {
            format!("`apt-get install {}`, or install any rustup toolchain of that LLVM", llvm_package())
        },
    }
}

pub fn lints() -> Step {
    Step {
        name: "rustfmt, clippy",
        need: Need::Test,
        look: || {
            let both = cargo_command("cargo-fmt").is_some() && cargo_command("cargo-clippy").is_some();
            both.then(|| "cargo fmt, cargo clippy".to_owned())
        },
        installs: "rustfmt and clippy",
        install: |_| machine::run_quietly(rustup()?.args(["component", "add", "rustfmt", "clippy"])),
        by_hand: || "`rustup component add rustfmt clippy`".to_owned(),
    }
}

/// By rustup where it can be had, else by the distribution. A toolchain that is there only lacks its sources, which is
/// a small download and keeps the compiler that this machine's owner chose; nightlies come first in [`candidates`].
fn install_compiler(privilege: Privilege) -> Result<()> {
    let by_rustup = add_sources();
    let Err(rustup_error) = by_rustup else { return Ok(()) };
    packages::install(privilege, DISTRIBUTION_PAIR).with_context(|| format!("by rustup: {rustup_error:#}"))
}

fn add_sources() -> Result<()> {
    let mut last = None;
    for compiler in candidates().filter(|found| found.llvm <= BPF_LINKER_LLVM) {
        let Some(toolchain) = compiler.name.strip_prefix("rustup ") else { continue };
        match machine::run_quietly(rustup()?.args(["component", "add", "rust-src", "--toolchain", toolchain]))
        {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    if let Some(error) = last {
        return Err(error);
    }
    let options = ["--profile", "minimal", "--component", "rust-src"];
    machine::run_quietly(rustup()?.args(["toolchain", "install", FALLBACK_TOOLCHAIN]).args(options))
}

fn rustup() -> Result<Command> {
    let in_cargo_home = cargo_home().map(|home| home.join("bin/rustup")).filter(|path| is_program(path));
    let Some(program) = in_cargo_home.or_else(|| machine::program("rustup")) else {
        bail!("there is no rustup")
    };
    let mut command = Command::new(program);
    // A cargo that rustup started sets its own toolchain here.
    command.env_remove("RUSTUP_TOOLCHAIN").stdin(std::process::Stdio::null());
    Ok(command)
}

fn install_linker() -> Result<()> {
    let mut command = machine::cargo();
    command.args([
        "install",
        "bpf-linker",
        "--version",
        BPF_LINKER_VERSION,
        "--locked",
        "--force",
        "--quiet",
    ]);
    // Into cargo's home, for this host, in a directory of its own: whatever the build around us has set.
    for name in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
        "CARGO_INSTALL_ROOT",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    machine::run_quietly(&mut command)
}

fn llvm_package() -> String {
    let version = match ebpf_toolchain::probe() {
        Err(Missing::Llvm(version)) => version,
        _ => BPF_LINKER_LLVM,
    };
    format!("llvm-{version}-dev")
}

/// A subcommand of cargo: beside the cargo that runs us. In `PATH` there may be a proxy of rustup, which is there
/// without the component too, so that counts only where no cargo runs us.
fn cargo_command(name: &str) -> Option<PathBuf> {
    match std::env::var_os("CARGO") {
        Some(cargo) => Some(PathBuf::from(cargo).with_file_name(name)).filter(|path| is_program(path)),
        None => machine::program(name),
    }
}
