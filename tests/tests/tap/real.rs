//! Captures that tcpdump takes of curl, wrk and nginx: `tap` lists what tshark does.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddrV4, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use shadow_tests::{
    lab::{Family, NIC, PORT},
    packets::{file, pcapng},
    scene::{Kind, Scene},
    tap::{Listed, directory, list, save},
    tcpdump::Tcpdump,
    tshark::{self, Request},
};

use crate::common::scene;

/// Where nginx's upstream is.
const BEHIND: u16 = 9000;

/// A port that nobody listens on: a packet to it is the last of a capture.
const LAST: u16 = 48_879;

/// What a request is told by: flow, method, host, target, status.
type Key = (String, String, Option<String>, String, Option<u16>);

fn key(request: &Request) -> Key {
    let Request { flow, method, host, target, status, .. } = request.clone();
    (flow, method, host, target, status)
}

fn key_of(listed: &Listed) -> Option<Key> {
    let (method, target) = listed.method.clone().zip(listed.target.clone())?;
    Some((listed.flow.clone(), method, listed.authority.clone(), target, listed.status()))
}

fn counted(keys: impl Iterator<Item = Key>) -> BTreeMap<Key, i32> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// Both list the same requests of streams that were captured whole; what `tap` lists with a reason may be missing.
fn assert_same(what: &str, read: &tshark::Read, listed: &[Listed]) {
    let mut differences = counted(read.complete.iter().map(key));
    let theirs: i32 = differences.values().sum();
    let others: Vec<&str> = read.others.iter().map(|request| request.flow.as_str()).collect();
    let ours = listed.iter().filter(|one| one.is_complete() && !others.contains(&one.flow.as_str()));
    for key in ours.filter_map(key_of) {
        *differences.entry(key).or_default() -= 1;
    }
    differences.retain(|_, count| *count != 0);
    let reasons: Vec<&Listed> = listed.iter().filter(|one| !one.is_complete()).collect();
    let explained = |(key, missing): (&Key, &i32)| {
        let with_reason = reasons.iter().filter(|one| one.flow == key.0).count();
        *missing > 0 && usize::try_from(*missing).is_ok_and(|missing| missing <= with_reason)
    };
    assert!(
        differences.iter().all(explained),
        "{what}: more (positive) or fewer by tshark: {differences:#?}, with reasons: {reasons:#?}"
    );
    println!(
        "{what}: {} streams, {theirs} requests in complete ones, {} in others; tap: {}, {} with a reason",
        read.streams,
        read.others.len(),
        listed.len(),
        reasons.len()
    );
}

/// Runs curl in the client's namespace in every way in which it sends requests.
fn run_curl(scene: &Scene) {
    let upload = scene.lab.directory().join("upload");
    fs::write(&upload, vec![b'x'; 300_000]).unwrap();
    let (data, file) = (format!("@{}", upload.display()), upload.display().to_string());
    let url = |path: &str| format!("http://{}/{path}", scene.v1_address(Family::V4));
    let [get, second, third, six] =
        [url("get?a=1"), url("second"), url("third"), format!("http://{}/six", scene.v1_address(Family::V6))];
    let cases: &[&[&str]] = &[
        &[&get],
        &[&second, &third, &get],
        &["--globoff", &six, "-H", "Host: shop.example"],
        &["--head", &url("head"), "--next", "--silent", &url("after-head")],
        &["--data", "a=1&b=2", &url("form")],
        &["--data-binary", &data, &url("expect"), "-H", "Expect: 100-continue"],
        &["--data-binary", &data, &url("chunked"), "-H", "Transfer-Encoding: chunked"],
        &["--upload-file", &file, &url("put")],
        &["--range", "10-20", &url("range")],
        &["-X", "DELETE", &url("item")],
        &["--http1.0", &url("old")],
        &["-H", "X-Answer-Bytes: 200000", &url("large")],
        &["--data-binary", &data, &url("early/answer")],
    ];
    for case in cases {
        let mut command = scene.lab.client.command("curl");
        let output =
            command.args(["--silent", "--show-error", "--max-time", "20"]).args(*case).output().unwrap();
        assert!(output.status.success(), "curl {case:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A second of wrk over a few connections, each with a pause between its requests so that captures stay small.
fn run_wrk(scene: &Scene) {
    let script = scene.lab.directory().join("pause.lua");
    fs::write(&script, "function delay() return 10 end\n").unwrap();
    let url = format!("http://{}/wrk", scene.v1_address(Family::V4));
    let mut command = scene.lab.client.command("wrk");
    command
        .args(["--threads", "1", "--connections", "8", "--duration", "1s", "--script"])
        .arg(&script)
        .arg(&url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "wrk: {}", String::from_utf8_lossy(&output.stderr));
}

/// Files with the same traffic, taken in several ways.
struct Captures {
    nic: PathBuf,
    cut: PathBuf,
    upstream: PathBuf,
    cooked: [PathBuf; 2],
    /// Keeps the files.
    _lab: shadow_tests::lab::Lab,
}

fn capture(scene: Scene) -> Captures {
    let start =
        |name: &str, more: &[&str]| Tcpdump::start(&scene.lab, &scene.lab.gateway, name, more).unwrap();
    let [nic, loopback] = [[10, 77, 0, 2], [127, 0, 0, 1]].map(|ip| SocketAddrV4::new(ip.into(), LAST));
    let all = [
        (start("nic.pcap", &["-i", NIC]), nic),
        (start("cut.pcap", &["-i", NIC, "-s", "200"]), nic),
        (start("upstream.pcap", &["-i", "lo"]), loopback),
        (start("cooked1.pcap", &["-i", "any", "-y", "LINUX_SLL"]), nic),
        (start("cooked2.pcap", &["-i", "any", "-y", "LINUX_SLL2"]), nic),
    ];
    run_curl(&scene);
    run_wrk(&scene);
    let Scene { v1, v2, lab } = scene;
    // nginx closes what it has kept open to its upstream.
    drop((v1, v2));
    for (from, address) in [(&lab.client, nic), (&lab.gateway, loopback)] {
        // Nobody listens there.
        let refused = from.run(|| Ok(TcpStream::connect(address).is_err())).unwrap();
        assert!(refused, "{address}");
    }
    let [nic, cut, upstream, cooked1, cooked2] = all.map(|(one, last)| one.stop_after(last).unwrap());
    Captures { nic, cut, upstream, cooked: [cooked1, cooked2], _lab: lab }
}

fn compare(path: &Path, least: usize) -> (tshark::Read, Vec<Listed>) {
    let read = tshark::read(path, &[PORT, BEHIND]).unwrap();
    assert!(read.complete.len() >= least, "{}: tshark sees {} requests", path.display(), read.complete.len());
    let listed = list(path, &[]).unwrap();
    assert_same(&path.file_name().unwrap().to_string_lossy(), &read, &listed);
    (read, listed)
}

#[test]
fn tap_lists_what_tshark_does() {
    for tool in ["tshark", "tcpdump", "wrk"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("skipped: {tool} isn't installed");
            return;
        }
    }
    let Some(scene) = scene(Kind::Nginx) else { return };
    let captures = capture(scene);
    let (on_nic, listed) = compare(&captures.nic, 100);
    compare(&captures.upstream, 100);
    for path in &captures.cooked {
        compare(path, 200);
    }

    // Cut to 200 bytes, which may be less than an answer's head, no request is complete that the whole capture hasn't.
    let without_status = |(flow, method, host, target, _): Key| (flow, method, host, target, None);
    let cut: Vec<Listed> =
        list(&captures.cut, &[]).unwrap().into_iter().filter(Listed::is_complete).collect();
    let mut whole = counted(on_nic.complete.iter().chain(&on_nic.others).map(key).map(without_status));
    for key in cut.iter().filter_map(key_of).map(without_status) {
        *whole.entry(key).or_default() -= 1;
    }
    let invented: Vec<_> = whole.into_iter().filter(|(_, count)| *count < 0).collect();
    assert!(invented.is_empty() && cut.len() > 50, "{} complete of 200 bytes, {invented:#?}", cut.len());

    let (link, frames) = file::read(&fs::read(&captures.nic).unwrap()).unwrap();
    let directory = directory().unwrap();
    let converted = save(&directory, "nic.pcapng", &pcapng::converted(link, &frames)).unwrap();
    assert_eq!(list(&converted, &[]).unwrap(), listed);
}
