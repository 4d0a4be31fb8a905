//! Beside programs of others: TCX before and after ours, and XDP.

use aya::{
    programs::{SchedClassifier, TcAttachType, XdpMode, links::LinkOrder},
    sys::{Stats, enable_stats},
};
use shadow_tests::{
    agent::Agent,
    foreign::{Classifier, Foreign},
    lab::NIC,
    scene::Kind,
};

use crate::{assert_exact, assert_exact_from, attachment, common::scene, load, on_nic, says, to_v2};

/// One was there first and ends the chain; one comes later and goes before ours.
#[test]
fn tcx_programs_before_and_after_ours_all_run() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let _counted = enable_stats(Stats::RunTime).unwrap();
    let gateway = &scene.lab.gateway;
    let attach = |order, does| Foreign::tcx(gateway, NIC, TcAttachType::Ingress, order, does).unwrap();
    let after = attach(LinkOrder::default(), Classifier::Pass);
    let agent = Agent::start(gateway, &to_v2(&scene)).unwrap();
    let before = attach(LinkOrder::first(), Classifier::Next);
    let ids = gateway.run(|| {
        let (_, programs) = SchedClassifier::query_tcx(NIC, TcAttachType::Ingress)?;
        Ok(programs.iter().map(aya::programs::ProgramInfo::id).collect::<Vec<_>>())
    });
    let ids = ids.unwrap();
    assert_eq!((ids.len(), ids[0], ids[2]), (3, before.id().unwrap(), after.id().unwrap()), "{ids:?}");

    assert_exact_from(&scene, agent, &scene.lab.client, &load(&scene, "beside"));
    let runs = [before.runs().unwrap(), after.runs().unwrap()];
    assert!(runs.iter().all(|&runs| runs > 300), "{runs:?} packets");
    let left = on_nic(&scene).tcx;
    assert_eq!(left, [before.id().unwrap(), after.id().unwrap()]);
}

#[test]
fn where_another_program_has_xdp_tc_does_without() {
    for (has, asked) in
        [(XdpMode::Driver, "xdp-native"), (XdpMode::Skb, "xdp-native"), (XdpMode::Driver, "xdp-generic")]
    {
        let Some(scene) = scene(Kind::Plain) else { return };
        let other = Foreign::xdp(&scene.lab.gateway, NIC, has).unwrap();
        let mirrored = assert_exact(&scene, &to_v2(&scene).attach(asked), asked);
        let words = "nic0 (TC ingress and egress by TCX; XDP is taken by another program)";
        assert_eq!(attachment(&mirrored), words, "{has:?}");
        assert!(says(&mirrored.log, "WARN") && says(&mirrored.log, words), "{}", mirrored.describe());
        let left = on_nic(&scene);
        assert_eq!((left.xdp, left.tcx), (vec![other.id().unwrap()], Vec::new()), "{has:?}");
    }
}
