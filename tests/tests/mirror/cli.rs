//! Wrong input gets one clear line and changes nothing.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use crate::common::scene;
use shadow_tests::{
    agent::binary,
    attached::Attached,
    lab::NIC,
    scene::{Kind, Scene},
};

/// What the agent says when it refuses to run, without colours.
fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it ran");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(scene: &Scene, changed: &[&str]) -> Command {
    let mut command = scene.lab.gateway.command(binary().unwrap());
    command.arg("run");
    let defaults = [
        ("--interface", NIC),
        ("--port", "8080"),
        ("--shadow", "http://10.78.0.2:8080"),
        ("--sample-rate", "5%"),
    ];
    for (name, value) in defaults.iter().filter(|(name, _)| !changed.contains(name)) {
        command.args([name, value]);
    }
    command.args(changed);
    command
}

/// The one line that says what is wrong, and that there is no other.
fn line(scene: &Scene, changed: &[&str]) -> String {
    let said = refusal(&mut run(scene, changed));
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "{changed:?}:\n{said}");
    lines[0].to_owned()
}

#[test]
fn wrong_arguments_get_one_line() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let unknown = line(&scene, &["--interface", "eth9"]);
    assert!(unknown.contains("eth9") && unknown.contains(NIC) && unknown.contains("up0"), "{unknown}");
    for (name, value, named) in [
        ("--sample-rate", "150%", "150%"),
        ("--sample-rate", "many", "many"),
        ("--shadow", "not a url", "not a url"),
        ("--shadow", "ftp://v2:8080", "ftp"),
        ("--port", "0", "0"),
        ("--port", "70000", "70000"),
        ("--attach", "xdp-magic", "xdp-magic"),
        ("--netns", "/etc/hostname", "/etc/hostname"),
        ("--netns", "/run/netns/none", "/run/netns/none"),
    ] {
        let said = line(&scene, &[name, value]);
        assert!(said.contains(name) && said.contains(named), "{name} {value}: {said}");
    }
    assert!(Attached::on(&scene.lab.gateway, NIC).unwrap().is_nothing());
}

#[test]
fn without_root_the_capabilities_are_named() {
    let Some(scene) = scene(Kind::Plain) else { return };
    // Where nobody may run it; the build's directory may be closed to others.
    let copy = std::env::temp_dir().join(format!("shadow-{}-cli-agent", std::process::id()));
    fs::copy(binary().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["run", "--interface", "lo", "--port", "8080", "--shadow", "http://10.78.0.2:8080"];
    let said = refusal(Command::new(&copy).args(arguments).uid(65534).gid(65534));
    fs::remove_file(&copy).unwrap();
    for name in ["root", "CAP_BPF", "CAP_NET_ADMIN"] {
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    drop(scene);
}
