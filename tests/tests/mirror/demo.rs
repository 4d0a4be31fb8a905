//! The demo passes, and leaves nothing behind, also when it is interrupted.

use std::{fs, process::Command, time::Duration};

use crate::common::{SHADOW_LAB, root};
use nix::sys::signal::Signal;
use shadow_tests::{
    agent::binary,
    child::{Child, poll},
};

fn demo(more: &[&str]) -> Command {
    let mut command = Command::new(SHADOW_LAB);
    command.args(["demo", "--json", "--agent"]).arg(binary().unwrap()).args(more);
    command
}

/// Names of the namespaces and files of a process.
fn left_by(pid: u32) -> Vec<String> {
    let entries = |directory: &std::path::Path| fs::read_dir(directory).into_iter().flatten().flatten();
    let all = entries("/run/netns".as_ref()).chain(entries(&std::env::temp_dir()));
    let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("shadow-{pid}-"))).collect()
}

#[test]
fn the_demo_passes_and_reports() {
    if !root() {
        return;
    }
    let output = demo(&["--requests", "200", "--connections", "10", "--rate", "400"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&said).expect(&said);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(report["passed"], true, "{said}");
    assert_eq!(
        (&report["v2"]["exact"], &report["real"]["with_agent"]["correct"]),
        (&200.into(), &200.into()),
        "{said}"
    );
    assert_eq!(report["v2"]["hosts"], serde_json::json!({ "shop.example-shadow": 200 }));
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    if !root() {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child =
            Child::spawn("the demo", &mut demo(&["--requests", "100000", "--rate", "200"])).unwrap();
        let pid = child.pid();
        poll(Duration::from_secs(10), "its lab", || Ok((left_by(pid).len() >= 4).then_some(()))).unwrap();
        child.signal(signal).unwrap();
        let status = child.wait(Duration::from_secs(10)).unwrap();
        assert_eq!(status.code(), Some(128 + signal as i32), "{:?}", child.stderr().all());
        assert_eq!(left_by(pid), Vec::<String>::new(), "after {signal}");
    }
}

/// Killed outright it can't clean up, but its processes end and the next lab sweeps.
#[test]
fn a_killed_demo_is_swept_by_the_next_lab() {
    if !root() {
        return;
    }
    let mut child = Child::spawn("the demo", &mut demo(&["--requests", "100000", "--rate", "200"])).unwrap();
    let pid = child.pid();
    poll(Duration::from_secs(10), "its lab", || Ok((left_by(pid).len() >= 4).then_some(()))).unwrap();
    child.signal(Signal::SIGKILL).unwrap();
    child.wait(Duration::from_secs(10)).unwrap();
    drop(shadow_tests::lab::Lab::new().unwrap());
    assert_eq!(left_by(pid), Vec::<String>::new());
}
