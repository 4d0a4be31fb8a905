//! A lab with v1 and v2 in place: what a test, or the demo, begins with.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    child::{Child, poll},
    lab::{Family, Lab, PORT},
    netns::Namespace,
    nginx::{BEHIND, Nginx},
    service::{INCOMPLETE, Received, read_record},
};

/// Namespaces, v1 and v2.
#[derive(Debug)]
pub struct Scene {
    /// The real service.
    pub v1: Service,
    /// The service that receives copies.
    pub v2: Service,
    /// The namespaces; after the services, so that these end first.
    pub lab: Lab,
}

/// What answers on a service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The lab's own service.
    Plain,
    /// nginx before the lab's own service.
    Nginx,
}

/// A running service that records what it receives.
#[derive(Debug)]
pub struct Service {
    record: PathBuf,
    /// nginx, if it is in front.
    pub nginx: Option<Nginx>,
    process: Child,
}

impl Scene {
    /// Builds a lab with v1 and v2 of this kind, their services run by the program `shadow-lab`.
    ///
    /// # Errors
    /// Not root, or something does not start.
    pub fn new(shadow_lab: &Path, kind: Kind) -> Result<Self> {
        let lab = Lab::new()?;
        let v1 = Service::start(&lab, &lab.gateway, "v1", shadow_lab, kind)?;
        let v2 = Service::start(&lab, &lab.v2, "v2", shadow_lab, kind)?;
        Ok(Self { v1, v2, lab })
    }

    /// Where clients reach v1.
    #[must_use]
    pub fn v1_address(&self, family: Family) -> SocketAddr {
        self.lab.v1_address(family)
    }

    /// Where the agent reaches v2.
    #[must_use]
    pub fn v2_address(&self, family: Family) -> SocketAddr {
        self.lab.v2_address(family)
    }
}

impl Service {
    fn start(lab: &Lab, namespace: &Namespace, name: &str, shadow_lab: &Path, kind: Kind) -> Result<Self> {
        let address = match kind {
            // Both address families on one socket.
            Kind::Plain => SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), PORT),
            Kind::Nginx => BEHIND.parse().context("an address")?,
        };
        let mut service = Self::at(lab, namespace, name, shadow_lab, address)?;
        service.nginx = (kind == Kind::Nginx).then(|| Nginx::start(lab, namespace, name)).transpose()?;
        Ok(service)
    }

    /// Starts the lab's own service at an address; `name` is its alone in the lab.
    ///
    /// # Errors
    /// It doesn't listen.
    pub fn at(
        lab: &Lab,
        namespace: &Namespace,
        name: &str,
        shadow_lab: &Path,
        address: SocketAddr,
    ) -> Result<Self> {
        Self::with(lab, namespace, name, shadow_lab, address, &[])
    }

    /// The same with more arguments, as `shadow-lab serve` takes them.
    ///
    /// # Errors
    /// It doesn't listen.
    pub fn with(
        lab: &Lab,
        namespace: &Namespace,
        name: &str,
        shadow_lab: &Path,
        address: SocketAddr,
        more: &[&str],
    ) -> Result<Self> {
        let record = lab.directory().join(format!("{name}.jsonl"));
        let path = record.display().to_string();
        let more = [&["--record", &path], more].concat();
        let process = serve(lab, namespace, shadow_lab, &[address], &more)?;
        Ok(Self { record, nginx: None, process })
    }

    /// The file to which it writes each request as a line.
    #[must_use]
    pub fn record(&self) -> &Path {
        &self.record
    }

    /// The requests whose body didn't come to its end: a line for each.
    #[must_use]
    pub fn incomplete(&self) -> Vec<String> {
        let said = self.process.stderr().all();
        said.into_iter().filter(|line| line.starts_with(INCOMPLETE)).collect()
    }

    /// What it has received so far.
    ///
    /// # Errors
    /// Its record can't be read.
    pub fn received(&self) -> Result<Vec<Received>> {
        read_record(&self.record)
    }

    /// What it has received, once that is `count` requests, or after the limit whatever there is.
    ///
    /// # Errors
    /// Its record can't be read.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<Received>> {
        let enough = || Ok((fs::read_to_string(&self.record)?.matches('\n').count() >= count).then_some(()));
        // What is missing shows in what was received.
        let _ = poll(limit, "copies at v2", enough);
        self.received()
    }
}

/// Starts `shadow-lab serve` in a namespace and waits until it listens.
///
/// # Errors
/// It does not.
pub fn serve(
    lab: &Lab,
    namespace: &Namespace,
    shadow_lab: &Path,
    addresses: &[SocketAddr],
    more: &[&str],
) -> Result<Child> {
    let mut command = namespace.command(shadow_lab);
    command.arg("serve");
    for address in addresses {
        command.args(["--listen", &address.to_string()]);
    }
    let service = Child::spawn(&format!("the service in {}", namespace.name()), command.args(more))?;
    for address in addresses {
        lab.wait_for_listener(namespace, reachable(*address))?;
    }
    Ok(service)
}

fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port());
    }
    address
}
