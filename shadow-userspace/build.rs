//! Builds the kernel programs and puts their object where the library includes it from, so that the agent's binary
//! carries it inside. A missing tool is one line that names `cargo xtask setup`; nothing is installed here.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use ebpf_toolchain::PACKAGE;

fn main() {
    if let Err(error) = build() {
        // This alone fails the build; an exit code would have cargo show all that the script printed.
        println!("cargo::error={error}");
    }
}

fn build() -> Result<(), String> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(format!("cargo sets no {name}"));
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let workspace = manifest.parent().ok_or("the package lies in no workspace")?;
    let out = variable("OUT_DIR")?;
    for source in [PACKAGE, "shadow-common", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    println!("cargo::rerun-if-env-changed=PATH");

    let toolchain = ebpf_toolchain::probe().map_err(|missing| missing.to_string())?;
    let target = shared_target(&out);
    let mut cargo = toolchain.command(&target);
    let output = cargo.current_dir(workspace).output().map_err(|error| format!("{cargo:?}: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the kernel programs don't build:\n{messages}").replace('\n', "\ncargo::error="));
    }
    for line in messages.lines().filter(|line| line.starts_with("warning")) {
        println!("cargo::warning={line}");
    }
    let object = ebpf_toolchain::object(&target);
    fs::copy(&object, out.join(PACKAGE)).map_err(|error| format!("{}: {error}", object.display()))?;
    Ok(())
}

/// One target directory for all profiles of the outer build, beside theirs: `core` is built once.
fn shared_target(out: &Path) -> PathBuf {
    let build = out.ancestors().find(|path| path.ends_with("build"));
    let profile = build.and_then(Path::parent);
    profile.and_then(Path::parent).unwrap_or(out).join("ebpf")
}
