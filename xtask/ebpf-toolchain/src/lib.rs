//! Finds what builds shadow's kernel programs: a compiler with the sources of `core`, bpf-linker and an LLVM library.
//!
//! Takes nothing but the machine as it is; gives a [`Toolchain`], or in one line what is [`Missing`]. Nothing is
//! installed here: `cargo xtask setup` does that, and the agent's build script only looks. rustup is not called, so an
//! offline machine answers as fast as any other.

mod compiler;
mod linker;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

pub use compiler::{Compiler, candidates, cargo_home, find, is_program};
pub use linker::{BPF_LINKER_LLVM, BPF_LINKER_VERSION, bpf_linker, llvm_directory};

/// The kernel programs' package, its directory in the workspace, and the name of its object.
pub const PACKAGE: &str = "shadow-ebpf";

/// Little-endian BPF.
const TARGET: &str = "bpfel-unknown-none";

/// Everything that a build of the kernel programs needs.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The compiler, its cargo and its LLVM's version.
    pub compiler: Compiler,
    /// The linker.
    pub bpf_linker: PathBuf,
    /// A directory with an LLVM that the linker can load and that reads the compiler's bitcode.
    pub llvm: PathBuf,
}

/// What a build of the kernel programs lacks: one line each, which names the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No compiler with the sources of `core`.
    #[error(
        "the kernel programs need a Rust compiler with its library's sources (rust-src) and LLVM {BPF_LINKER_LLVM} \
         or older: run `cargo xtask setup`"
    )]
    Compiler,
    /// No linker of the pinned version.
    #[error("the kernel programs need bpf-linker {BPF_LINKER_VERSION}: run `cargo xtask setup`")]
    BpfLinker,
    /// No LLVM library that fits both.
    #[error("bpf-linker finds no libLLVM of version {0}: run `cargo xtask setup`")]
    Llvm(u32),
}

/// Looks for a toolchain.
///
/// # Errors
/// The first thing that is missing.
pub fn probe() -> Result<Toolchain, Missing> {
    let compiler = find().ok_or(Missing::Compiler)?;
    let bpf_linker = bpf_linker().ok_or(Missing::BpfLinker)?;
    let llvm = llvm_directory(&compiler).ok_or(Missing::Llvm(compiler.llvm))?;
    Ok(Toolchain { compiler, bpf_linker, llvm })
}

/// The object that [`Toolchain::command`] builds into `target_dir`.
#[must_use]
pub fn object(target_dir: &Path) -> PathBuf {
    target_dir.join(TARGET).join("release").join(PACKAGE)
}

impl Toolchain {
    /// `cargo build` of the kernel programs for little-endian BPF into `target_dir`, with the environment cleaned of
    /// what an outer cargo or rustup set. [`object`] says where the object is then.
    ///
    /// The caller adds what it likes (`--message-format`, `--quiet`) and sets the working directory to the workspace.
    /// `target_dir` must not be the outer cargo's own: it holds the lock on that one.
    #[must_use]
    pub fn command(&self, target_dir: &Path) -> Command {
        let mut command = self.cargo();
        command.args(["build", "--package", PACKAGE, "--bins", "--release"]);
        command.args(["--target", TARGET, "-Z", "build-std=core"]);
        command.arg("--target-dir").arg(target_dir);
        command
    }

    /// The compiler's cargo in an environment that builds for BPF; give it arguments.
    fn cargo(&self) -> Command {
        let mut command = Command::new(&self.compiler.cargo);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(set_by_outer_cargo) {
                command.env_remove(name);
            }
        }
        command
            .env("RUSTC", &self.compiler.rustc)
            // `-Z build-std` on a stable compiler, and the unstable parts of `core` that aya-ebpf uses.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags())
            .env("LD_LIBRARY_PATH", &self.llvm)
            .env("PATH", self.path());
        command
    }

    /// aya-ebpf wants to know whose kernel it is; bpf-linker derives the BTF from the debug information.
    fn rustflags(&self) -> String {
        let arch = match env::consts::ARCH {
            arch if arch.starts_with("riscv64") => "riscv64",
            arch => arch,
        };
        format!("--cfg=bpf_target_arch=\"{arch}\"\x1f-Cdebuginfo=2\x1f-Clink-arg=--btf")
    }

    /// The compiler first (bpf-linker asks `rustc` for the host), then the linker, then what was there.
    fn path(&self) -> OsString {
        let own = [self.compiler.rustc.as_path(), self.bpf_linker.as_path()];
        let own = own.into_iter().filter_map(Path::parent).map(Path::to_path_buf);
        let inherited = env::var_os("PATH").unwrap_or_default();
        let all: Vec<PathBuf> = own.chain(env::split_paths(&inherited)).collect();
        env::join_paths(all).unwrap_or(inherited)
    }
}

/// Whether an outer cargo, rustup or clippy sets this variable for those it runs, or it would change the inner build.
/// The user's own settings of cargo (home, registries, network) stay.
fn set_by_outer_cargo(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MAKEFLAGS",
        "CARGO_TARGET_DIR",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
        "DEBUG",
        "HOST",
        "MAKEFLAGS",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "TARGET",
    ];
    const PREFIXES: &[&str] = &[
        "CARGO_BIN_",
        "CARGO_BUILD_RUST",
        "CARGO_CFG_",
        "CARGO_CRATE_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PRIMARY_",
        "CARGO_PROFILE_",
        "CARGO_UNSTABLE_",
        "DEP_",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_is_removed_and_the_users_settings_stay() {
        for name in
            ["CARGO", "RUSTC", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN", "CARGO_CFG_UNIX", "OUT_DIR"]
        {
            assert!(set_by_outer_cargo(name), "{name} should go");
        }
        for name in
            ["CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "HOME", "PATH"]
        {
            assert!(!set_by_outer_cargo(name), "{name} should stay");
        }
    }

    #[test]
    fn what_is_missing_is_one_line_that_names_the_remedy() {
        for missing in [Missing::Compiler, Missing::BpfLinker, Missing::Llvm(22)] {
            let line = missing.to_string();
            assert!(
                line.contains("`cargo xtask setup`") && !line.contains('\n') && !line.contains("  "),
                "{line}"
            );
        }
    }
}
