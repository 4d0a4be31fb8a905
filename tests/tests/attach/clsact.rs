//! TC by netlink filters, as on kernels before 6.6: they outlive a killed agent, and two agents may share a device.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use shadow_tests::{
    agent::{Agent, binary},
    attached::Attached,
    child::{Child, poll},
    compare::compare,
    lab::NIC,
    scene::{Kind, Scene, Service},
};

use crate::{
    REQUESTS, assert_exact, assert_exact_from, attachment,
    common::{COPIES_LIMIT, SHADOW_LAB, scene},
    load, on_nic, says, to_v2,
};

/// For an agent to start or to end.
const LIMIT: Duration = Duration::from_secs(20);
const LEFT: &str = "that an agent left when it was killed";

fn start(scene: &Scene) -> Agent {
    Agent::start(&scene.lab.gateway, &to_v2(scene).attach("clsact")).unwrap()
}

#[test]
fn filters_do_what_links_do_and_leave_nothing() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let agent = start(&scene);
    let attached = on_nic(&scene);
    assert_eq!((attached.tcx.len(), attached.filters.len(), attached.clsact), (0, 2, true), "{attached:?}");
    let mirrored = assert_exact_from(&scene, agent, &scene.lab.client, &load(&scene, "clsact"));
    assert!(attachment(&mirrored).contains("by clsact filters"), "{}", mirrored.describe());
    assert!(on_nic(&scene).is_nothing(), "{:?}", on_nic(&scene));
}

/// Whatever ends the agent short of SIGKILL, also twice and before it is done with starting or stopping.
#[test]
fn no_signal_leaves_filters() {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};

    let Some(scene) = scene(Kind::Plain) else { return };
    for signals in [&[SIGHUP][..], &[SIGQUIT], &[SIGUSR1], &[SIGTERM, SIGINT], &[SIGHUP, SIGQUIT, SIGINT]] {
        let agent = start(&scene);
        assert_eq!(on_nic(&scene).filters.len(), 2);
        let (_, summary) = agent.stop_by(signals).unwrap();
        assert!(summary.balances(), "{summary:?}");
        assert!(on_nic(&scene).is_nothing(), "{signals:?}: {:?}", on_nic(&scene));
    }
}

/// A signal that comes while the programs attach waits until that is done.
#[test]
fn a_signal_in_the_middle_of_attaching_leaves_nothing() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let mut command = scene.lab.gateway.command(binary().unwrap());
    command.args(["run", "--interface", NIC, "--port", "80", "--shadow", "http://10.78.0.2:80"]);
    let mut agent = Child::spawn("shadow-agent", command.args(["--attach", "clsact"])).unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", agent.pid()));
    poll(LIMIT, "signals to be held", || {
        let set = fs::read_to_string(&status)?;
        let set = set.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or_default();
        let held = u64::from_str_radix(set.trim(), 16)? & (1 << (Signal::SIGTERM as i32 - 1)) != 0;
        Ok(held.then_some(()))
    })
    .unwrap();
    agent.signal(Signal::SIGTERM).unwrap();
    assert!(agent.wait(LIMIT).unwrap().success(), "{:?}", agent.stderr().all());
    assert!(says(&agent.stderr().all(), "by clsact filters"), "{:?}", agent.stderr().all());
    assert!(on_nic(&scene).is_nothing(), "{:?}", on_nic(&scene));
}

/// As when its terminal is closed: nobody reads what it says any more.
#[test]
fn a_hangup_with_nobody_to_talk_to_leaves_nothing() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let mut command = scene.lab.gateway.command(binary().unwrap());
    command.args(["run", "--interface", NIC, "--port", "80", "--shadow", "http://10.78.0.2:80"]);
    command.args(["--attach", "clsact"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = command.spawn().unwrap();
    drop(agent.stdout.take());
    let log = BufReader::new(agent.stderr.take().unwrap());
    let attached = log.lines().map_while(Result::ok).any(|line| line.contains("attached"));
    assert!(attached && on_nic(&scene).filters.len() == 2);
    signal::kill(Pid::from_raw(agent.id().cast_signed()), Signal::SIGHUP).unwrap();
    poll(LIMIT, "the agent's end", || Ok(agent.try_wait()?)).unwrap();
    assert!(on_nic(&scene).is_nothing(), "{:?}", on_nic(&scene));
}

/// An agent with TCX removes them as well as one with filters.
#[test]
fn what_a_killed_agent_left_is_removed_by_the_next() {
    for attach in ["clsact", "tc"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let small_ring = to_v2(&scene).attach("clsact").with(&["--ring-size", "256KiB"]);
        Agent::start(&scene.lab.gateway, &small_ring).unwrap().kill().unwrap();
        let left = on_nic(&scene);
        assert_eq!((left.filters.len(), left.clsact), (2, true), "they outlive it: {left:?}");
        // They do no harm meanwhile, with a ring that is full and that nobody reads.
        let report = load(&scene, "between").run(&scene.lab.client).unwrap();
        assert_eq!((report.correct, report.errors), (REQUESTS, Vec::new()));

        let agent = Agent::start(&scene.lab.gateway, &to_v2(&scene).attach(attach)).unwrap();
        assert!(says(&agent.log(), LEFT), "{:?}", agent.log());
        let now = on_nic(&scene);
        assert!(now.filters.iter().all(|filter| !left.filters.contains(filter)), "{now:?}");
        assert_exact_from(&scene, agent, &scene.lab.client, &load(&scene, attach));
        assert!(on_nic(&scene).is_nothing(), "{attach}: {:?}", on_nic(&scene));
    }
}

#[test]
fn a_killed_agents_filters_are_told_from_a_living_ones() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let living = start(&scene);
    let its = on_nic(&scene).filters;
    start(&scene).kill().unwrap();
    assert_eq!(on_nic(&scene).filters.len(), 4);
    let third = start(&scene);
    assert!(says(&third.log(), LEFT), "{:?}", third.log());
    let now = on_nic(&scene).filters;
    assert!(now.len() == 4 && its.iter().all(|filter| now.contains(filter)), "{now:?}");
    third.stop().unwrap();
    assert_eq!(on_nic(&scene).filters, its);
    assert_exact_from(&scene, living, &scene.lab.client, &load(&scene, "living"));
    assert!(on_nic(&scene).is_nothing());
}

/// Each mirrors to its own upstream; the first comes and goes while the second stays.
#[test]
fn two_agents_share_a_device() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let address = "10.78.0.2:8081".parse().unwrap();
    let other_v2 = Service::at(&scene.lab, &scene.lab.v2, "v2b", Path::new(SHADOW_LAB), address).unwrap();
    let first = start(&scene);
    let options = shadow_tests::agent::Options::to(address).attach("clsact");
    let second = Agent::start(&scene.lab.gateway, &options).unwrap();
    assert!(!says(&second.log(), LEFT), "{:?}", second.log());
    assert_eq!(on_nic(&scene).filters.len(), 4);
    let both = load(&scene, "both");
    assert_exact_from(&scene, first, &scene.lab.client, &both);
    // The qdisc was the first's; now it is for the second to take away.
    assert_eq!((on_nic(&scene).filters.len(), on_nic(&scene).clsact), (2, true));

    let alone = load(&scene, "alone");
    let report = alone.run(&scene.lab.client).unwrap();
    assert_eq!((report.correct, report.errors), (REQUESTS, Vec::new()));
    let copies = other_v2.wait_for(2 * REQUESTS as usize, COPIES_LIMIT).unwrap();
    let (of_both, of_alone): (Vec<_>, Vec<_>) =
        copies.into_iter().partition(|copy| copy.header("x-request-id").unwrap().starts_with("both-"));
    for (load, copies) in [(both, of_both), (alone, of_alone)] {
        let verdict = compare(&load.plan, REQUESTS, &copies);
        assert_eq!((verdict.exact, verdict.wrong), (REQUESTS as usize, Vec::new()));
    }
    let summary = second.stop().unwrap();
    assert!(summary.balances(), "{summary:?}");
    assert!(on_nic(&scene).is_nothing(), "{:?}", on_nic(&scene));
}

/// Runs `tc` in the gateway.
fn tc(scene: &Scene, arguments: &str) {
    let status = scene.lab.gateway.command("tc").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "tc {arguments}");
}

/// One filter before ours that matches other packets, one behind it that ends the chain for every packet.
#[test]
fn filters_of_others_stay_as_they_are() {
    let Some(scene) = scene(Kind::Plain) else { return };
    tc(&scene, "qdisc add dev nic0 clsact");
    for side in ["ingress", "egress"] {
        tc(
            &scene,
            &format!(
                "filter add dev nic0 {side} pref 1 protocol ip u32 match ip dst 203.0.113.1 classid 1:1"
            ),
        );
        tc(&scene, &format!("filter add dev nic0 {side} pref 7 protocol all u32 match u32 0 0 classid 1:2"));
    }
    let before = on_nic(&scene);
    assert!(before.clsact && before.filters.len() >= 4, "{before:?}");
    let mirrored = assert_exact(&scene, &to_v2(&scene).attach("clsact"), "filters");
    assert!(says(&mirrored.log, "comes before ours"), "{}", mirrored.describe());
    assert_eq!(on_nic(&scene), before);
}

#[test]
fn an_ingress_qdisc_is_in_the_way_and_left_alone() {
    let Some(scene) = scene(Kind::Plain) else { return };
    tc(&scene, "qdisc add dev nic0 ingress");
    let error = Agent::start(&scene.lab.gateway, &to_v2(&scene).attach("clsact")).unwrap_err();
    assert!(format!("{error:#}").contains("nic0 has an ingress qdisc"), "{error:#}");
    assert_eq!(on_nic(&scene), Attached::default());
    // TCX doesn't need one.
    assert_exact(&scene, &to_v2(&scene), "ingress");
    tc(&scene, "qdisc del dev nic0 ingress");
}
