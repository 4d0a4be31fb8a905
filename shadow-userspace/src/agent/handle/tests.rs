//! Changes that meet each other.

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, time::Duration};

use nix::{
    libc::O_NONBLOCK,
    sys::stat::Mode,
    unistd::{mkfifo, unlink},
};

use super::*;
use crate::shadow::testing::{config_to, upstream};

/// A file that hangs whoever reads it.
struct Hanging(PathBuf);

impl Hanging {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("shadow-{}-hanging.pem", std::process::id()));
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        Self(path)
    }

    /// Waits until somebody reads, who hangs for as long as what this gives is there.
    fn reached(&self) -> File {
        let began = Instant::now();
        loop {
            match File::options().write(true).custom_flags(O_NONBLOCK).open(&self.0) {
                Ok(file) => return file,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "nobody reads: {error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        unlink(&self.0).ok();
    }
}

/// An agent with this configuration, which reads the other when it is told to.
fn agent(config: Config, next: Config) -> Agent {
    let ledger = Ledger::new();
    let mirror = Mirror::new(&config, ledger.clone(), tokio::runtime::Handle::current()).unwrap();
    let load: Load = Box::new(move || Ok(next.clone()));
    Agent::new(Parts {
        origin: Origin { path: None, load: Some(load) },
        config,
        mirror,
        control: None,
        ledger,
        budget: MemoryBudget::new(1000),
        capture: Arc::default(),
        usage: None,
        first_bytes: None,
        attachment: String::new(),
    })
}

#[tokio::test]
async fn a_reload_takes_effect_as_a_whole_or_not_at_all() {
    let now = config_to(upstream("v2", "http://127.0.0.1:9".parse().unwrap()));
    let mut next = config_to(upstream("v3", "http://127.0.0.1:9".parse().unwrap()));
    let upstreams = |agent: &Agent| {
        let plan = agent.0.mirror.plan();
        plan.relays().iter().map(|relay| relay.options().clone()).collect::<Vec<_>>()
    };
    let both = agent(now.clone(), next.clone());
    assert_eq!(both.reload(), Ok(()));
    assert_eq!(
        (upstreams(&both), both.config().upstreams.clone()),
        (next.upstreams.clone(), next.upstreams.clone())
    );

    both.stops();
    assert!(matches!(both.reload(), Err(ControlError::Unsupported(_))));
    assert_eq!(both.readiness(), Readiness::Stopping);

    next.capture.max_flows += 1;
    let neither = agent(now.clone(), next);
    let error = neither.reload().unwrap_err();
    assert_eq!(error, ControlError::Invalid("restart to change capture.max_flows".to_owned()));
    assert_eq!(
        (upstreams(&neither), neither.config().capture.max_flows),
        (now.upstreams, now.capture.max_flows)
    );
    let status = neither.status();
    assert_eq!(status.last_reload.unwrap().error, Some(error.to_string()));
    assert_eq!((neither.metrics().reloads_ok, neither.metrics().reloads_failed), (0, 1));
}

#[test]
fn a_command_line_without_a_file_is_not_read_again() {
    for path in [None, Some(PathBuf::from("/shadow.yaml"))] {
        let is_file = path.is_some();
        let source = ConfigSource { path, overrides: Default::default(), is_live: false };
        assert_eq!(Origin::of(source).load.is_some(), is_file);
    }
}

#[tokio::test]
async fn a_reload_that_hangs_at_a_file_holds_up_nothing_else() {
    let config = config_to(upstream("v2", "http://127.0.0.1:9".parse().unwrap()));
    let hanging = Hanging::new();
    let mut other = config_to(upstream("v2", "https://127.0.0.1:9".parse().unwrap()));
    other.upstreams[0].tls.ca_file = Some(hanging.0.clone());
    let agent = agent(config, other);
    let (one, two) = (agent.clone(), agent.clone());
    let reloading = std::thread::spawn(move || one.reload());
    let hang = hanging.reached();
    let (told, changed) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(two.set_rate("default", "25%".parse().unwrap())));
    let changed = changed.recv_timeout(Duration::from_secs(5));
    drop(hang);
    let error = reloading.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("has no certificate"), "{error}");
    assert_eq!(changed, Ok(Ok(())));
}
