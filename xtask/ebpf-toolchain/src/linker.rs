//! bpf-linker, and the LLVM library that it loads when it runs.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::compiler::{Compiler, ask, cargo_home, is_program, rustup_toolchains};

/// The version that is pinned: later ones link the system's LLVM, which is another one on every system.
pub const BPF_LINKER_VERSION: &str = "0.10.4";

/// The LLVM whose interface that version knows; a compiler with a newer one writes bitcode that it can't read.
pub const BPF_LINKER_LLVM: u32 = 22;

/// bpf-linker of the pinned version, in `PATH` or where `cargo install` puts it.
#[must_use]
pub fn bpf_linker() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed =
        [cargo_home().map(|home| home.join("bin")), env::home_dir().map(|home| home.join(".cargo/bin"))];
    let directories = installed.into_iter().flatten().chain(env::split_paths(&path));
    let mut programs =
        directories.map(|directory| directory.join("bpf-linker")).filter(|path| is_program(path));
    programs.find(|program| {
        let version = ask(program, &["--version"]).unwrap_or_default();
        version.split_whitespace().last() == Some(BPF_LINKER_VERSION)
    })
}

/// A directory whose LLVM is new enough for the compiler's bitcode and not newer than the linker knows: the compiler's
/// own, the distribution's, or another Rust toolchain's.
///
/// The linker loads the first file named `libLLVM…` that it finds there, so a directory with several versions, or with
/// static libraries only, is no use.
#[must_use]
pub fn llvm_directory(compiler: &Compiler) -> Option<PathBuf> {
    let own = compiler.sysroot.join("lib");
    let distribution =
        (compiler.llvm..=BPF_LINKER_LLVM).map(|major| PathBuf::from(format!("/usr/lib/llvm-{major}/lib")));
    let rustup = rustup_toolchains().into_iter().map(|sysroot| sysroot.join("lib"));
    std::iter::once(own).chain(distribution).chain(rustup).find(|directory| {
        let versions = llvm_versions(directory);
        !versions.is_empty() && versions.iter().all(|found| (compiler.llvm..=BPF_LINKER_LLVM).contains(found))
    })
}

/// The major versions of the shared LLVM libraries in a directory.
fn llvm_versions(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut versions: Vec<u32> =
        entries.filter_map(|entry| llvm_version_in_name(&entry.file_name().to_string_lossy())).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// `libLLVM.so.22.1`, `libLLVM.so.22.1-rust-1.95.0-stable`, `libLLVM-22.so`, `libLLVM-22-rust-1.95.0-stable.so`,
/// `libLLVM-14.so.1` → the first number. `libLLVM.so.1` (an alias that says no version) → none.
fn llvm_version_in_name(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("libLLVM")?;
    let version = rest.strip_prefix(".so.").or_else(|| rest.strip_prefix('-'))?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok().filter(|&major| major > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_names_that_distributions_use() {
        for name in [
            "libLLVM.so.22.1",
            "libLLVM.so.22.1-rust-1.95.0-stable",
            "libLLVM-22.so",
            "libLLVM-22-rust-1.97.0-nightly.so",
        ] {
            assert_eq!(llvm_version_in_name(name), Some(22), "{name}");
        }
        assert_eq!(llvm_version_in_name("libLLVM-14.so.1"), Some(14));
        for name in ["libLLVM.so", "libLLVM.so.1", "libLLVMBPFCodeGen.a", "libc.so.6"] {
            assert_eq!(llvm_version_in_name(name), None, "{name}");
        }
    }
}
