//! What most cases here begin with: a scene, and an agent that runs with a configuration.

use std::{fs, net::SocketAddr, path::Path, path::PathBuf, time::Duration};

use crate::common::{COPIES_LIMIT, SHADOW_LAB, scene};
use shadow_tests::{
    agent::{Agent, Options, Summary},
    lab::Family,
    load::Connection,
    scene::{Kind, Scene, Service},
    service::Received,
};

/// Where v3 listens, beside v2.
pub const V3: &str = "10.78.0.2:8090";

/// A scene with an agent.
pub struct Stage {
    pub agent: Agent,
    pub scene: Scene,
}

impl Stage {
    /// Both, or the reason to skip. In the configuration `$V2` and `$V3` stand for URLs.
    pub fn new(config: &str) -> Option<Self> {
        Some(Self::on(scene(Kind::Plain)?, config))
    }

    /// An agent with this configuration in a scene.
    pub fn on(scene: Scene, config: &str) -> Self {
        Self::with(scene, config, &[])
    }

    /// The same with more arguments.
    pub fn with(scene: Scene, config: &str, more: &[&str]) -> Self {
        let options = Options::file(write(&scene, config)).with(more);
        let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
        Self { agent, scene }
    }

    /// Sends these over one connection, each after the answer to the one before.
    pub fn talk(&self, requests: &[Vec<u8>]) {
        talk(&self.scene, Family::V4, requests);
    }

    /// What v2 received once that is so many, and no more until the agent has ended, whose ledgers balance.
    pub fn finish(self, copies: usize) -> (Vec<Received>, Summary) {
        self.scene.v2.wait_for(copies, COPIES_LIMIT).unwrap();
        let summary = stop(self.agent);
        let received = self.scene.v2.received().unwrap();
        assert_eq!(received.len(), copies, "{summary:?}");
        (received, summary)
    }
}

/// Ends an agent, whose ledgers balance.
pub fn stop(agent: Agent) -> Summary {
    let (log, summary) = agent.stop_with_log().unwrap();
    assert!(summary.balances(), "{summary:?}\n{}", log.join("\n"));
    summary
}

/// Where [`Stage::new`] puts the configuration: written again, it is there for a reload.
pub fn write(scene: &Scene, config: &str) -> PathBuf {
    let v2 = format!("http://{}", scene.v2_address(Family::V4));
    let path = scene.lab.directory().join("shadow.yaml");
    fs::write(&path, config.replace("$V2", &v2).replace("$V3", &format!("http://{V3}"))).unwrap();
    path
}

/// A third service, which records as v2 does.
pub fn v3(scene: &Scene) -> Service {
    service(scene, "v3", V3, &[])
}

/// One more service in v2's namespace.
pub fn service(scene: &Scene, name: &str, address: &str, more: &[&str]) -> Service {
    let address: SocketAddr = address.parse().unwrap();
    Service::with(&scene.lab, &scene.lab.v2, name, Path::new(SHADOW_LAB), address, more).unwrap()
}

/// Sends these over one connection, each after the answer to the one before.
pub fn talk(scene: &Scene, family: Family, requests: &[Vec<u8>]) {
    let all = async {
        let mut client = Connection::open(scene.v1_address(family)).await?;
        for request in requests {
            let status = client.ask(request).await?.status;
            anyhow::ensure!(status == 200, "status {status}");
        }
        Ok(())
    };
    as_client(scene, || block_on(all)).unwrap();
}

/// Runs this where clients are.
pub fn as_client<T: Send>(
    scene: &Scene,
    client: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    scene.lab.client.run(client)
}

/// Runs a future on this thread.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// `GET target`, with these whole header lines; Host is `shop.example` unless among them.
pub fn get(target: &str, headers: &[&str]) -> Vec<u8> {
    request("GET", target, headers, "")
}

/// `POST target` with a body.
pub fn post(target: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    request("POST", target, &[headers, &[&length]].concat(), body)
}

/// A request as it is on the wire.
pub fn request(method: &str, target: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let has_host = headers.iter().any(|line| line.to_ascii_lowercase().starts_with("host:"));
    let host = if has_host { "" } else { "Host: shop.example\r\n" };
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\n{host}{lines}\r\n{body}").into_bytes()
}

/// The targets in the order received.
pub fn targets(copies: &[Received]) -> Vec<&str> {
    copies.iter().map(|copy| &*copy.target).collect()
}

/// The same, sorted: copies of one connection need not arrive in its order.
pub fn sorted(copies: &[Received]) -> Vec<&str> {
    let mut targets = targets(copies);
    targets.sort_unstable();
    targets
}

/// The copy of the request for this target.
pub fn copy_of<'a>(copies: &'a [Received], target: &str) -> &'a Received {
    copies.iter().find(|copy| copy.target == target).unwrap_or_else(|| panic!("no {target} in {copies:?}"))
}

/// How often something was dropped.
pub fn dropped(summary: &Summary, reason: &str) -> u64 {
    summary.requests.dropped.get(reason).copied().unwrap_or(0)
}

/// How often something failed.
pub fn failed(summary: &Summary, reason: &str) -> u64 {
    summary.requests.failed.get(reason).copied().unwrap_or(0)
}

/// Waits until v2 has received so many.
pub fn wait(scene: &Scene, copies: usize) {
    let received = scene.v2.wait_for(copies, COPIES_LIMIT).unwrap().len();
    assert!(received >= copies, "v2 received {received} of {copies}");
}

/// Asks every few milliseconds until it is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    shadow_tests::child::poll(Duration::from_secs(15), what, || Ok(so().then_some(()))).unwrap();
}
