//! Network namespaces whose names carry the process that made them, so that leftovers of a dead one can be told.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{self, Signal},
    unistd::Pid,
};

const PREFIX: &str = "shadow-";
/// Where `ip netns` keeps the names.
const DIRECTORY: &str = "/run/netns";
/// Where `ip netns exec` finds files that a namespace's programs see in place of those in /etc.
const ETC: &str = "/etc/netns";

/// Whether this process is ending and may make nothing more.
static ENDING: Mutex<bool> = Mutex::new(false);

/// A namespace that is deleted, with the devices in it, when it is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes `shadow-<pid>-<lab>-<role>`.
    ///
    /// # Errors
    /// Not root, or `ip` fails, or [`remove_own`] was called.
    pub fn create(lab: u32, role: &str) -> Result<Self> {
        let _creating = creating()?;
        let name = format!("{PREFIX}{}-{lab}-{role}", std::process::id());
        ip(&["netns", "add", &name])?;
        Ok(Self { name })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path by which others enter it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// Runs lines of `ip` in it.
    ///
    /// # Errors
    /// A line fails.
    pub fn ip(&self, lines: &[&str]) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-netns", &self.name, "-batch", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(lines.join("\n").as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("ip in {}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// The file /etc/`name` as the namespace's programs see it that start from now on.
    ///
    /// # Errors
    /// It can't be written, or [`remove_own`] was called.
    pub fn etc(&self, name: &str, text: &str) -> Result<()> {
        let _creating = creating()?;
        let directory = Path::new(ETC).join(&self.name);
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        fs::write(directory.join(name), text).with_context(|| format!("write {name} of {}", self.name))
    }

    /// A command that will run in it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }

    /// Runs this on a thread of its own inside the namespace; sockets made there belong to it.
    ///
    /// # Errors
    /// The namespace can't be entered, or what `inside` says.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = File::open(self.path()).context("open the namespace")?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET).context("enter the namespace")?;
                inside()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Deletes a namespace after whatever still runs in it; errors mean that it is gone.
fn remove(name: &str) {
    let pids = Command::new("ip").args(["netns", "pids", name]).output().map(|output| output.stdout);
    for pid in String::from_utf8_lossy(&pids.unwrap_or_default()).lines() {
        if let Some(pid) = pid.trim().parse().ok().filter(|&pid: &i32| pid > 1) {
            let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    let _ = ip(&["netns", "delete", name]);
    let _ = fs::remove_dir_all(Path::new(ETC).join(name));
}

/// Deletes the namespaces and directories of labs whose process is gone.
pub fn sweep() {
    remove_those(|pid| !Path::new("/proc").join(pid.to_string()).exists());
}

/// Deletes everything that this process has made and lets it make no more, for an end by a signal.
pub fn remove_own() {
    *ENDING.lock().unwrap_or_else(PoisonError::into_inner) = true;
    let own = std::process::id();
    remove_those(|pid| pid == own);
}

fn remove_those(condemned: impl Fn(u32) -> bool) {
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| owner(name).is_some_and(&condemned)).collect()
    };
    for name in [DIRECTORY, ETC].into_iter().flat_map(|directory| names(Path::new(directory))) {
        remove(&name);
    }
    for name in names(&std::env::temp_dir()) {
        let _ = fs::remove_dir_all(std::env::temp_dir().join(name));
    }
}

/// The process in `shadow-<pid>-…`.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Makes the directory for a lab's files, named like its namespaces.
///
/// # Errors
/// It can't be made, or [`remove_own`] was called.
pub fn create_directory(lab: u32) -> Result<PathBuf> {
    let _creating = creating()?;
    let directory = std::env::temp_dir().join(format!("{PREFIX}{}-{lab}-files", std::process::id()));
    fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
    Ok(directory)
}

/// Held while something is made, so that it is either there to be removed or not made at all.
fn creating() -> Result<MutexGuard<'static, bool>> {
    let ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
    if *ending {
        bail!("this process is ending");
    }
    Ok(ending)
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip did not start")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_labs_have_an_owner() {
        assert_eq!(owner("shadow-12-0-client"), Some(12));
        for other in ["shadow", "shadow-", "shadow-x-0-client", "shadow-12", "other-12-0-client"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
