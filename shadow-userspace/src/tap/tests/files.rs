//! Capture files in, lines out: two sides that talk, and what is told of it.

use serde_json::Value;
use shadow_common::tcp_flags::*;

use super::*;
use crate::{
    budget::MemoryBudget,
    capture::file::{
        FileSource,
        testing::{Captured, Tcp, pcap_file},
    },
    ledger::Ledger,
    pipeline::{ExchangePipeline, Pipeline, PipelineLimits, Sampler},
};

const SECOND: u64 = 1_000_000_000;
const RAW: u32 = 101;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A file to which connections to port 80 are written.
struct File {
    now_ns: u64,
    frames: Vec<Captured>,
}

/// A connection, by the client's port, and what both sides send next.
#[derive(Clone, Copy)]
struct Talk {
    port: u16,
    client: u32,
    service: u32,
}

impl File {
    fn new() -> Self {
        Self { now_ns: BEGAN_NS, frames: Vec::new() }
    }

    fn put(&mut self, tcp: &Tcp<'_>) {
        self.now_ns += SECOND / 1000;
        self.frames.push(Captured::whole(self.now_ns, tcp.ipv4(&[])));
    }

    /// A handshake.
    fn connect(&mut self, port: u16) -> Talk {
        let mut talk = Talk { port, client: 1000, service: 5000 };
        talk.client(self, SYN, "");
        talk.service(self, SYN | ACK, "");
        talk
    }

    /// Each exchange as target, outcome, status and the response's outcome.
    fn told(&self) -> Vec<String> {
        let mut printed = Vec::new();
        let tap = Tap::in_zone(&options(TapFormat::Json), &mut printed, || TimeZone::UTC);
        let budget = MemoryBudget::new(1 << 20);
        let mut pipeline: ExchangePipeline<_> =
            Pipeline::new(PipelineLimits::default(), Ledger::new(), budget, Sampler::all(), tap);
        let file = std::io::Cursor::new(pcap_file(RAW, &self.frames));
        let mut source = FileSource::read(file, "test".into(), &[80]).unwrap();
        read_file(&mut source, &mut pipeline, |_| true).unwrap();
        pipeline.finish(DropReason::Incomplete);
        pipeline.into_sink().finish().unwrap();
        String::from_utf8(printed).unwrap().lines().map(in_words).collect()
    }
}

fn in_words(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let response = &line["response"];
    let answer =
        response.as_object().map(|_| format!("{} {}", response["status"], text(&response["outcome"])));
    format!("{} {}: {}", text(&line["target"]), text(&line["outcome"]), answer.unwrap_or("-".into()))
}

impl Talk {
    fn client(&mut self, file: &mut File, flags: u8, payload: &str) -> &mut Self {
        let Self { port, client: seq, service: ack } = *self;
        let payload = payload.as_bytes();
        file.put(&Tcp { source: (1, port), dest: (2, 80), seq, ack, flags, payload });
        self.client += taken(flags, payload);
        self
    }

    fn service(&mut self, file: &mut File, flags: u8, payload: &str) -> &mut Self {
        let Self { port, client: ack, service: seq } = *self;
        let payload = payload.as_bytes();
        file.put(&Tcp { source: (2, 80), dest: (1, port), seq, ack, flags, payload });
        self.service += taken(flags, payload);
        self
    }

    /// A request, and its answer.
    fn exchange(&mut self, file: &mut File, target: &str) -> &mut Self {
        self.client(file, ACK, &get(target)).service(file, ACK, OK)
    }
}

fn taken(flags: u8, payload: &[u8]) -> u32 {
    payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0)
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn connections_go_on_after_hours() {
    let mut file = File::new();
    let (mut idle, mut busy) = (file.connect(1), file.connect(2));
    idle.exchange(&mut file, "/1");
    for _ in 0..4 {
        file.now_ns += 3600 * SECOND;
        busy.exchange(&mut file, "/busy");
    }
    idle.exchange(&mut file, "/2").exchange(&mut file, "/3");
    let told = file.told();
    assert_eq!(told.len(), 7, "{told:?}");
    assert!(told.iter().all(|told| told.ends_with(" complete: 200 complete")), "{told:?}");
}

/// Two captures in one file, the later first: what was lost in the second is known in its time, too.
#[test]
fn time_may_go_back() {
    let mut file = File::new();
    file.connect(1).exchange(&mut file, "/1");
    file.now_ns -= 3600 * SECOND;
    let mut other = file.connect(2);
    other.client(&mut file, ACK, "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    other.client += 1;
    other.client(&mut file, ACK, "c");
    for _ in 0..9 {
        file.now_ns += SECOND;
        file.connect(3);
    }
    other.client(&mut file, ACK, &get("/3"));
    assert_eq!(file.told(), ["/1 complete: 200 complete", "/2 gap: -", "/3 complete: -"]);
}

/// Not at the sender's place, or forged at it: the receiver didn't take them, as the connection goes on.
#[test]
fn resets_that_nobody_takes_cost_nothing() {
    type Reset = fn(&mut Talk, &mut File);
    let resets: [Reset; 4] = [
        |talk, file| _ = Talk { service: 77, ..*talk }.service(file, RST, ""),
        |talk, file| _ = Talk { client: 77, ..*talk }.client(file, RST, ""),
        |talk, file| _ = Talk { client: talk.client + 5000, ..*talk }.client(file, RST, ""),
        |talk, file| _ = talk.service(file, RST, ""),
    ];
    for (number, reset) in resets.iter().enumerate() {
        let mut file = File::new();
        let mut talk = file.connect(1);
        talk.exchange(&mut file, "/1");
        reset(&mut talk, &mut file);
        talk.exchange(&mut file, "/2").exchange(&mut file, "/3");
        let told = file.told();
        assert_eq!(told.len(), 3, "{number}: {told:?}");
        assert!(told.iter().all(|told| told.ends_with(" complete: 200 complete")), "{number}: {told:?}");
    }
}

#[test]
fn a_request_may_come_with_the_syn() {
    let mut file = File::new();
    let mut talk = Talk { port: 1, client: 1000, service: 5000 };
    talk.client(&mut file, SYN, &get("/1")).service(&mut file, SYN | ACK, "").client(&mut file, ACK, "");
    talk.service(&mut file, ACK, OK).exchange(&mut file, "/2");
    assert_eq!(file.told(), ["/1 complete: 200 complete", "/2 complete: 200 complete"]);
}
