//! Builds the release binaries that demo and end-to-end tests run.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::machine;

/// A binary of the workspace.
#[derive(Clone, Copy)]
pub struct Target {
    package: &'static str,
    /// Its name.
    pub binary: &'static str,
}

/// The agent.
pub const AGENT: Target = Target { package: "shadow-userspace", binary: "shadow-agent" };
/// The lab: namespaces, services, load.
pub const LAB: Target = Target { package: "shadow-tests", binary: "shadow-lab" };

/// The workspace's directory.
pub fn workspace() -> Result<PathBuf> {
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    Ok(manifest.parent().context("xtask lies in the workspace")?.to_path_buf())
}

/// Builds these and returns the directory where they lie.
pub fn release(targets: &[Target]) -> Result<PathBuf> {
    let workspace = workspace()?;
    let mut command = machine::cargo();
    command.current_dir(&workspace).args(["build", "--release"]);
    for target in targets {
        command.args(["--package", target.package, "--bin", target.binary]);
    }
    let status = command.status().context("cargo did not start")?;
    if !status.success() {
        bail!("`{}` failed", machine::describe(&command));
    }
    Ok(target_directory(&workspace).join("release"))
}

/// Where cargo puts what it builds.
pub fn target_directory(workspace: &Path) -> PathBuf {
    let set = env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty());
    set.map_or_else(|| workspace.join("target"), |set| workspace.join(set))
}
