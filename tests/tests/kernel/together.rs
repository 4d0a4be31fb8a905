//! Programs and pipeline together, under random clients: retransmissions, reordering, early answers, bodies that look like
//! requests, forged segments, late notes. Whatever happens, only what was sent as a request is delivered, whole and once.

use std::{collections::BTreeMap, convert::Infallible};

use bytes::Bytes;
use proptest::{
    prelude::Rng as _,
    test_runner::{RngAlgorithm, TestRng},
};
use shadow_common::{
    Counter, FlowKey,
    tcp_flags::{ACK, FIN, RST, SYN},
};
use shadow_userspace::{
    budget::MemoryBudget,
    http::RequestHead,
    ledger::{DropReason, Ledger, Outcome, Ticket},
    pipeline::{Admitted, CapturedRequest, Pipeline, PipelineLimits, RequestSink, Sampler},
};

use crate::{frame::Frame, harness::Kernel, talk::seq};

const DECOY: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const REQUESTS: usize = 5;

/// What was delivered, and how often.
#[derive(Default)]
struct Delivered(BTreeMap<(String, Vec<u8>), usize>);

impl RequestSink for Delivered {
    type Copies = Ticket;
    type Stream = Infallible;

    fn admit(&mut self, _head: &RequestHead, _flow: &FlowKey, ticket: Ticket) -> Option<Admitted<Ticket>> {
        Some(Admitted { copies: ticket, max_body: usize::MAX, stream_above: None })
    }

    fn refuse(&mut self, ticket: Ticket, reason: DropReason) {
        ticket.settle(Outcome::Dropped(reason));
    }

    fn deliver(&mut self, request: CapturedRequest, ticket: Ticket) {
        *self.0.entry((request.head.target().to_owned(), request.body.to_vec())).or_default() += 1;
        ticket.settle(Outcome::Mirrored(200));
    }

    fn begin(&mut self, _request: CapturedRequest, _ticket: Ticket) -> Option<Infallible> {
        None
    }

    fn chunk(&mut self, stream: &mut Infallible, _bytes: Bytes) -> bool {
        match *stream {}
    }

    fn end(&mut self, stream: Infallible, _trailers: Vec<(Bytes, Bytes)>) {
        match stream {}
    }

    fn abort(&mut self, stream: Infallible, _reason: DropReason) {
        match stream {}
    }
}

/// The client's segments as (offset, bytes), the requests in them, and where their heads end.
struct Plan {
    segments: Vec<(usize, Vec<u8>)>,
    requests: Vec<(String, Vec<u8>)>,
    heads: Vec<usize>,
    /// Where the requests begin.
    starts: Vec<usize>,
}

fn plan(next: &mut impl FnMut(usize) -> usize, pipelines: bool) -> Plan {
    let (mut stream, mut cuts, mut requests, mut heads) = (Vec::new(), vec![], vec![], vec![]);
    let mut starts = vec![];
    for number in 0..REQUESTS {
        let body = DECOY.repeat(next(3));
        let chunk = |body: &str| {
            if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) }
        };
        let (framing, wire) = match next(3) {
            0 => ("Transfer-Encoding: chunked\r\n".to_owned(), chunk(&body) + "0\r\n\r\n"),
            _ if body.is_empty() => (String::new(), String::new()),
            _ => (format!("Content-Length: {}\r\n", body.len()), body.clone()),
        };
        if number == 0 || !pipelines || next(4) > 0 {
            cuts.push(stream.len());
        }
        starts.push(stream.len());
        stream.extend(format!("PUT /{number} HTTP/1.1\r\nHost: a\r\n{framing}\r\n").into_bytes());
        heads.push(stream.len());
        cuts.push(stream.len());
        // Each decoy in a segment of its own, or cut anywhere.
        let begins = wire.find("GET").unwrap_or(0);
        cuts.extend((0..2).map(|decoy| stream.len() + begins + decoy * DECOY.len()));
        cuts.push(stream.len() + next(wire.len() + 1));
        stream.extend(wire.into_bytes());
        requests.push((format!("/{number}"), body.into_bytes()));
    }
    cuts.push(stream.len());
    cuts.retain(|cut| *cut <= stream.len());
    cuts.sort_unstable();
    cuts.dedup();
    let part = |pair: &[usize]| (pair[0], stream[pair[0]..pair[1]].to_vec());
    Plan { segments: cuts.windows(2).map(part).collect(), requests, heads, starts }
}

/// What a client does beyond sending its segments and some of them again.
#[derive(Clone, Copy)]
struct Habits {
    /// Sends SYN, FIN and RST that the service ignores. Such a client doesn't pipeline, as that can fool what is taken in
    /// mid-life.
    forges: bool,
    reorders: bool,
}

/// One connection.
struct Trial<'a, N> {
    kernel: &'a mut Kernel,
    next: &'a mut N,
    base: Frame,
    plan: Plan,
    /// Of the client's segments.
    received: Vec<bool>,
    /// Requests that were answered.
    answered: usize,
}

impl<N: FnMut(usize) -> usize> Trial<'_, N> {
    /// Sends everything; says what was delivered.
    fn run(mut self, habits: Habits) -> (Plan, Delivered) {
        let (ledger, mut pipeline) = self.pipeline();
        let seen_before = self.kernel.count(Counter::RequestsFramed);
        self.base.handshake().iter().for_each(|frame| self.kernel.send(frame));
        let mut order: Vec<usize> = (0..self.received.len()).collect();
        for at in 1..order.len() {
            if habits.reorders && (self.next)(8) == 0 {
                order.swap(at - 1, at);
            }
        }
        for step in 0..order.len() {
            self.step(&order[..=step], habits.forges);
            if (self.next)(3) > 0 {
                self.drain(&mut pipeline);
            }
        }
        self.drain(&mut pipeline);
        pipeline.finish(DropReason::Shutdown);
        let stats = pipeline.stats();
        let seen = self.kernel.count(Counter::RequestsFramed) - seen_before + stats.requests_framed;
        let end = ledger.snapshot();
        assert!(end.in_flight() == 0 && end.sampled <= seen, "{seen} seen, {end:?}, {stats:?}");
        (self.plan, std::mem::take(pipeline.sink_mut()))
    }

    fn pipeline(&self) -> (Ledger, Pipeline<Delivered>) {
        let (ledger, budget) = (Ledger::new(), MemoryBudget::new(1 << 20));
        let control = self.kernel.programs.control.clone();
        let mut random = u32::from(self.base.ports.0);
        let sampler = Sampler::new(move |flow| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            control.draw(flow, random)
        });
        let limits = PipelineLimits::default();
        (ledger.clone(), Pipeline::new(limits, ledger, budget, sampler, Delivered::default()))
    }

    /// The client sends the last of the segments `so_far`, and perhaps an earlier one again; the service may answer.
    fn step(&mut self, so_far: &[usize], forges: bool) {
        let Some(&index) = so_far.last() else { return };
        let at = self.plan.segments[index].0;
        let begun = self.plan.starts.iter().filter(|start| **start <= at).count();
        while forges && self.answered + 1 < begun {
            self.answer(at);
        }
        self.send(index);
        if (self.next)(5) == 0 {
            let again = so_far[(self.next)(so_far.len())];
            self.send(again);
        }
        let end = self.received_up_to();
        if forges && (self.next)(6) == 0 {
            let flags = [SYN, SYN, FIN | ACK, RST][(self.next)(4)];
            let far = if flags == SYN { (self.next)(60) } else { 500 + (self.next)(500) };
            self.kernel.send(&Frame { flags, seq: seq((end + far) as i32 - 1), ..self.base.clone() });
        }
        // An answer to each request once its head is there, perhaps early, and in order.
        while self.answered < REQUESTS && self.plan.heads[self.answered] <= end && (self.next)(3) > 0 {
            self.answer(end);
        }
    }

    fn send(&mut self, index: usize) {
        let (offset, payload) = self.plan.segments[index].clone();
        self.kernel.send(&Frame { seq: seq(offset as i32), payload, ..self.base.clone() });
        self.received[index] = true;
    }

    fn answer(&mut self, received: usize) {
        self.answered += 1;
        let (ack, payload) = (seq(received as i32), OK.to_vec());
        self.kernel.send(&Frame { is_answer: true, ack, payload, ..self.base.clone() });
    }

    /// The offset up to which the service has everything.
    fn received_up_to(&self) -> usize {
        let received = self.plan.segments.iter().zip(&self.received).take_while(|(_, received)| **received);
        received.last().map_or(0, |((at, bytes), _)| at + bytes.len())
    }

    /// The agent looks at the ring, and tells the kernel what it knows.
    fn drain(&mut self, pipeline: &mut Pipeline<Delivered>) {
        while self.kernel.record(|segment| pipeline.segment(segment)).is_some() {}
        for note in pipeline.take_notes() {
            self.kernel.programs.control.resync(&note.flow, note.resync).unwrap();
        }
    }
}

/// Connections of each kind.
const TRIALS: usize = 400;

#[test]
fn only_what_was_sent_as_a_request_is_delivered() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut next = move |below: usize| random.next_u32() as usize % below;
    let mut ports = 1..60_000_u16;
    for (rate, forges, reorders) in
        [("100%", false, false), ("40%", false, true), ("100%", true, false), ("30%", true, false)]
    {
        let Some(mut kernel) = Kernel::with(rate, |options| options.max_flows = 16_384) else { return };
        let is_exact = rate == "100%" && !forges;
        let mut total = 0;
        for number in 0..TRIALS {
            kernel.with_tag = number % 2 == 0;
            let plan = plan(&mut next, !forges);
            let base = Frame { ports: (ports.next().unwrap(), 8080), seq: seq(0), ..Frame::default() };
            let received = vec![false; plan.segments.len()];
            let trial = Trial { kernel: &mut kernel, next: &mut next, base, plan, received, answered: 0 };
            let (plan, Delivered(delivered)) = trial.run(Habits { forges, reorders });
            for (request, times) in &delivered {
                let is_right = plan.requests.contains(request) && *times == 1;
                assert!(is_right, "{number} at {rate}, forging {forges}: {times} of {request:?}");
            }
            assert!(!is_exact || delivered.len() == REQUESTS, "{number}: {delivered:?}");
            assert!(kernel.counters().is_balanced());
            total += delivered.len();
        }
        assert!(total > TRIALS / 4, "{rate}: {total}");
    }
}
