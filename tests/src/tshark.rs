//! tshark as a second opinion: which requests and answers another decoder reads in a capture.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

/// A request as tshark reads it, with its answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The connection as `client>server`.
    pub flow: String,
    /// tshark's number of the connection; one for each use of the same ports.
    pub stream: u32,
    /// The method.
    pub method: String,
    /// The Host header; none: there is none.
    pub host: Option<String>,
    /// The target as it was sent.
    pub target: String,
    /// The status of the final answer; none: there is none.
    pub status: Option<u16>,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Requests of streams that were captured from SYN to FIN or RST without a hole.
    pub complete: Vec<Request>,
    /// Those of the other streams.
    pub others: Vec<Request>,
    /// Streams of TCP in the capture.
    pub streams: usize,
}

const FIELDS: [&str; 19] = [
    "tcp.stream",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "ip.dst",
    "ipv6.dst",
    "tcp.dstport",
    "tcp.flags.syn",
    "tcp.flags.ack",
    "tcp.flags.fin",
    "tcp.flags.reset",
    "tcp.seq",
    "tcp.len",
    "frame.len",
    "frame.cap_len",
    "http.request.method",
    "http.request.uri",
    "http.host",
    "http.response.code",
];

/// Between the values of a field that a frame has several times; no target or host of the tests has it.
const BETWEEN: char = '|';

/// Reads a capture: these ports are HTTP, checksums are the network card's business, and segments out of order are
/// put in order.
///
/// # Errors
/// tshark isn't there, or refuses the file.
pub fn read(capture: &Path, ports: &[u16]) -> Result<Read> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-2", "-Y", "tcp", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    command.args(["-E", &format!("aggregator={BETWEEN}")]);
    for preference in [
        "tcp.check_checksum:FALSE",
        "ip.check_checksum:FALSE",
        "tcp.desegment_tcp_streams:TRUE",
        "tcp.reassemble_out_of_order:TRUE",
        "http.desegment_headers:TRUE",
        "http.desegment_body:TRUE",
    ] {
        command.args(["-o", preference]);
    }
    for port in ports {
        command.args(["-d", &format!("tcp.port=={port},http")]);
    }
    command.args(FIELDS.iter().flat_map(|field| ["-e", field])).arg("-r").arg(capture);
    let output = command.output().context("tshark did not start")?;
    if !output.status.success() {
        bail!("tshark {}: {}", capture.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let frame = Frame::parse(line).with_context(|| format!("a line of tshark: {line}"))?;
        streams.entry(frame.stream).or_default().take(frame)?;
    }
    let mut read = Read { streams: streams.len(), ..Read::default() };
    for stream in streams.into_values() {
        let requests = if stream.is_complete() { &mut read.complete } else { &mut read.others };
        requests.extend(stream.exchanges());
    }
    Ok(read)
}

/// What tshark says of a frame.
struct Frame<'a> {
    stream: u32,
    source: SocketAddr,
    destination: SocketAddr,
    syn: bool,
    ack: bool,
    fin: bool,
    reset: bool,
    /// Relative to the SYN's, which is 0.
    seq: u32,
    /// Of the payload on the wire.
    length: u32,
    is_whole: bool,
    methods: Vec<&'a str>,
    targets: Vec<&'a str>,
    hosts: Vec<&'a str>,
    statuses: Vec<&'a str>,
}

impl<'a> Frame<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let columns: [&str; FIELDS.len()] = columns.try_into().ok().context("another number of fields")?;
        let [stream, source, source6, source_port, to, to6, to_port, rest @ ..] = columns;
        let [syn, ack, fin, reset, seq, length, on_wire, captured, methods, targets, hosts, statuses] = rest;
        let address = |v4: &str, v6: &str, port: &str| -> Result<SocketAddr> {
            let ip: IpAddr = if v4.is_empty() { v6.parse()? } else { v4.parse()? };
            Ok(SocketAddr::new(ip, port.parse()?))
        };
        let set = |flag: &str| flag == "1" || flag == "True";
        let values = |text: &'a str| -> Vec<&'a str> {
            if text.is_empty() { Vec::new() } else { text.split(BETWEEN).collect() }
        };
        Ok(Self {
            stream: stream.parse()?,
            source: address(source, source6, source_port)?,
            destination: address(to, to6, to_port)?,
            syn: set(syn),
            ack: set(ack),
            fin: set(fin),
            reset: set(reset),
            seq: seq.parse()?,
            length: length.parse()?,
            is_whole: on_wire == captured,
            methods: values(methods),
            targets: values(targets),
            hosts: values(hosts),
            statuses: values(statuses),
        })
    }
}

/// A stream as far as it was read.
#[derive(Default)]
struct Stream {
    syn: bool,
    syn_ack: bool,
    fin: u32,
    reset: bool,
    cut: bool,
    /// What was captured of each direction, by who sends: first relative number, and the one behind.
    parts: BTreeMap<SocketAddr, Vec<(u32, u32)>>,
    requests: Vec<Request>,
    /// Of final answers.
    statuses: Vec<u16>,
}

impl Stream {
    fn take(&mut self, frame: Frame<'_>) -> Result<()> {
        self.syn |= frame.syn && !frame.ack;
        self.syn_ack |= frame.syn && frame.ack;
        self.fin += u32::from(frame.fin);
        self.reset |= frame.reset;
        if frame.length > 0 {
            self.cut |= !frame.is_whole;
            let part = (frame.seq, frame.seq.wrapping_add(frame.length));
            self.parts.entry(frame.source).or_default().push(part);
        }
        let count = frame.methods.len();
        ensure!(
            frame.targets.len() == count && (frame.hosts.len() == count || frame.hosts.is_empty()),
            "requests in one frame that can't be told apart: {:?} {:?} {:?}",
            frame.methods,
            frame.targets,
            frame.hosts
        );
        for (place, (method, target)) in frame.methods.iter().zip(&frame.targets).enumerate() {
            self.requests.push(Request {
                flow: format!("{}>{}", frame.source, frame.destination),
                stream: frame.stream,
                method: (*method).to_owned(),
                host: frame.hosts.get(place).map(ToString::to_string),
                target: (*target).to_owned(),
                status: None,
            });
        }
        for status in frame.statuses {
            let status: u16 = status.parse()?;
            let interim = (100..200).contains(&status) && status != 101;
            if !interim {
                self.statuses.push(status);
            }
        }
        Ok(())
    }

    /// The requests with their answers, which come in the same order; an early one is read before its request's end.
    fn exchanges(self) -> impl Iterator<Item = Request> {
        let statuses = self.statuses.into_iter().map(Some).chain(std::iter::repeat(None));
        self.requests.into_iter().zip(statuses).map(|(request, status)| Request { status, ..request })
    }

    fn is_complete(&self) -> bool {
        let ended = self.fin >= 2 || self.reset;
        self.syn
            && self.syn_ack
            && ended
            && !self.cut
            && self.parts.values().all(|parts| are_contiguous(parts))
    }
}

/// Whether parts cover everything from number 1, the first behind a SYN, to where the last of them ends.
fn are_contiguous(parts: &[(u32, u32)]) -> bool {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let reached =
        parts.iter().try_fold(1, |reached: u32, &(from, to)| (from <= reached).then(|| reached.max(to)));
    reached.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_found_wherever_it_is() {
        for (parts, expected) in [
            (&[][..], true),
            (&[(1, 5), (5, 9)], true),
            (&[(5, 9), (1, 5), (3, 7), (0, 1)], true),
            (&[(2, 5)], false),
            (&[(1, 5), (6, 9)], false),
        ] {
            assert_eq!(are_contiguous(parts), expected, "{parts:?}");
        }
    }
}
