//! Whose filters are whose: handles of TC filters, and sockets by which a living agent holds its own.
//!
//! Netlink filters outlive their agent, and two agents may share a device. A process id tells neither across
//! containers, where every agent is process 1. So an agent binds an abstract Unix socket that is named for its filters'
//! handle, in the namespace of the filters: the kernel closes it with the process, however that ends, and not before.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    thread,
    time::{Duration, Instant},
};

use crate::random;

/// The name that whoever changes qdiscs holds meanwhile.
const TURN: &str = "shadow-agent/tc";
/// Changes are requests to the kernel: whoever takes longer is no agent at work.
const TURN_LIMIT: Duration = Duration::from_secs(2);

/// The number of an agent's filters on one device: `0x53`, a bit, and 23 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

impl Handle {
    const MARK: u32 = 0x53 << 24;
    const QDISC: u32 = 1 << 23;
    const RANDOM: u32 = Self::QDISC - 1;

    fn random(qdisc_is_ours: bool) -> Self {
        let random = random::number() & Self::RANDOM;
        Self(Self::MARK | if qdisc_is_ours { Self::QDISC } else { 0 } | random)
    }

    /// If an agent may have chosen it.
    pub fn parse(handle: u32) -> Option<Self> {
        (handle & 0xff << 24 == Self::MARK).then_some(Self(handle))
    }

    /// Whether the qdisc came with an agent, so that the last of them takes it away again.
    pub const fn qdisc_is_ours(self) -> bool {
        self.0 & Self::QDISC != 0
    }

    /// As the kernel takes it.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A handle whose filters nobody else has while this lives.
#[derive(Debug)]
pub struct Claim {
    handle: Handle,
    _name: UnixDatagram,
}

impl Claim {
    /// A handle that is free; it says whether an agent brought the qdisc.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn new(qdisc_is_ours: bool) -> io::Result<Self> {
        loop {
            if let Some(claim) = Self::of(Handle::random(qdisc_is_ours))? {
                return Ok(claim);
            }
        }
    }

    /// Takes over a handle, unless the agent that chose it lives.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn of(handle: Handle) -> io::Result<Option<Self>> {
        let name = bind(&format!("{TURN}/{:08x}", handle.0))?;
        Ok(name.map(|name| Self { handle, _name: name }))
    }

    /// The handle.
    pub const fn handle(&self) -> Handle {
        self.handle
    }
}

/// Held while qdiscs and filters are changed, so that none is removed in which another agent is just setting up.
#[derive(Debug)]
pub struct Turn {
    _name: Option<UnixDatagram>,
}

impl Turn {
    /// Waits for it, but not for long: going on without it is better than not at all.
    pub fn wait() -> Self {
        let deadline = Instant::now() + TURN_LIMIT;
        loop {
            match bind(TURN) {
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                taken => return Self { _name: taken.ok().flatten() },
            }
        }
    }
}

/// Binds an abstract name of the thread's namespace; `None` if somebody holds it.
fn bind(name: &str) -> io::Result<Option<UnixDatagram>> {
    match UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_known_again_and_never_zero() {
        for qdisc_is_ours in [false, true] {
            let handle = Handle::random(qdisc_is_ours);
            assert_eq!(Handle::parse(handle.number()), Some(handle));
            assert_eq!(handle.qdisc_is_ours(), qdisc_is_ours);
        }
        for foreign in [0, 1, 0x8000_0000, 0x5200_0001, u32::MAX] {
            assert_eq!(Handle::parse(foreign), None);
        }
    }

    #[test]
    fn a_claim_holds_while_it_lives() {
        let claim = Claim::new(true).unwrap();
        let handle = claim.handle();
        assert!(Claim::of(handle).unwrap().is_none());
        drop(claim);
        assert!(Claim::of(handle).unwrap().is_some());
    }
}
