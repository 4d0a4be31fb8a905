//! `shadow-agent tap` and `replay` as users run them, and what they print.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::agent::binary;

/// Header fields as they were sent: name and value.
pub type Fields = Vec<(String, String)>;

/// An exchange as `tap --format json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// `client>server`, each with its port.
    pub flow: String,
    /// The HTTP/2 stream.
    pub stream: Option<u32>,
    /// `HTTP/1.1`; like all that the head says, none where that wasn't seen whole.
    pub protocol: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The Host, or the authority in the target.
    pub authority: Option<String>,
    /// The target as sent.
    pub target: Option<String>,
    /// The request's headers.
    pub headers: Option<Fields>,
    /// The size of its body without transfer coding.
    pub body_bytes: u64,
    /// The SHA-256 of the same in hexadecimal digits; none where it isn't known to its end.
    pub body_sha256: Option<String>,
    /// `complete`, or a drop reason.
    pub outcome: String,
    /// The answer, if its head was seen.
    pub response: Option<Answer>,
}

/// The answer in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Fields,
    /// The size of the body without transfer coding.
    pub body_bytes: u64,
    /// The SHA-256 of the same in hexadecimal digits; none where it isn't known to its end.
    pub body_sha256: Option<String>,
}

impl Listed {
    /// Whether the request is there to its last byte.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outcome == "complete"
    }

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|answer| answer.status)
    }

    /// The target, empty where it isn't known.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    /// The first value of a request's header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().flatten().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The SHA-256 of bytes as [`Listed`] shows it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory for a test's files, gone with it; its name is that of a lab's, so that what a killed run leaves is
/// swept.
///
/// # Errors
/// It can't be made.
pub fn directory() -> Result<TempDir> {
    let prefix = format!("shadow-{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().context("a directory for the test's files")
}

/// `shadow-agent tap` with these arguments.
///
/// # Errors
/// There is no agent.
pub fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.arg("tap").args(arguments);
    Ok(command)
}

/// The exchanges that it lists of a capture file.
///
/// # Errors
/// It fails, takes longer than a minute, or prints anything else.
pub fn list(capture: &Path, more: &[&str]) -> Result<Vec<Listed>> {
    let path = capture.display().to_string();
    let output = run(command(&["--pcap", &path, "--format", "json"])?.args(more), None)?;
    if !output.status.success() {
        bail!("tap --pcap {path}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    parse(&output.stdout)
}

/// Reads lines of JSON.
///
/// # Errors
/// A line is no exchange.
pub fn parse(lines: &[u8]) -> Result<Vec<Listed>> {
    let text = std::str::from_utf8(lines).context("tap's output")?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("tap printed: {line}")))
        .collect()
}

/// Runs a program to its end, with this on its standard input.
///
/// # Errors
/// It doesn't start, or runs for more than a minute.
pub fn run(command: &mut Command, input: Option<Vec<u8>>) -> Result<Output> {
    const LIMIT: Duration = Duration::from_secs(60);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("it did not start")?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // One that doesn't want it all closes its end.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    let reader = thread::spawn(move || child.wait_with_output());
    let deadline = Instant::now() + LIMIT;
    while !reader.is_finished() {
        if Instant::now() >= deadline {
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
            bail!("it still ran after {LIMIT:?}: {command:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    reader.join().ok().context("the thread that reads")?.context("its output")
}

/// Writes a capture into a test's directory.
///
/// # Errors
/// It can't be written.
pub fn save(directory: &TempDir, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
