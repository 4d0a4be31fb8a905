//! The doctor tells what is there, and is right about whether `run` would work.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should panic")]

#[path = "../common/mod.rs"]
mod common;

mod agree;
mod traffic;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{self, NlOptions, TcAttachOptions},
};
use common::scene;
use serde::Deserialize;
use shadow_tests::{
    agent::{Agent, Options, binary},
    attached::Attached,
    lab::{Family, NIC},
    netns::Namespace,
    scene::{Kind, Scene},
};
use shadow_userspace::capture::{AttachMode, EXPORT, Kernel, LiveOptions, MIN_RING, load};

#[derive(Debug, Deserialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    status: String,
    found: String,
    advice: Option<String>,
}

impl Report {
    fn check(&self, name: &str) -> &Check {
        self.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    fn problems(&self) -> Vec<&Check> {
        self.checks.iter().filter(|check| check.status == "problem").collect()
    }
}

impl Check {
    fn advises(&self, words: &str) -> bool {
        self.advice.as_ref().is_some_and(|advice| advice.contains(words))
    }
}

/// What it reports on stdout; the exit code must say the same, and stderr nothing.
fn report(command: &mut Command) -> Report {
    let output = command.arg("--json").output().unwrap();
    let (stdout, stderr) = texts(&output);
    let report: Report =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    assert_eq!((output.status.code(), stderr.as_str()), (Some(i32::from(!report.ok)), ""), "{report:?}");
    assert_eq!(report.ok, report.problems().is_empty(), "{report:?}");
    for check in &report.checks {
        assert_eq!(check.advice.is_none(), ["ok", "note"].contains(&check.status.as_str()), "{check:?}");
    }
    report
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The doctor in the gateway.
fn doctor(scene: &Scene, arguments: &[&str]) -> Command {
    doctor_in(&scene.lab.gateway, arguments)
}

fn doctor_in(namespace: &Namespace, arguments: &[&str]) -> Command {
    let mut command = namespace.command(binary().unwrap());
    command.arg("doctor").args(arguments);
    command
}

#[test]
fn a_healthy_gateway_is_ok_and_left_as_it_was() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let report = report(&mut doctor(&scene, &["--interface", NIC]));
    assert!(report.ok, "{report:?}");
    for name in ["capabilities", "programs", "JIT", "nic0 link", "nic0 --attach auto, tc"] {
        assert_eq!(report.check(name).status, "ok", "{report:?}");
    }
    for mode in ["clsact", "xdp-native", "xdp-generic"] {
        assert_eq!(report.check(&format!("nic0 --attach {mode}")).status, "note", "{report:?}");
    }
    assert!(report.check("programs").found.contains("verified"), "{report:?}");
    assert_eq!(report.check("nic0 link").found, "up, veth, Ethernet, MTU 1500");
    assert!(report.check("nic0 offloads").found.contains("TSO on"), "{report:?}");
    assert_eq!(report.check("nic0 attached").found, "nothing");
    assert!(report.check("nic0 --attach xdp-native").found.contains("segmentation offload"), "{report:?}");
    assert!(Attached::on(&scene.lab.gateway, NIC).unwrap().is_nothing());
    Agent::start(&scene.lab.gateway, &Options::to(scene.v2_address(Family::V4))).unwrap().stop().unwrap();
}

#[test]
fn without_an_interface_those_that_are_up_are_listed() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let output = doctor(&scene, &[]).output().unwrap();
    let (stdout, _) = texts(&output);
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.contains("nic0 link") && stdout.contains("up0 link"), "{stdout}");
    assert!(!stdout.contains("lo link") && !stdout.contains('\x1b'), "{stdout}");
}

#[test]
fn an_unknown_interface_is_a_problem() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let report = report(&mut doctor(&scene, &["--interface", NIC, "--interface", "eth9"]));
    let problems = report.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].found.contains("eth9") && problems[0].advises(NIC), "{problems:?}");
}

#[test]
fn ports_need_an_interface() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let output = doctor(&scene, &["--port", "80"]).output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains("--interface"), "{stderr}");
    assert_eq!(stderr.trim().lines().count(), 1, "{stderr}");
}

/// A copy of the agent that everybody may run: the build's directory may be closed to others.
struct PublicAgent(PathBuf);

impl PublicAgent {
    fn new() -> Self {
        let agent = Self(std::env::temp_dir().join(format!("shadow-{}-doctor-agent", std::process::id())));
        fs::copy(binary().unwrap(), &agent.0).unwrap();
        fs::set_permissions(&agent.0, fs::Permissions::from_mode(0o755)).unwrap();
        agent
    }

    /// The agent in the gateway, with the rights that `setpriv` leaves.
    fn command(&self, scene: &Scene, rights: &[&str]) -> Command {
        let mut command = scene.lab.gateway.command("setpriv");
        command.args(rights).arg("--").arg(&self.0);
        command
    }
}

impl Drop for PublicAgent {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn missing_capabilities_are_named_as_run_names_them() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = PublicAgent::new();
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    for (rights, missing, may_look) in [
        (&nobody[..], "CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF", false),
        (&["--bounding-set", "-net_admin"], "CAP_NET_ADMIN", true),
        (&["--bounding-set", "-bpf,-sys_admin"], "CAP_BPF", true),
    ] {
        let mut doctor = agent.command(&scene, rights);
        let report = report(doctor.args(["doctor", "--interface", NIC, "--port", "80", "--for", "1ms"]));
        assert_eq!(report.problems().len(), 1, "{report:?}");
        assert_eq!(report.check("capabilities").found, format!("missing: {missing}"));
        let port = report.check("nic0 port 80");
        assert_eq!((port.status.as_str(), port.advises("CAP_NET_RAW")), ("warning", !may_look), "{port:?}");
        let mut run = agent.command(&scene, rights);
        run.args(["run", "--interface", NIC, "--port", "80", "--shadow", "http://10.78.0.2:80"]);
        let (_, stderr) = texts(&run.output().unwrap());
        assert!(stderr.contains(&format!("needs {missing}:")), "{stderr}");
    }
}

#[test]
fn what_is_attached_is_named() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let options = Options::to(scene.v2_address(Family::V4)).attach("xdp-native");
    let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
    let there = Attached::on(&scene.lab.gateway, NIC).unwrap();
    let report = report(&mut doctor(&scene, &["--interface", NIC]));
    let found = &report.check("nic0 attached").found;
    assert!(found.contains(&format!("XDP native {} shadow_tag", there.xdp[0])), "{found}");
    for (side, id) in ["ingress", "egress"].iter().zip(&there.tcx) {
        assert!(found.contains(&format!("TCX {side} {id} shadow_export")), "{found}");
    }
    assert!(report.check("nic0 --attach xdp-generic").found.contains("taken by XDP native"), "{report:?}");
    assert_eq!(Attached::on(&scene.lab.gateway, NIC).unwrap(), there);
    agent.stop().unwrap();
}

#[test]
fn filters_of_clsact_are_named() {
    let Some(scene) = scene(Kind::Plain) else { return };
    // As on kernels without TCX. The filter goes with the namespace.
    let mut programs = load(&nowhere(), &Kernel::detect().unwrap()).unwrap();
    let export: &mut SchedClassifier = programs.ebpf.program_mut(EXPORT).unwrap().try_into().unwrap();
    export.load().unwrap();
    let attach = || {
        tc::qdisc_add_clsact(NIC)?;
        let options = TcAttachOptions::Netlink(NlOptions::default());
        let link = export.attach_with_options(NIC, TcAttachType::Egress, options)?;
        // Dropped, it would be detached from the device of that number in this thread's own namespace.
        std::mem::forget(export.take_link(link)?);
        Ok(export.info()?.id())
    };
    let id = scene.lab.gateway.run(attach).unwrap();
    let report = report(&mut doctor(&scene, &["--interface", NIC]));
    let found = format!("TC filter egress bpf {id} shadow_export (a shadow-agent's)");
    assert_eq!(report.check("nic0 attached").found, found);
}

/// What loads and is attached to nothing.
fn nowhere() -> LiveOptions {
    LiveOptions { attach: AttachMode::Tc, ring_bytes: MIN_RING, max_flows: 1, ..LiveOptions::default() }
}
