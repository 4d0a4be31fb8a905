//! A point-to-point link without Ethernet, as VPNs have: a tun device in each of two namespaces, and threads that carry
//! packets between them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result};
use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::netns::Namespace;

/// The device's name at both ends.
pub const TUN: &str = "tun0";

/// The link; dropped, its devices are gone.
#[derive(Debug)]
pub struct Tunnel {
    stop: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<()>>,
}

impl Tunnel {
    /// Connects two namespaces; their addresses on it are 10.80.0.1 and 10.80.0.2.
    ///
    /// # Errors
    /// This kernel has no tun devices, or `ip` fails.
    pub fn between(first: &Namespace, second: &Namespace) -> Result<Self> {
        let ends = [(first, 1), (second, 2)].map(|(namespace, host)| {
            let end = namespace.run(|| open().context("make a tun device"))?;
            namespace
                .ip(&[&format!("address add 10.80.0.{host}/24 dev {TUN}"), &format!("link set {TUN} up")])?;
            anyhow::Ok(Arc::new(end))
        });
        let [first, second] = ends;
        let (first, second) = (first?, second?);
        let stop = Arc::<AtomicBool>::default();
        let carriers = [(&first, &second), (&second, &first)].map(|(from, to)| {
            let (from, to, stop) = (Arc::clone(from), Arc::clone(to), Arc::clone(&stop));
            thread::spawn(move || carry(&from, &to, &stop))
        });
        Ok(Self { stop, carriers: carriers.into() })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            // Its panic has been reported by itself.
            let _ = carrier.join();
        }
    }
}

/// Makes the device in the thread's namespace; it goes with the file.
fn open() -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(TUN.bytes()) {
        *to = from as libc::c_char;
    }
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    let mut request =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives until the call returns.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Each read and each write is one packet.
fn carry(mut from: &File, mut to: &File, stop: &AtomicBool) {
    let mut packet = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(50_u8)).is_ok_and(|ready| ready > 0)
            && let Ok(size) = from.read(&mut packet)
        {
            // What can't be delivered is lost, as on any network.
            let _ = to.write(&packet[..size]);
        }
    }
}
