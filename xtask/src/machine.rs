//! The machine that xtask runs on: programs, rights, and processes whose output matters only when they fail.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use ebpf_toolchain::is_program;

/// A program in `PATH`, or where system programs are that are not in a user's `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|directory| directory.join(name)).find(|path| is_program(path))
}

/// Whether the effective user is root.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// The command as root: as it is, or by sudo. Without a terminal sudo may not ask for a password.
pub fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let sudo = self::program("sudo").context("this needs root, and there is no sudo")?;
    let mut command = Command::new(sudo);
    if !std::io::stdin().is_terminal() {
        command.arg("-n");
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// Whether [`as_root`] will work without anyone typing a password, or someone is there to type it.
pub fn can_become_root() -> bool {
    if is_root() {
        return true;
    }
    let Some(sudo) = program("sudo") else { return false };
    let quiet = Command::new(sudo).args(["-n", "true"]).output().is_ok_and(|output| output.status.success());
    quiet || std::io::stdin().is_terminal()
}

/// The cargo that runs us, so that every part is built by the same.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end in silence; the error carries the last lines of what it said.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let shown = describe(command);
    let output = command.output().with_context(|| format!("`{shown}` did not start"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    bail!("`{shown}`: {}{}{last}", output.status, if last.is_empty() { "" } else { ": " });
}

/// The command as one would type it.
pub fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
