//! The compilers on this machine that may build `core` for BPF.
//!
//! Toolchains are found where they are installed rather than asked from rustup: a proxy may want the network, and the
//! distribution's compiler needs no link. A nightly may be there without rust-src, so only one with sources counts.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::BPF_LINKER_LLVM;

/// A compiler, and whether it can build the kernel programs.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// What to call it in messages: `rustup nightly-…` or `/usr/bin/rustc`.
    pub name: String,
    /// The compiler itself, not a proxy.
    pub rustc: PathBuf,
    /// The cargo of the same version.
    pub cargo: PathBuf,
    /// Its sysroot.
    pub sysroot: PathBuf,
    /// The major version of its LLVM.
    pub llvm: u32,
    /// Whether the library's sources are there.
    pub has_sources: bool,
}

impl Compiler {
    /// Whether it builds the kernel programs.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.has_sources && self.llvm <= BPF_LINKER_LLVM
    }

    /// The compiler in `bin`, if it is complete.
    fn in_directory(name: String, bin: &Path, sysroot: Option<&Path>) -> Option<Self> {
        let (rustc, cargo) = (bin.join("rustc"), bin.join("cargo"));
        if !(is_program(&rustc) && is_program(&cargo)) {
            return None;
        }
        let sysroot = match sysroot {
            Some(sysroot) => sysroot.to_path_buf(),
            None => PathBuf::from(ask(&rustc, &["--print", "sysroot"])?.trim()),
        };
        let llvm = llvm_major(&ask(&rustc, &["-vV"])?)?;
        let has_sources = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file();
        Some(Self { name, rustc, cargo, sysroot, llvm, has_sources })
    }
}

/// Every compiler found, the preferred first: nightlies, rustup's others, the distribution's.
pub fn candidates() -> impl Iterator<Item = Compiler> {
    let distribution = || Compiler::in_directory("/usr/bin/rustc".to_owned(), Path::new("/usr/bin"), None);
    rustup_toolchains()
        .into_iter()
        .filter_map(rustup_compiler)
        .chain(std::iter::once_with(distribution).flatten())
}

/// The first that fits.
#[must_use]
pub fn find() -> Option<Compiler> {
    candidates().find(Compiler::fits)
}

/// `$RUSTUP_HOME`, or where it is by default.
fn rustup_home() -> Option<PathBuf> {
    home("RUSTUP_HOME", ".rustup")
}

/// `$CARGO_HOME`, or where it is by default.
#[must_use]
pub fn cargo_home() -> Option<PathBuf> {
    home("CARGO_HOME", ".cargo")
}

fn home(variable: &str, default: &str) -> Option<PathBuf> {
    let set = env::var_os(variable).filter(|value| !value.is_empty());
    set.map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(default)))
}

/// The sysroots of rustup's toolchains: nightlies (the plain one before dated ones) first, then stable, then others.
pub(crate) fn rustup_toolchains() -> Vec<PathBuf> {
    let Some(entries) = rustup_home().and_then(|home| fs::read_dir(home.join("toolchains")).ok()) else {
        return Vec::new();
    };
    let mut sysroots: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    sysroots.sort_by_key(|sysroot| rank(&file_name(sysroot)));
    sysroots
}

/// Sorts `nightly-<host>` before `nightly-<date>-<host>` before `stable-<host>` before the rest, newest first.
fn rank(name: &str) -> (u8, std::cmp::Reverse<String>) {
    let dated = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    let group = match name.strip_prefix("nightly-") {
        Some(rest) if !dated(rest) => 0,
        Some(_) => 1,
        None if name.starts_with("stable-") => 2,
        None => 3,
    };
    (group, std::cmp::Reverse(name.to_owned()))
}

fn rustup_compiler(sysroot: PathBuf) -> Option<Compiler> {
    Compiler::in_directory(format!("rustup {}", file_name(&sysroot)), &sysroot.join("bin"), Some(&sysroot))
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a program prints, if it succeeds.
pub(crate) fn ask(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    // A toolchain's compiler must find its own libraries, not those of the toolchain whose cargo runs us.
    command.args(arguments).env_remove("LD_LIBRARY_PATH");
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The major number in the `LLVM version:` line of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.trim().parse().ok()
}

/// Whether this is a file that may be run.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_version_is_read_from_rustc() {
        assert_eq!(llvm_major("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }

    #[test]
    fn a_plain_nightly_comes_first_and_other_toolchains_last() {
        let mut names = ["1.95.0-x86_64", "stable-x86_64", "nightly-2026-01-01-x86_64", "nightly-x86_64"];
        names.sort_by_key(|name| rank(name));
        assert_eq!(names, ["nightly-x86_64", "nightly-2026-01-01-x86_64", "stable-x86_64", "1.95.0-x86_64"]);
    }
}
