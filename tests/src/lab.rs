//! Three namespaces and the wires between them.
//!
//! ```text
//!  client ── eth0 ═════ nic0 ── gateway ── up0 ═════ eth0 ── v2
//!  10.77.0.1        10.77.0.2 (v1)   10.78.0.1        10.78.0.2
//!  fd77::1          fd77::2          fd78::1          fd78::2
//! ```
//! The agent is attached to `nic0`; copies travel over `up0`, so they are not on the wire that is captured. Devices
//! exist in the namespaces only, with the settings the kernel gives them. [`Lab::another_client`] adds one behind `nic1`.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    child::poll,
    netns::{self, Namespace},
};

/// The gateway's device that faces the client.
pub const NIC: &str = "nic0";
/// The gateway's device that faces the client of [`Lab::another_client`].
pub const SECOND_NIC: &str = "nic1";
/// The port of the services v1 and v2.
pub const PORT: u16 = 8080;

/// The version of IP that clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The namespaces; dropped, everything is gone.
#[derive(Debug)]
pub struct Lab {
    /// Where users are.
    pub client: Namespace,
    /// Where v1 and the agent are.
    pub gateway: Namespace,
    /// Where v2 is.
    pub v2: Namespace,
    number: u32,
    directory: PathBuf,
}

impl Lab {
    /// Builds the lab, after sweeping what dead ones left.
    ///
    /// # Errors
    /// Not root, or `ip` fails.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        netns::sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = netns::create_directory(number)?;
        let client = Namespace::create(number, "client")?;
        let gateway = Namespace::create(number, "gateway")?;
        let v2 = Namespace::create(number, "v2")?;
        let lab = Self { client, gateway, v2, number, directory };
        lab.connect().context("connect the namespaces")?;
        Ok(lab)
    }

    fn connect(&self) -> Result<()> {
        self.gateway.ip(&["link set lo up"])?;
        self.wire(NIC, &self.client, 77, 2, 1)?;
        self.wire("up0", &self.v2, 78, 1, 2)
    }

    /// Connects the gateway with `far`, whose end is `eth0`, by a network of this number. No duplicate address
    /// detection: it would hold IPv6 back for a second.
    fn wire(&self, near: &str, far: &Namespace, network: u8, near_host: u8, far_host: u8) -> Result<()> {
        self.gateway.ip(&[
            &format!("link add {near} type veth peer name eth0 netns {}", far.name()),
            &format!("address add 10.{network}.0.{near_host}/24 dev {near}"),
            &format!("address add fd{network}::{near_host}/64 dev {near} nodad"),
            &format!("link set {near} up"),
        ])?;
        far.ip(&[
            &format!("address add 10.{network}.0.{far_host}/24 dev eth0"),
            &format!("address add fd{network}::{far_host}/64 dev eth0 nodad"),
            "link set lo up",
            "link set eth0 up",
        ])
    }

    /// A second client, 10.79.0.1, behind the gateway's [`SECOND_NIC`], 10.79.0.2. There can be one.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn another_client(&self) -> Result<Namespace> {
        let client = Namespace::create(self.number, "client2")?;
        self.wire(SECOND_NIC, &client, 79, 2, 1)?;
        Ok(client)
    }

    /// Where the lab's files are; gone with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where clients reach v1.
    #[must_use]
    pub fn v1_address(&self, family: Family) -> SocketAddr {
        match family {
            Family::V4 => SocketAddr::new(IpAddr::from([10, 77, 0, 2]), PORT),
            Family::V6 => SocketAddr::new(IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, 2]), PORT),
        }
    }

    /// Where the agent reaches v2.
    #[must_use]
    pub fn v2_address(&self, family: Family) -> SocketAddr {
        match family {
            Family::V4 => SocketAddr::new(IpAddr::from([10, 78, 0, 2]), PORT),
            Family::V6 => SocketAddr::new(IpAddr::from([0xfd78, 0, 0, 0, 0, 0, 0, 2]), PORT),
        }
    }

    /// Waits until something in `namespace` listens there.
    ///
    /// # Errors
    /// Nothing does in time.
    pub fn wait_for_listener(&self, namespace: &Namespace, address: SocketAddr) -> Result<()> {
        namespace.run(|| {
            poll(Duration::from_secs(10), &format!("a listener on {address}"), || {
                Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok().map(drop))
            })
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What is left is swept by the next lab.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
