//! tcpdump: captures of the lab's real traffic.

use std::{fs, net::SocketAddrV4, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::{
    child::{Child, poll},
    lab::Lab,
    netns::Namespace,
};

const LIMIT: Duration = Duration::from_secs(10);

/// A running tcpdump.
#[derive(Debug)]
pub struct Tcpdump {
    process: Child,
    path: PathBuf,
}

impl Tcpdump {
    /// Captures TCP in a namespace into the lab's file `name`, with more arguments, such as the interface.
    ///
    /// # Errors
    /// It doesn't start.
    pub fn start(lab: &Lab, namespace: &Namespace, name: &str, more: &[&str]) -> Result<Self> {
        let path = lab.directory().join(name);
        let mut command = namespace.command("tcpdump");
        // As root to the end: the lab's directory is root's. The buffer is large, so that nothing is lost.
        command.args(["-n", "-Z", "root", "-B", "16384", "-U", "-w"]).arg(&path).args(more).arg("tcp");
        let process = Child::spawn(&format!("tcpdump of {name}"), &mut command)?;
        process.stderr().wait_for("listening on", LIMIT)?;
        Ok(Self { process, path })
    }

    /// Ends it once it has written a packet towards this address, which is sent last, and returns its file. What it has
    /// not read when it ends would be lost.
    ///
    /// # Errors
    /// No such packet comes, it fails, or lost packets.
    pub fn stop_after(mut self, last: SocketAddrV4) -> Result<PathBuf> {
        let is_last =
            |bytes: &[u8]| bytes[..4] == last.ip().octets() && bytes[6..] == last.port().to_be_bytes();
        poll(LIMIT, &format!("a packet to {last} in {}", self.path.display()), || {
            // The end of an IPv4 header without options, and the ports.
            Ok(fs::read(&self.path)?.windows(8).any(is_last).then_some(()))
        })?;
        self.process.signal(Signal::SIGINT)?;
        let status = self.process.wait(LIMIT)?;
        let said = self.process.stderr().all().join("\n");
        ensure!(
            status.success() && said.contains("\n0 packets dropped by kernel"),
            "tcpdump: {status}\n{said}"
        );
        Ok(self.path)
    }
}
