//! What every end-to-end test needs.

#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

use std::{path::Path, sync::mpsc, thread, time::Duration};

use shadow_tests::{
    agent::{Agent, Options, Summary},
    compare::compare,
    lab::Family,
    load::{Connection, Load, Report},
    netns::Namespace,
    plan::Plan,
    scene::{Kind, Scene},
    service::Received,
};

/// The lab's program, which runs the services.
pub const SHADOW_LAB: &str = env!("CARGO_BIN_EXE_shadow-lab");

/// How long copies may take to arrive; far more than they need.
pub const COPIES_LIMIT: Duration = Duration::from_secs(20);

/// Whether the test can run; says why not.
pub fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}

/// A lab with services of this kind, or the reason to skip.
pub fn scene(kind: Kind) -> Option<Scene> {
    root().then(|| Scene::new(Path::new(SHADOW_LAB), kind).unwrap())
}

/// What a mirrored load led to.
pub struct Mirrored {
    pub report: Report,
    pub copies: Vec<Received>,
    pub summary: Summary,
    pub log: Vec<String>,
}

/// Runs a load while an agent mirrors it, waits for `expected` copies and stops the agent.
pub fn mirror(scene: &Scene, options: &Options, load: &Load, expected: usize) -> Mirrored {
    let agent = Agent::start(&scene.lab.gateway, options).unwrap();
    follow(scene, agent, &scene.lab.client, load, expected)
}

/// The same with an agent that runs already, and users anywhere.
pub fn follow(scene: &Scene, agent: Agent, users: &Namespace, load: &Load, expected: usize) -> Mirrored {
    let report = load.run(users).unwrap();
    scene.v2.wait_for(expected, COPIES_LIMIT).unwrap();
    let (log, summary) = agent.stop_with_log().unwrap();
    // Read again: copies beyond the expected ones may have come until the agent ended.
    let copies = scene.v2.received().unwrap();
    Mirrored { report, copies, summary, log }
}

/// Clients with long connections: each sends `requests` for `/CONNECTION/NUMBER` one after another. After the first
/// answers have come on all of them, `meanwhile` is called, on this thread: what it starts lives on.
pub fn keep_asking<T>(
    scene: &Scene,
    family: Family,
    connections: usize,
    requests: usize,
    meanwhile: impl FnOnce() -> T,
) -> T {
    let address = scene.v1_address(family);
    in_the_middle(scene, meanwhile, |pause| {
        let ask = async {
            let mut open = Vec::new();
            for number in 0..connections {
                let mut connection = Connection::open(address).await?;
                get(&mut connection, number, 0).await?;
                open.push(connection);
            }
            pause();
            for request in 1..requests {
                for (number, connection) in open.iter_mut().enumerate() {
                    get(connection, number, request).await?;
                }
            }
            Ok(())
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ask)
    })
}

/// Runs `users` where clients are; where they pause, `meanwhile` is called on this thread: what it starts lives on.
pub fn in_the_middle<T>(
    scene: &Scene,
    meanwhile: impl FnOnce() -> T,
    users: impl FnOnce(&dyn Fn()) -> anyhow::Result<()> + Send,
) -> T {
    let (paused, pausing) = mpsc::channel();
    let (resume, resumed) = mpsc::channel();
    thread::scope(|scope| {
        let client = scope.spawn(move || {
            scene.lab.client.run(move || {
                users(&|| {
                    paused.send(()).unwrap();
                    resumed.recv().unwrap();
                })
            })
        });
        // If the users failed before, they say why below.
        let result = pausing.recv().map(|()| meanwhile());
        let _ = resume.send(());
        client.join().unwrap().unwrap();
        result.unwrap()
    })
}

async fn get(connection: &mut Connection, number: usize, request: usize) -> anyhow::Result<()> {
    let wire = format!("GET /{number}/{request} HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = connection.ask(wire.as_bytes()).await?;
    anyhow::ensure!(answer.status == 200, "status {}", answer.status);
    Ok(())
}

impl Mirrored {
    /// One of the kernel's counters.
    pub fn count(&self, name: &str) -> u64 {
        self.summary.kernel[name].as_u64().unwrap()
    }

    /// Every real request was answered rightly, and the ledgers balance.
    pub fn assert_users_and_ledger(&self, requests: u32) {
        self.assert_users(requests);
        assert!(self.summary.balances(), "{}", self.describe());
    }

    /// Every real request was answered rightly.
    pub fn assert_users(&self, requests: u32) {
        assert_eq!(
            (self.report.correct, &self.report.errors),
            (requests, &Vec::new()),
            "{}",
            self.describe()
        );
    }

    /// The same, and v2 received each request once and as it was sent.
    pub fn assert_exact(&self, plan: &Plan, requests: u32) {
        self.assert_users_and_ledger(requests);
        let verdict = compare(plan, requests, &self.copies);
        let found = (verdict.exact, &verdict.wrong, &verdict.missing);
        assert_eq!(found, (requests as usize, &Vec::new(), &Vec::new()), "{}", self.describe());
        let ledger = &self.summary.requests;
        assert_eq!(
            (ledger.sampled, ledger.mirrored),
            (requests.into(), requests.into()),
            "{}",
            self.describe()
        );
    }

    /// What to read when something is wrong.
    pub fn describe(&self) -> String {
        format!("{}\n{}", serde_json::to_string_pretty(&self.summary).unwrap(), self.log.join("\n"))
    }
}
