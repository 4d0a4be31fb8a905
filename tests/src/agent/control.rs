//! The agent while it runs: what it is told by `ctl` and by signals, what it says over HTTP, what it takes.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::{Agent, binary};
use crate::netns::Namespace;

/// How long the admin API may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Memory of a process in bytes, as the kernel counts it: the ring's pages are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// The most that it was so far.
    pub peak: u64,
}

impl Agent {
    /// Its memory.
    ///
    /// # Errors
    /// It isn't running.
    pub fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let kib = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix(" kB"));
            line.with_context(|| format!("{name} in {path}"))?.trim().parse().context("a number of KiB")
        };
        Ok(Memory { resident: kib("VmRSS:")? << 10, peak: kib("VmHWM:")? << 10 })
    }

    /// The socket that `ctl` uses, where the agent puts it unless told.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/run/shadow-agent/{}.sock", self.pid()))
    }

    /// What `shadow-agent ctl` prints.
    ///
    /// # Errors
    /// It fails; the error is what it says.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(binary()?);
        let output = command.arg("ctl").arg("--socket").arg(self.socket()).args(arguments).output()?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            bail!("ctl {}: {} {}", arguments.join(" "), said(&output.stdout), said(&output.stderr));
        }
        Ok(said(&output.stdout))
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// It fails, or it isn't JSON.
    pub fn ctl_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.ctl(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("ctl {}: {text}", arguments.join(" ")))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// The signal can't be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits until it has logged a line with this text.
    ///
    /// # Errors
    /// It doesn't in time.
    pub fn wait_for_log(&self, text: &str, limit: Duration) -> Result<()> {
        self.process.stderr().wait_for(text, limit)
    }
}

/// Status and body of an answer to a request made from a namespace; `headers` are whole lines.
///
/// # Errors
/// There is none.
pub fn http(
    from: &Namespace,
    to: SocketAddr,
    request: &str,
    headers: &[&str],
    body: &str,
) -> Result<(u16, String)> {
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&to, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer's head")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status line")?;
        Ok((status, body.to_owned()))
    })
}
