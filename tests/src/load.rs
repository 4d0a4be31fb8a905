//! Users: connections that send a plan's requests, verify every answer and measure how long it took.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::{Buf as _, BytesMut};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    netns::Namespace,
    plan::{Plan, Sent},
    service::Answer,
};

/// No answer may take longer: the real path is a local one.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// How late the runtime's timer may be.
const TIMER: Duration = Duration::from_millis(2);

/// A load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// What.
    pub plan: Plan,
    /// How many requests.
    pub requests: u32,
    /// Over how many connections at once.
    pub connections: u32,
    /// How many requests a connection carries before it is closed for a new one; none: all.
    pub requests_per_connection: Option<u32>,
    /// How many requests begin per second; none: each as soon as the one before it is answered.
    pub rate: Option<f64>,
    /// Set to end early: no new requests are begun.
    pub stop: Arc<AtomicBool>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The numbers of requests that were begun: `0..sent`.
    pub sent: u32,
    /// Requests whose answer was the right one.
    pub correct: u32,
    /// What went wrong, one line each.
    pub errors: Vec<String>,
    /// Microseconds from when a request was due, or could be sent, to the end of its answer.
    pub latency: Histogram<u64>,
}

impl Load {
    /// A load that sends `requests` of a plan over keep-alive `connections`.
    #[must_use]
    pub fn new(address: SocketAddr, plan: Plan, requests: u32, connections: u32) -> Self {
        let stop = Arc::default();
        Self { address, plan, requests, connections, requests_per_connection: None, rate: None, stop }
    }

    /// Runs it from a namespace.
    ///
    /// # Errors
    /// It can't be run at all; what goes wrong with requests is in the report.
    pub fn run(&self, from: &Namespace) -> Result<Report> {
        from.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.run_here())
        })
    }

    async fn run_here(&self) -> Result<Report> {
        let next = Arc::new(AtomicU32::new(0));
        let start = Instant::now();
        let mut users = JoinSet::new();
        for _ in 0..self.connections {
            users.spawn(user(self.clone(), Arc::clone(&next), start));
        }
        let mut total = Report { sent: 0, correct: 0, errors: Vec::new(), latency: histogram()? };
        while let Some(report) = users.join_next().await {
            let report = report.context("a user's task")??;
            total.sent += report.sent;
            total.correct += report.correct;
            total.errors.extend(report.errors);
            total.latency.add(&report.latency)?;
        }
        Ok(total)
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// One connection at a time until no request is left.
async fn user(load: Load, next: Arc<AtomicU32>, start: Instant) -> Result<Report> {
    let mut report = Report { sent: 0, correct: 0, errors: Vec::new(), latency: histogram()? };
    let mut connection: Option<Connection> = None;
    while !load.stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.requests {
            break;
        }
        let request = load.plan.request(number);
        let wire = request.wire();
        let due = match load.rate {
            Some(rate) => start + Duration::from_secs_f64(f64::from(number) / rate),
            None => Instant::now(),
        };
        sleep_until(due).await;
        // A user who is held up by an earlier answer has waited since then; one who was woken late by the timer hasn't.
        let begin = if due.elapsed() > TIMER { due } else { Instant::now() };
        report.sent += 1;
        let answer = timeout(ANSWER_LIMIT, exchange(&mut connection, &load, &wire)).await;
        let took = begin.elapsed();
        let late = || Err(anyhow!("no answer in {ANSWER_LIMIT:?}"));
        match answer.unwrap_or_else(|_| late()).and_then(|answer| verify(&request, &answer)) {
            Ok(()) => {
                report.correct += 1;
                report.latency.saturating_record(u64::try_from(took.as_micros())?);
            }
            Err(error) => {
                report.errors.push(format!("{}: {error:#}", load.plan.id(number)));
                connection = None;
            }
        }
    }
    Ok(report)
}

/// Sends a request over the connection, or over a new one, and keeps it if it may carry more.
async fn exchange(connection: &mut Option<Connection>, load: &Load, request: &[u8]) -> Result<HttpAnswer> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(load.address).await?,
    };
    let answer = open.ask(request).await?;
    if load.requests_per_connection.is_none_or(|limit| open.asked < limit) {
        *connection = Some(open);
    }
    Ok(answer)
}

fn verify(request: &Sent, answer: &HttpAnswer) -> Result<()> {
    ensure!(answer.status == 200, "status {}", answer.status);
    let expected = Answer {
        method: request.method.clone(),
        target: request.target.clone(),
        body_bytes: request.body.len() as u64,
        body_hash: request.body_hash(),
    };
    let found: Answer = serde_json::from_slice(&answer.body).context("the answer's body")?;
    ensure!(found == expected, "the answer belongs to another request: {found:?}, expected {expected:?}");
    Ok(())
}

/// A client connection for HTTP/1.1.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    asked: u32,
}

/// An answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(4096), asked: 0 })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("write the request")
    }

    /// Ends it with a reset, as a user does who is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn reset(self) -> Result<()> {
        self.stream.set_zero_linger().context("reset the connection")
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection is gone, or the answer is not one.
    pub async fn ask(&mut self, request: &[u8]) -> Result<HttpAnswer> {
        self.asked += 1;
        self.send(request).await?;
        self.answer().await
    }

    /// Reads the next answer.
    ///
    /// # Errors
    /// The connection ends before it does, or it isn't HTTP/1.1 with a Content-Length.
    pub async fn answer(&mut self) -> Result<HttpAnswer> {
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break self.buffer.split_to(end + 4);
            }
            self.fill().await?;
        };
        let head = std::str::from_utf8(&head).context("the answer's head")?;
        let status =
            head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status line")?;
        let length = header(head, "content-length").and_then(|value| value.parse().ok());
        let length: usize = length.context("an answer without Content-Length")?;
        while self.buffer.len() < length {
            self.fill().await?;
        }
        let body = self.buffer[..length].to_vec();
        self.buffer.advance(length);
        Ok(HttpAnswer { status, body })
    }

    async fn fill(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await.context("read the answer")? == 0 {
            bail!("the connection ended before the answer did");
        }
        Ok(())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
