//! Whatever it is asked, the doctor finds a problem exactly where `run` fails.

use aya::programs::XdpMode;
use shadow_tests::{
    agent::{Agent, Options},
    attached::Attached,
    foreign::Foreign,
    lab::{Family, NIC},
    netns::Namespace,
    scene::{Kind, Scene},
    tunnel::{TUN, Tunnel},
};

use crate::{Report, common::scene, doctor_in, report};

const MODES: [&str; 5] = ["auto", "tc", "clsact", "xdp-native", "xdp-generic"];

/// Asks both with the same arguments; what the doctor said, and whether `run` started.
fn both(scene: &Scene, from: &Namespace, interface: &str, attach: &str, more: &[&str]) -> (Report, bool) {
    let mut doctor = doctor_in(from, &["--interface", interface, "--attach", attach]);
    let report = report(doctor.args(more));
    let options = Options::to(scene.v2_address(Family::V4)).on(&[interface]).attach(attach).with(more);
    let run = Agent::start(from, &options).map(|agent| agent.stop().unwrap());
    assert_eq!(report.ok, run.is_ok(), "{interface} {attach} {more:?}: {report:?} {run:?}");
    (report, run.is_ok())
}

/// Of every other mode nothing but a note is made.
fn assert_notes(report: &Report, interface: &str, attach: &str) {
    for other in MODES.iter().skip(2).filter(|other| **other != attach) {
        assert_eq!(report.check(&format!("{interface} --attach {other}")).status, "note", "{report:?}");
    }
}

#[test]
fn each_mode_on_veth() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let gateway = &scene.lab.gateway;
    for attach in MODES {
        let (report, runs) = both(&scene, gateway, NIC, attach, &[]);
        assert!(runs, "{attach}");
        assert_notes(&report, NIC, attach);
    }
    gateway.ip(&[&format!("link set {NIC} mtu 9000")]).unwrap();
    assert!(both(&scene, gateway, NIC, "xdp-native", &[]).1);
    assert!(Attached::on(gateway, NIC).unwrap().is_nothing());
}

/// Without Ethernet, and without native XDP.
#[test]
fn each_mode_on_other_devices() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let gateway = &scene.lab.gateway;
    let _tunnel = Tunnel::between(&scene.lab.client, gateway).unwrap();
    for (interface, refused) in [(TUN, &["xdp-native", "xdp-generic"][..]), ("lo", &["xdp-native"])] {
        for attach in MODES {
            let (report, runs) = both(&scene, gateway, interface, attach, &[]);
            assert_eq!(runs, !refused.contains(&attach), "{interface} {attach}");
            assert_notes(&report, interface, attach);
            let problems: Vec<_> = report.problems().iter().map(|check| check.name.clone()).collect();
            let expected = (!runs).then(|| format!("{interface} --attach {attach}"));
            assert_eq!(problems, Vec::from_iter(expected));
        }
    }
}

/// Where something of others is in the way, and where it isn't.
#[test]
fn beside_an_ingress_qdisc_and_an_xdp_program() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let gateway = &scene.lab.gateway;
    let _other = Foreign::xdp(gateway, NIC, XdpMode::Skb).unwrap();
    let status = gateway.command("tc").args(["qdisc", "add", "dev", NIC, "ingress"]).status().unwrap();
    assert!(status.success());
    for attach in MODES {
        let (report, runs) = both(&scene, gateway, NIC, attach, &[]);
        assert_eq!(runs, attach != "clsact");
        if attach.starts_with("xdp") {
            let check = report.check(&format!("{NIC} --attach {attach}"));
            assert!(check.status == "warning" && check.found.contains("taken by XDP generic"), "{check:?}");
        }
    }
}

/// The interfaces, and what is attached to them, are those of the namespace that is named.
#[test]
fn in_another_namespace() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let gateway = scene.lab.gateway.path();
    let netns = ["--netns", gateway.to_str().unwrap()];
    let agent = Agent::start(&scene.lab.gateway, &Options::to(scene.v2_address(Family::V4))).unwrap();
    let (report, runs) = both(&scene, &scene.lab.v2, NIC, "xdp-native", &netns);
    assert!(runs && report.check("nic0 attached").found.contains("shadow_export"), "{report:?}");
    assert_eq!(report.check("namespace").status, "ok");
    agent.stop().unwrap();
    let (report, runs) = both(&scene, &scene.lab.v2, "eth0", "tc", &netns);
    assert!(!runs && report.problems()[0].advises("nic0, up0"), "{report:?}");
    for path in ["/run/netns/none", "/etc/hostname"] {
        let (report, runs) = both(&scene, &scene.lab.v2, NIC, "tc", &["--netns", path]);
        let problems = report.problems();
        assert!(!runs && problems.len() == 1 && problems[0].found.contains(path), "{report:?}");
        assert!(problems[0].advises("/run/netns/NAME"), "{report:?}");
    }
}
