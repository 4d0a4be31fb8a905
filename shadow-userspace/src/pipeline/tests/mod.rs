//! Segments in, captured requests and settled tickets out: a pipeline on a test bench, and a client to drive it.

mod exchanges;
mod first_byte;
mod holes;
mod life;
mod limits;
mod losses;
mod midlife;
mod model;
mod notes;
mod once;
mod random;
mod runs;
mod streams;
mod traffic;

use std::collections::VecDeque;

use bytes::Bytes;
use shadow_common::{FlowKey, tcp_flags::PSH};

use super::*;
use crate::{
    capture::Run,
    http::{BodyFraming, RequestHead},
    ledger::{Outcome, Snapshot, Ticket},
};

/// A request in the sample, of which the kernel knows the end.
const FRAMED: u8 = marks::SAMPLED;
/// A run that begins with a request of the sample.
const OPENED: u8 = marks::SAMPLED | marks::OPEN;
/// A run that begins with a request outside the sample.
const PASSED: u8 = marks::OPEN;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;

/// Something that happens to a client's flow.
type Act = fn(&mut Rig, &mut Client);

/// A byte is missing, and doesn't come in time.
fn hole(rig: &mut Rig, client: &mut Client) {
    client.skip(1);
    rig.take(client.send("d"));
    rig.wait(4 * SECOND);
}

/// What comes behind a missing byte comes twice, and differs.
fn conflict(rig: &mut Rig, client: &mut Client) {
    client.skip(1);
    rig.take({ *client }.send("d"));
    rig.take(client.send("x"));
}

/// Behind a missing byte comes more than may be held.
fn memory(rig: &mut Rig, client: &mut Client) {
    client.skip(1);
    rig.take(client.send(&"x".repeat(5000)));
}
/// A record of a client's flow.
type Make = fn(&mut Client) -> Segment<'static>;

/// Keeps what is delivered; refuses heads with an `X-Refuse` header. Streams if told to.
#[derive(Debug)]
struct Kept {
    requests: Vec<(CapturedRequest, Ticket)>,
    max_body: usize,
    stream_above: Option<usize>,
    /// So many chunks are taken of a stream.
    max_chunks: usize,
    streams: Vec<Streamed>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            max_body: 1 << 30,
            stream_above: None,
            max_chunks: usize::MAX,
            streams: Vec::new(),
        }
    }
}

/// What was begun before it was complete.
#[derive(Debug)]
struct Streamed {
    request: CapturedRequest,
    chunks: Vec<Bytes>,
    trailers: usize,
    end: Option<Result<(), DropReason>>,
    ticket: Option<Ticket>,
}

impl Streamed {
    fn body(&self) -> Vec<u8> {
        [&*self.request.body, &*self.chunks.concat()].concat()
    }
}

impl RequestSink for Kept {
    type Copies = Ticket;
    /// Its place.
    type Stream = usize;

    fn admit(&mut self, head: &RequestHead, _flow: &FlowKey, ticket: Ticket) -> Option<Admitted<Ticket>> {
        let too_large = match head.framing() {
            BodyFraming::Length(length) => length > self.max_body as u64,
            _ => false,
        };
        let reason = match too_large {
            true => DropReason::BodyTooLarge,
            false if head.header("x-refuse").is_some() => DropReason::Loop,
            false => {
                let (max_body, stream_above) = (self.max_body, self.stream_above);
                return Some(Admitted { copies: ticket, max_body, stream_above });
            }
        };
        ticket.settle(Outcome::Dropped(reason));
        None
    }

    fn refuse(&mut self, ticket: Ticket, reason: DropReason) {
        ticket.settle(Outcome::Dropped(reason));
    }

    fn deliver(&mut self, request: CapturedRequest, ticket: Ticket) {
        self.requests.push((request, ticket));
    }

    fn begin(&mut self, request: CapturedRequest, ticket: Ticket) -> Option<usize> {
        let (chunks, ticket) = (Vec::new(), Some(ticket));
        self.streams.push(Streamed { request, chunks, trailers: 0, end: None, ticket });
        Some(self.streams.len() - 1)
    }

    fn chunk(&mut self, stream: &mut usize, bytes: Bytes) -> bool {
        let max_chunks = self.max_chunks;
        let stream = &mut self.streams[*stream];
        let is_wanted = stream.chunks.len() < max_chunks;
        if is_wanted {
            stream.chunks.push(bytes);
        } else {
            stream.ticket.take().unwrap().settle(Outcome::Dropped(DropReason::Backlog));
        }
        is_wanted
    }

    fn end(&mut self, stream: usize, trailers: Vec<(Bytes, Bytes)>) {
        let stream = &mut self.streams[stream];
        assert_eq!(stream.end.replace(Ok(())), None);
        stream.trailers = trailers.len();
        stream.ticket.take().unwrap().settle(Outcome::Mirrored(200));
    }

    fn abort(&mut self, stream: usize, reason: DropReason) {
        let stream = &mut self.streams[stream];
        assert_eq!(stream.end.replace(Err(reason)), None);
        stream.ticket.take().unwrap().settle(Outcome::Dropped(reason));
    }
}

/// A pipeline, and the time on its capture's clock.
struct Rig {
    pipeline: Pipeline<Kept>,
    ledger: Ledger,
    budget: MemoryBudget,
    now_ns: u64,
}

impl Rig {
    fn new() -> Self {
        Self::within(PipelineLimits::default(), 1 << 30)
    }

    fn within(limits: PipelineLimits, memory: usize) -> Self {
        Self::drawing(limits, memory, Sampler::all())
    }

    /// Whose sink takes bodies up to so many bytes.
    fn taking(max_body: usize) -> Self {
        let mut rig = Self::within(PipelineLimits::default(), 1 << 20);
        rig.pipeline.sink_mut().max_body = max_body;
        rig
    }

    /// Draws as told, and then for every request.
    fn scripted(draws: &[bool]) -> Self {
        let mut draws = VecDeque::from(draws.to_vec());
        let sampler = Sampler::new(move |_| draws.pop_front().unwrap_or(true));
        Self::drawing(PipelineLimits::default(), 1 << 30, sampler)
    }

    fn drawing(limits: PipelineLimits, memory: usize, sampler: Sampler) -> Self {
        let (ledger, budget) = (Ledger::new(), MemoryBudget::new(memory));
        let pipeline = Pipeline::new(limits, ledger.clone(), budget.clone(), sampler, Kept::default());
        Self { pipeline, ledger, budget, now_ns: 5 * SECOND }
    }

    /// Takes a segment a millisecond after the one before.
    fn take(&mut self, segment: Segment<'_>) {
        self.now_ns += MS;
        self.pipeline.segment(&Segment { timestamp_ns: self.now_ns, ..segment });
    }

    fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
        self.pipeline.tick(self.now_ns);
    }

    /// What the kernel is told, as (run, what, next), both places as offsets of the clients' streams.
    fn notes(&mut self) -> Vec<(u32, &'static str, u32)> {
        let offset = |seq: u32| seq.wrapping_sub(FIRST);
        let told = |Note { resync: Resync { run, next, what }, is_forgotten, .. }| match what {
            Resync::RESUME if is_forgotten => (offset(run), "forgotten", offset(next)),
            Resync::RESUME => (offset(run), "resume", offset(next)),
            Resync::LEAVE => (offset(run), "leave", next),
            _ => (offset(run), "lost", next),
        };
        self.pipeline.take_notes().map(told).collect()
    }

    fn stats(&self) -> FlowStats {
        self.pipeline.stats()
    }

    fn snapshot(&self) -> Snapshot {
        self.ledger.snapshot()
    }

    fn drops(&self) -> Vec<(DropReason, u64)> {
        self.snapshot().drops().collect()
    }

    /// Method, target and body of what was delivered so far.
    fn delivered(&self) -> Vec<(String, Vec<u8>)> {
        let describe = |(request, _): &(CapturedRequest, Ticket)| {
            (format!("{} {}", request.head.method(), request.head.target()), request.body.to_vec())
        };
        self.pipeline.sink().requests.iter().map(describe).collect()
    }

    fn targets(&self) -> Vec<String> {
        self.delivered().into_iter().map(|(target, _)| target).collect()
    }

    /// Everything delivered so far was mirrored.
    fn send_copies(&mut self) {
        for (_, ticket) in self.pipeline.sink_mut().requests.drain(..) {
            ticket.settle(Outcome::Mirrored(200));
        }
    }

    /// Ends the capture and checks that everything is settled or delivered, and all memory given back.
    fn finish(&mut self) {
        self.pipeline.finish(DropReason::Shutdown);
        let delivered = &self.pipeline.sink().requests;
        let end = self.snapshot();
        assert_eq!(end.sampled, delivered.len() as u64 + end.mirrored() + end.dropped());
        assert_eq!(end.in_flight(), delivered.len() as u64);
        assert!(end.drops().all(|(reason, _)| reason != DropReason::Abandoned));
        let trailers = |request: &CapturedRequest| -> usize {
            request.trailers.iter().map(|(name, value)| name.len() + value.len()).sum()
        };
        let held: usize = delivered
            .iter()
            .map(|(request, _)| request.head.memory() + request.body.len() + trailers(request))
            .sum();
        assert!(self.budget.used() >= held);
        self.send_copies();
        self.pipeline.sink_mut().streams.clear();
        assert_eq!((self.snapshot().in_flight(), self.budget.used(), self.stats().flows_open), (0, 0, 0));
    }
}

/// The first byte of the clients' streams: the sequence numbers wrap soon after it.
const FIRST: u32 = u32::MAX - 19;

/// A client's side of a connection.
#[derive(Clone, Copy)]
struct Client {
    flow: FlowKey,
    isn: u32,
    next: u32,
    /// Of the segments that it sends from here on.
    run: Run,
}

impl Client {
    fn new(port: u16) -> Self {
        Self::at(port, FIRST)
    }

    /// Whose stream begins at `first`, with an open run that begins there.
    fn at(port: u16, first: u32) -> Self {
        let flow = FlowKey { client_port: port, service_port: 80, ..FlowKey::default() };
        Self { flow, isn: first.wrapping_sub(1), next: first, run: Run { start: first, mark: OPENED } }
    }

    /// A run begins here.
    fn enter(&mut self, mark: u8) -> &mut Self {
        self.run = Run { start: self.next, mark };
        self
    }

    /// The same run, with these marks from here on.
    fn mark(&mut self, mark: u8) -> &mut Self {
        self.run.mark = mark;
        self
    }

    /// A segment that begins here, of the run as it is now.
    fn part<'a>(&self, flags: u8, payload: &'a [u8]) -> Segment<'a> {
        Segment { run: self.run, ..Self::segment(self.flow, self.next, flags, payload) }
    }

    /// A record without payload and of no run, from the client.
    fn control(&self, flags: u8) -> Segment<'static> {
        Self::segment(self.flow, self.next, flags, &[])
    }

    /// A record without payload from the service, with these marks.
    fn news(&self, mark: u8) -> Segment<'static> {
        Segment { run: Run { mark, ..self.run }, ..self.answer(0) }
    }

    fn segment(flow: FlowKey, seq: u32, flags: u8, payload: &[u8]) -> Segment<'_> {
        Segment {
            flow,
            direction: Direction::ToService,
            seq,
            ack: 0,
            flags,
            timestamp_ns: 0,
            run: Run::default(),
            payload_len: u32::try_from(payload.len()).unwrap(),
            payload,
        }
    }

    fn syn<'a>(&mut self, payload: &'a [u8]) -> Segment<'a> {
        self.next = self.isn.wrapping_add(1).wrapping_add(u32::try_from(payload.len()).unwrap());
        Segment { run: self.run, ..Self::segment(self.flow, self.isn, SYN, payload) }
    }

    fn send<'a>(&mut self, payload: &'a (impl AsRef<[u8]> + ?Sized)) -> Segment<'a> {
        let segment = self.part(ACK | PSH, payload.as_ref());
        self.skip(payload.as_ref().len());
        segment
    }

    /// Bytes that are lost.
    fn skip(&mut self, bytes: usize) {
        self.next = self.next.wrapping_add(u32::try_from(bytes).unwrap());
    }

    fn with(&self, flags: u8) -> Segment<'static> {
        self.part(flags | ACK, &[])
    }

    fn answer(&self, flags: u8) -> Segment<'static> {
        let ack = self.isn.wrapping_add(1);
        let segment = Self::segment(self.flow, 7, flags | ACK, &[]);
        Segment { direction: Direction::FromService, ack, ..segment }
    }

    /// Connects, and sends each of `parts` as a segment.
    fn connect(rig: &mut Rig, port: u16, parts: &[&str]) -> Self {
        let mut client = Self::new(port);
        rig.take(client.syn(b""));
        for part in parts {
            rig.take(client.send(*part));
        }
        client
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(lines: &str, body: &str) -> String {
    format!("POST /post HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")
}

fn sized(body: &str) -> String {
    post(&format!("Content-Length: {}\r\n", body.len()), body)
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
/// A request of which the last byte of the body is missing.
const OPEN: &str = "POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab";
/// The same with a body of unknown length.
const OPEN_CHUNKED: &str = "POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab";
