//! A small real HTTP service, built on hyper: it answers each request with what it received, and may record it.
//!
//! The answer lets a client verify that it belongs to its request; the record lets the judge compare what v2 received
//! with what was sent. A request's `x-answer-bytes` header asks for an answer of at least that size.

use std::{
    convert::Infallible,
    fs::File,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::fnv::Fnv;

/// A header with which a client asks for a large answer.
pub const ANSWER_BYTES: &str = "x-answer-bytes";

/// A request as a service received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The target as it was in the request line.
    pub target: String,
    /// The headers: names in lower case, in the order received for each name.
    pub headers: Vec<(String, String)>,
    /// The size of the body, without its framing.
    pub body_bytes: u64,
    /// The FNV-1a hash of the body.
    pub body_hash: String,
    /// The body, if the service was told to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Received {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// How the service behaves.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Where to listen; may be given more than once.
    #[arg(long, required = true)]
    pub listen: Vec<SocketAddr>,
    /// Write each request as one line of JSON to this file.
    #[arg(long)]
    pub record: Option<PathBuf>,
    /// Write the bodies too, as text; for small ones.
    #[arg(long)]
    pub keep_bodies: bool,
    /// Wait so long before each answer.
    #[arg(long, default_value_t = 0)]
    pub delay_ms: u64,
    /// Accept connections and never answer.
    #[arg(long)]
    pub hang: bool,
    /// Speak TLS, with this certificate.
    #[arg(long, requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key.
    #[arg(long)]
    pub tls_key: Option<PathBuf>,
}

/// A line on standard error for a request whose body didn't come to its end begins with this.
pub const INCOMPLETE: &str = "incomplete: ";

/// Serves until the process ends.
///
/// # Errors
/// An address can't be listened on, or the record can't be written.
pub async fn serve(options: Options) -> Result<()> {
    let record = options.record.as_deref().map(Record::create).transpose()?;
    let identity = options.tls_certificate.as_deref().zip(options.tls_key.as_deref());
    let tls = identity.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let service = Arc::new(Service { record, tls, options: options.clone() });
    for address in &options.listen {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        tokio::spawn(accept(listener, Arc::clone(&service)));
    }
    std::future::pending().await
}

struct Service {
    options: Options,
    record: Option<Record>,
    tls: Option<TlsAcceptor>,
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?)))
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&service)))),
            // Out of descriptors, or the client is gone again: the next may do better.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, service: Arc<Service>) {
    if service.options.hang {
        let _open = stream;
        return std::future::pending().await;
    }
    // An answer is written in one piece; waiting for more would only add to what clients measure.
    let _ = stream.set_nodelay(true);
    match &service.tls {
        None => exchange(stream, Arc::clone(&service)).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => exchange(stream, Arc::clone(&service)).await,
            Err(error) => eprintln!("TLS: {error}"),
        },
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>) {
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    // A connection that ends with an error is the client's affair: it counts what it did not get.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Ok(received) = receive(request, self.options.keep_bodies).await else {
            return Response::builder().status(400).body(Full::default()).unwrap_or_default();
        };
        if let Some(record) = &self.record {
            record.add(&received);
        }
        if self.options.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.options.delay_ms)).await;
        }
        Response::new(Full::from(answer_body(&received)))
    }
}

async fn receive(request: Request<Incoming>, keep: bool) -> Result<Received> {
    let (head, mut body) = request.into_parts();
    let (mut hash, mut body_bytes) = (Fnv::default(), 0);
    let mut kept = keep.then(Vec::new);
    while let Some(frame) = body.frame().await {
        let frame = frame.inspect_err(|_| {
            eprintln!("{INCOMPLETE}{} {} after {body_bytes} bytes", head.method, head.uri);
        })?;
        if let Ok(data) = frame.into_data() {
            hash.write(&data);
            body_bytes += data.len() as u64;
            kept.iter_mut().for_each(|kept| kept.extend_from_slice(&data));
        }
    }
    let headers = head.headers.iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(Received {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body_bytes,
        body_hash: hash.hex(),
        body: kept.map(|kept| String::from_utf8_lossy(&kept).into_owned()),
    })
}

/// What a service answers: the request without its headers, padded with spaces if the client asks for more.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The method received.
    pub method: String,
    /// The target received.
    pub target: String,
    /// The size of the body received.
    pub body_bytes: u64,
    /// The hash of the body received.
    pub body_hash: String,
}

fn answer_body(received: &Received) -> Vec<u8> {
    let answer = Answer {
        method: received.method.clone(),
        target: received.target.clone(),
        body_bytes: received.body_bytes,
        body_hash: received.body_hash.clone(),
    };
    let mut body = serde_json::to_vec(&answer).unwrap_or_default();
    let wanted = received.header(ANSWER_BYTES).and_then(|value| value.parse().ok()).unwrap_or(0);
    body.resize(body.len().max(wanted), b' ');
    body
}

/// A file with one line of JSON for each request.
struct Record {
    file: Mutex<File>,
}

impl Record {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// One write for a line, so that a reader never sees half of one that will not be completed.
    fn add(&self, received: &Received) {
        let mut line = serde_json::to_vec(received).unwrap_or_default();
        line.push(b'\n');
        if let Err(error) = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line) {
            eprintln!("record: {error}");
        }
    }
}

/// The requests recorded so far.
///
/// # Errors
/// The file can't be read, or is no record.
pub fn read_record(path: &Path) -> Result<Vec<Received>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    complete.map(|line| serde_json::from_str(line).context("a line of the record")).collect()
}
