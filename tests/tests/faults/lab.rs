//! The faults prove themselves before the agent meets them.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::common::{SHADOW_LAB, root};
use shadow_tests::{
    dns::{Answers, NameServer},
    fault::Fault,
    lab::Lab,
};

/// What a client sees that sends a request and waits this long.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The first bytes of an answer and how the connection ends, if it does in time.
fn ask(lab: &Lab, url: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let address: SocketAddr = url.split_once("://").unwrap().1.parse().unwrap();
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let mut buffer = vec![0; 64];
        let size = stream.read(&mut buffer)?;
        buffer.truncate(size);
        Ok(buffer)
    };
    let found = lab.gateway.run(|| Ok(exchange().map_err(|error| error.kind()))).unwrap();
    found.map_or_else(|kind| (Vec::new(), Some(kind)), |bytes| (bytes, None))
}

#[test]
fn each_fault_is_what_it_is_called() {
    if !root() {
        return;
    }
    let lab = Lab::new().unwrap();
    for fault in Fault::ALL {
        let placed = fault.place(&lab, Path::new(SHADOW_LAB)).unwrap();
        if matches!(fault, Fault::DnsFails | Fault::DnsHangs) {
            continue;
        }
        let (bytes, end) = ask(&lab, &placed.url);
        let seen = String::from_utf8_lossy(&bytes);
        match fault {
            Fault::Refuses => assert_eq!(end, Some(ErrorKind::ConnectionRefused)),
            // The reset may come before the request is written, or after.
            Fault::Resets => assert!(
                matches!(end, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)),
                "{end:?} {seen}"
            ),
            Fault::BlackHole => assert_eq!(end, Some(ErrorKind::TimedOut)),
            Fault::NeverAnswers | Fault::TlsHangs => assert_eq!(end, Some(ErrorKind::WouldBlock)),
            Fault::Drips => assert_eq!(seen, "H"),
            Fault::Garbage => assert!(!bytes.is_empty() && !seen.starts_with("HTTP/"), "{seen}"),
            Fault::AnswersEarly => assert!(seen.starts_with("HTTP/1.1 413"), "{seen}"),
            _ => assert!(seen.starts_with("HTTP/1.1 200"), "{fault:?}: {end:?} {seen}"),
        }
    }
}

/// The addresses that the gateway's programs find, in no order.
fn look_up(lab: &Lab, name: &str) -> Result<Vec<String>> {
    let output = lab.gateway.command("getent").args(["ahosts", name]).output().context("getent")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let streams = text.lines().filter(|line| line.contains("STREAM"));
    let mut found: Vec<String> =
        streams.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    found.sort_unstable();
    Ok(found)
}

#[test]
fn names_resolve_in_the_gateway_as_the_name_server_says() {
    if !root() {
        return;
    }
    let lab = Lab::new().unwrap();
    let [one, two]: [IpAddr; 2] = ["10.78.0.3", "10.78.0.4"].map(|address| address.parse().unwrap());
    let names = [("v2.test", one), ("v2.test", two)];
    let server = NameServer::start(&lab, Path::new(SHADOW_LAB), Answers::Right, &names).unwrap();
    assert_eq!(look_up(&lab, "v2.test").unwrap(), ["10.78.0.3", "10.78.0.4"]);
    assert_eq!(look_up(&lab, "other.test").unwrap(), Vec::<String>::new());
    server.set(&names[1..]).unwrap();
    assert_eq!(look_up(&lab, "v2.test").unwrap(), ["10.78.0.4"]);
    let directory = Path::new("/etc/netns").join(lab.gateway.name());
    assert!(directory.exists());
    drop(lab);
    assert!(!directory.exists());
}
