//! Every kind of place: several interfaces, another namespace, VLANs, lo, no Ethernet, and the clients' end.

use std::{net::TcpStream, time::Duration};

use aya::programs::{TcAttachType, links::LinkOrder};
use shadow_tests::{
    agent::{Agent, Options},
    attached::Attached,
    child::poll,
    foreign::{Classifier, Foreign},
    lab::{Family, NIC, PORT, SECOND_NIC},
    scene::{Kind, Scene},
    tunnel::{TUN, Tunnel},
};

use crate::{
    REQUESTS, assert_exact_from, attachment,
    common::{follow, scene},
    load, load_to, on_nic, to_v2,
};

#[test]
fn two_interfaces_in_one_agent() {
    for attach in ["tc", "clsact", "xdp-generic"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let other_client = scene.lab.another_client().unwrap();
        // What is named twice is attached to once.
        let options = to_v2(&scene).attach(attach).on(&[NIC, SECOND_NIC, NIC]);
        let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
        let first = load(&scene, "first").run(&scene.lab.client).unwrap();
        assert_eq!((first.correct, first.errors), (REQUESTS, Vec::new()));
        let second = load_to(format!("10.79.0.2:{PORT}").parse().unwrap(), "second");
        let mirrored = follow(&scene, agent, &other_client, &second, 2 * REQUESTS as usize);
        mirrored.assert_users_and_ledger(REQUESTS);
        assert_eq!(mirrored.summary.requests.mirrored, 2 * u64::from(REQUESTS), "{}", mirrored.describe());
        let words = attachment(&mirrored);
        assert!(words.starts_with("nic0 (") && words.matches("nic1 (").count() == 1, "{words}");
        assert_eq!(words.matches("nic0").count(), 1, "{words}");
        for (load, device) in [(load(&scene, "first"), NIC), (second, SECOND_NIC)] {
            let named = |id: &str| id.starts_with(&format!("{}-", load.plan.name));
            let copies = mirrored.copies.iter().filter(|copy| copy.header("x-request-id").is_some_and(named));
            let copies: Vec<_> = copies.cloned().collect();
            let verdict = shadow_tests::compare::compare(&load.plan, REQUESTS, &copies);
            assert_eq!((verdict.exact, verdict.wrong), (REQUESTS as usize, Vec::new()), "{attach}");
            assert!(Attached::on(&scene.lab.gateway, device).unwrap().is_nothing(), "{attach} {device}");
        }
    }
}

/// The agent's own sockets are where it is, in v2's namespace, from which the gateway's interfaces can't be seen.
#[test]
fn interfaces_of_another_namespace() {
    for attach in ["tc", "clsact", "xdp-native"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let path = scene.lab.gateway.path();
        let options = to_v2(&scene).attach(attach).with(&["--netns", path.to_str().unwrap()]);
        let agent = Agent::start(&scene.lab.v2, &options).unwrap();
        let attached = on_nic(&scene);
        assert_eq!(attached.tcx.len() + attached.filters.len(), 2, "{attached:?}");
        let mirrored = assert_exact_from(&scene, agent, &scene.lab.client, &load(&scene, attach));
        assert!(
            attachment(&mirrored).ends_with(&format!(" in {}", path.display())),
            "{}",
            mirrored.describe()
        );
        assert!(on_nic(&scene).is_nothing(), "{attach}: {:?}", on_nic(&scene));
    }
}

/// A namespace can be named by a process in it, and its errors are about its own interfaces.
#[test]
fn the_namespace_of_a_process() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let first = Agent::start(&scene.lab.gateway, &to_v2(&scene)).unwrap();
    let path = format!("/proc/{}/ns/net", first.pid());
    let there =
        |device: &str| Agent::start(&scene.lab.v2, &to_v2(&scene).on(&[device]).with(&["--netns", &path]));
    let error = format!("{:#}", there("eth0").unwrap_err());
    assert!(error.contains("eth0") && error.contains("nic0, up0"), "{error}");
    let second = there(NIC).unwrap();
    assert_eq!(on_nic(&scene).tcx.len(), 4);
    second.stop().unwrap();
    first.stop().unwrap();
}

/// The clients' end of the wire: their requests are on egress.
#[test]
fn requests_on_egress() {
    for attach in ["tc", "clsact"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let client = scene.lab.client.path();
        let options = to_v2(&scene).attach(attach).on(&["eth0"]).with(&["--netns", client.to_str().unwrap()]);
        let agent = Agent::start(&scene.lab.gateway, &options).unwrap();
        assert_exact_from(&scene, agent, &scene.lab.client, &load(&scene, "egress"));
        assert!(Attached::on(&scene.lab.client, "eth0").unwrap().is_nothing());
    }
}

/// Client and v1 on one host: each packet is sent and received on the same device, and copied once.
#[test]
fn loopback() {
    for attach in ["tc", "clsact", "xdp-generic"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let gateway = &scene.lab.gateway;
        let agent = Agent::start(gateway, &to_v2(&scene).attach(attach).on(&["lo"])).unwrap();
        let load = load_to(format!("127.0.0.1:{PORT}").parse().unwrap(), attach);
        let mirrored = assert_exact_from(&scene, agent, gateway, &load);
        assert!(attachment(&mirrored).contains("TC ingress by"), "{}", mirrored.describe());
        // TCP repeats a few by itself; on both hooks every one would come twice.
        let count = |value: &serde_json::Value| value.as_u64().unwrap();
        let repeated = count(&mirrored.summary.more["flows"]["repeated_segments"]);
        assert!(repeated < count(&mirrored.summary.kernel["exported"]) / 10, "{}", mirrored.describe());
        assert!(Attached::on(gateway, "lo").unwrap().is_nothing());
    }
}

/// A VPN's device: packets begin with their IP header.
#[test]
fn a_device_without_ethernet() {
    for attach in ["tc", "clsact"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let gateway = &scene.lab.gateway;
        let _tunnel = Tunnel::between(&scene.lab.client, gateway).unwrap();
        let options = to_v2(&scene).on(&[TUN]);
        let error = Agent::start(gateway, &options.clone().attach("xdp-generic")).unwrap_err();
        assert!(format!("{error:#}").contains("tun0 carries no Ethernet frames"), "{error:#}");
        let agent = Agent::start(gateway, &options.attach(attach)).unwrap();
        let load = load_to(format!("10.80.0.2:{PORT}").parse().unwrap(), attach);
        assert_exact_from(&scene, agent, &scene.lab.client, &load);
        assert!(Attached::on(gateway, TUN).unwrap().is_nothing());
    }
}

/// Frames in two VLANs on the parent device. The gateway takes them out of there behind the agent's program; behind
/// generic XDP it could not: after that the kernel doesn't show TC their link headers.
#[test]
fn tagged_frames_on_the_parent_device() {
    for attach in ["tc", "xdp-native"] {
        let Some(scene) = scene(Kind::Plain) else { return };
        let (client, gateway) = (&scene.lab.client, &scene.lab.gateway);
        let program = |namespace, device, direction, does| {
            Foreign::tcx(namespace, device, direction, LinkOrder::default(), does).unwrap()
        };
        let _push = program(client, "eth0", TcAttachType::Egress, Classifier::PushTags);
        let address = scene.v1_address(Family::V4);
        let reach = || Ok(TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok());
        assert!(client.run(reach).unwrap().is_none(), "the frames really are tagged");
        let _pop = program(gateway, NIC, TcAttachType::Ingress, Classifier::PopTags);
        client.run(|| poll(Duration::from_secs(10), "frames out of their VLANs", reach)).unwrap();
        let agent = Agent::start(gateway, &to_v2(&scene).attach(attach)).unwrap();
        assert_exact_from(&scene, agent, client, &load(&scene, attach));
    }
}

/// A VLAN's own device, and its parent.
#[test]
fn vlan_devices() {
    let Some(scene) = scene(Kind::Plain) else { return };
    if !add_vlans(&scene) {
        eprintln!("skipped: this kernel has no VLAN devices");
        return;
    }
    let address = format!("10.81.0.2:{PORT}").parse().unwrap();
    let agent = |device: &str| {
        let options: Options = to_v2(&scene).on(&[device]);
        Agent::start(&scene.lab.gateway, &options).unwrap()
    };
    let by_vlan = agent("nic0.5");
    assert_exact_from(&scene, by_vlan, &scene.lab.client, &load_to(address, "vlan"));
    let by_parent = agent(NIC);
    let load = load_to(address, "parent");
    let mirrored = follow(&scene, by_parent, &scene.lab.client, &load, 2 * REQUESTS as usize);
    mirrored.assert_users_and_ledger(REQUESTS);
    assert_eq!(mirrored.summary.requests.mirrored, u64::from(REQUESTS), "{}", mirrored.describe());
}

/// VLAN 5 between client and gateway; false if the kernel has none.
fn add_vlans(scene: &Scene) -> bool {
    let ends = [(&scene.lab.client, "eth0", 1), (&scene.lab.gateway, NIC, 2)];
    ends.iter().all(|(namespace, device, host)| {
        let lines = [
            format!("link add link {device} name {device}.5 type vlan id 5"),
            format!("address add 10.81.0.{host}/24 dev {device}.5"),
            format!("link set {device}.5 up"),
        ];
        namespace.ip(&lines.each_ref().map(String::as_str)).is_ok()
    })
}
