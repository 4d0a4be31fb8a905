//! What passes on a service port.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Result;
use shadow_tests::{
    lab::{Family, NIC, PORT},
    load::Load,
    plan::Plan,
    scene::{Kind, Scene},
};

use crate::{Report, common::scene, doctor_in, texts};

/// A port on which TLS is spoken, and one on which nothing is.
const TLS_PORT: u16 = 8443;
const SILENT_PORT: u16 = 9999;

#[test]
fn what_passes_on_a_port_is_told() {
    let Some(scene) = scene(Kind::Plain) else { return };
    let gateway = scene.lab.gateway.path();
    for (from, netns) in [(&scene.lab.gateway, None), (&scene.lab.v2, gateway.to_str())] {
        let output = with_traffic(&scene, || {
            let ports = [PORT, TLS_PORT, SILENT_PORT].map(|port| port.to_string());
            let mut doctor = doctor_in(from, &["--interface", NIC, "--for", "700ms", "--json"]);
            doctor.args(netns.iter().flat_map(|path| ["--netns", path]));
            doctor.args(ports.iter().flat_map(|port| ["--port", port])).output().unwrap()
        });
        judge(&output);
    }
}

fn judge(output: &Output) {
    let (stdout, _) = texts(output);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    // Invariant 5.
    assert!(!stdout.contains("s3cret"), "{stdout}");
    let report: Report = serde_json::from_str(&stdout).unwrap();
    let [http, tls, silent] =
        [PORT, TLS_PORT, SILENT_PORT].map(|port| report.check(&format!("{NIC} port {port}")));
    assert_eq!(http.status, "ok", "{http:?}");
    assert!(http.found.contains("HTTP/1 requests") && http.found.contains("HTTP/1 answers"), "{http:?}");
    assert_eq!((tls.status.as_str(), silent.status.as_str()), ("warning", "warning"));
    assert!(tls.found.contains("only TLS") && tls.advises("behind the TLS termination"), "{tls:?}");
    assert!(silent.found.contains("nothing") && silent.advises("right interface"), "{silent:?}");
}

/// Runs this while users speak HTTP and TLS to the gateway.
fn with_traffic<T>(scene: &Scene, look: impl FnOnce() -> T) -> T {
    let mut load = Load::new(scene.v1_address(Family::V4), Plan::mixed("s3cret", "s3cret"), u32::MAX, 2);
    load.rate = Some(200.0);
    thread::scope(|scope| {
        let users = scope.spawn(|| load.run(&scene.lab.client));
        let tls = scope.spawn(|| speak_tls(scene, &load.stop));
        let ending = End(&load.stop);
        let seen = look();
        drop(ending);
        tls.join().unwrap().unwrap();
        let users = users.join().unwrap().unwrap();
        assert!(users.errors.is_empty() && users.correct > 0, "{users:?}");
        seen
    })
}

/// Ends the traffic also when the test panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends what looks like handshake records from the client to the gateway until it is told to stop.
fn speak_tls(scene: &Scene, stop: &AtomicBool) -> Result<()> {
    let address = SocketAddr::new(scene.v1_address(Family::V4).ip(), TLS_PORT);
    // Nobody accepts: the kernel takes what little is sent.
    let _listener = scene.lab.gateway.run(|| Ok(TcpListener::bind(address)?))?;
    let mut stream = scene.lab.client.run(|| Ok(TcpStream::connect(address)?))?;
    stream.set_nodelay(true)?;
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03])?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
