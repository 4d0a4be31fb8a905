//! `ctl` against the real server, with an agent that does nothing behind it.

use std::{fs, os::unix::net::UnixListener, sync::Arc};

use clap::Parser as _;

use super::*;
use crate::{
    admin::{AdminServer, ControlError, Listeners, testing::Directory, testing::FakeAgent},
    cli::args::{Cli, Command},
    config::{AdminConfig, AdminSocket},
};

/// Agents that serve in a directory.
struct Agents {
    runtime: tokio::runtime::Runtime,
    directory: Directory,
    servers: Vec<AdminServer>,
}

impl Agents {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, directory: Directory::new(), servers: Vec::new() }
    }

    fn add(&mut self, name: &str, routes: &[&'static str]) -> Arc<FakeAgent> {
        let agent = Arc::new(FakeAgent::new(routes));
        let socket = AdminSocket::At(self.path(name));
        let listeners = Listeners::bind(&AdminConfig { socket, ..AdminConfig::default() }).unwrap();
        let _runtime = self.runtime.enter();
        self.servers.push(listeners.serve(agent.clone()).unwrap());
        agent
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn ctl(&self, arguments: &str) -> Result<String, String> {
        args(arguments).answer(self.directory.path()).map_err(|error| error.to_string())
    }
}

fn args(arguments: &str) -> CtlArgs {
    match Cli::try_parse_from(["shadow-agent", "ctl"].into_iter().chain(arguments.split_whitespace())) {
        Ok(Cli { command: Command::Ctl(arguments) }) => arguments,
        other => panic!("not `ctl`: {other:?}"),
    }
}

#[test]
fn every_command_reaches_the_only_agent() {
    let mut agents = Agents::new();
    let agent = agents.add("1.sock", &["pets"]);
    for (arguments, told, printed) in [
        ("rate pets 25%", "rate pets 25%", "pets: 25% from now on\n"),
        ("rate pets/v2 0.5", "rate pets/v2 0.5%", "pets/v2: 0.5% from now on\n"),
        ("rate 100%", "rate pets 100%", "pets: 100% from now on\n"),
        ("pause", "paused true", "paused: no new request is mirrored\n"),
        ("resume", "paused false", "requests are mirrored again\n"),
        ("reload", "reload", "the configuration was read again and is in effect\n"),
        ("pause --json", "paused true", "{\"paused\":true}\n"),
    ] {
        assert_eq!(agents.ctl(arguments).as_deref(), Ok(printed));
        assert_eq!(agent.take_told(), [told]);
    }
    let status = agents.ctl("status").unwrap();
    assert!(status.starts_with("agent     1.2.3, process 42,") && status.contains("TC of eth0"), "{status}");
    let routes = agents.ctl("routes").unwrap();
    assert!(routes.lines().nth(1).is_some_and(|line| line.starts_with("pets   everything")), "{routes}");
    let json: serde_json::Value = serde_json::from_str(&agents.ctl("--json status").unwrap()).unwrap();
    assert_eq!(json["pid"], 42);
}

#[test]
fn a_refusal_is_told_in_the_agents_words() {
    let mut agents = Agents::new();
    let agent = agents.add("1.sock", &["pets", "dogs"]);
    agent.refuse(Some(ControlError::Invalid("a.yaml:3:1: no key\n`rute`".to_owned())));
    assert_eq!(agents.ctl("reload").unwrap_err(), "a.yaml:3:1: no key `rute`");
    let error = agents.ctl("rate 5%").unwrap_err();
    assert!(error.contains("name one of \"pets\", \"dogs\""), "{error}");
}

#[test]
fn several_agents_are_listed_and_dead_ones_do_not_count() {
    let mut agents = Agents::new();
    let error = agents.ctl("status").unwrap_err();
    assert!(error.contains("is an agent running, and are you root?"), "{error}");
    drop(UnixListener::bind(agents.path("0.sock")).unwrap());
    let error = agents.ctl("status").unwrap_err();
    assert!(error.contains("nobody listens on") && error.contains("0.sock"), "{error}");
    agents.add("1.sock", &["pets"]);
    assert!(agents.ctl("status").is_ok(), "the one that lives");
    let second = agents.add("2.sock", &["pets"]);
    let error = agents.ctl("pause").unwrap_err();
    for name in ["1.sock", "2.sock"] {
        let listed = format!("--socket {} (TC of eth0)", agents.path(name).display());
        assert!(error.contains(&listed), "{error}");
    }
    assert!(!error.contains("0.sock"), "{error}");
    agents.ctl(&format!("pause --socket {}", agents.path("2.sock").display())).unwrap();
    assert_eq!(second.take_told(), ["paused true"]);
}

#[test]
fn what_stands_in_the_way_is_said() {
    let agents = Agents::new();
    let missing = agents.path("x.sock");
    let error = agents.ctl(&format!("status --socket {}", missing.display())).unwrap_err();
    assert!(error.contains("there is no socket") && error.contains("is the agent running?"), "{error}");
    let error = CtlError::of(&missing, io::ErrorKind::PermissionDenied.into()).to_string();
    assert!(error.contains("run this as root"), "{error}");
    fs::remove_dir_all(agents.directory.path()).unwrap();
    let error = agents.ctl("status").unwrap_err();
    assert!(error.contains("is an agent running, and are you root?"), "{error}");
}

#[test]
fn what_is_no_agent_is_not_taken_for_one() {
    use std::io::{Read as _, Write as _};
    let agents = Agents::new();
    let path = agents.path("1.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    });
    let error = agents.ctl("status").unwrap_err();
    assert!(error.contains("no agent of this version"), "{error}");
    other.join().unwrap();
}

#[test]
fn wrong_usage_is_refused() {
    for arguments in ["", "rate", "rate pets", "rate a b c", "rate pets 101%", "pause now", "faster"] {
        let all = ["shadow-agent", "ctl"].into_iter().chain(arguments.split_whitespace());
        assert!(Cli::try_parse_from(all).is_err(), "{arguments}");
    }
}
