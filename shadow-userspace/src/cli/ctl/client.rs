//! One request to an agent over its socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

/// For the whole of it; a reload reads files and may take a while.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer at most.
const MAX_ANSWER: usize = 16 << 20;

/// Why there is no answer, in a line that says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CtlError {
    #[error("no agent has a socket in {}: is an agent running, and are you root?", .0.display())]
    NoAgent(PathBuf),
    #[error("several agents run, give one of them: {0}")]
    Several(String),
    #[error("there is no socket {}: is the agent running?", .0.display())]
    NoSocket(PathBuf),
    #[error("no permission for {}: run this as root, or as the agent's user", .0.display())]
    Denied(PathBuf),
    #[error("nobody listens on {}: the agent that made it is gone", .0.display())]
    Dead(PathBuf),
    #[error("can't talk to the agent on {}: {source}", path.display())]
    Failed { path: PathBuf, source: io::Error },
    #[error("the agent on {} doesn't answer: it may be overloaded, try again", .0.display())]
    Timeout(PathBuf),
    #[error("what answers there is no agent of this version")]
    Unexpected,
    /// In the agent's own words.
    #[error("{0}")]
    Refused(String),
}

impl CtlError {
    pub(super) fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSocket(path),
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            io::ErrorKind::ConnectionRefused => Self::Dead(path),
            _ => Self::Failed { path, source },
        }
    }
}

/// `{"error": reason}`.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// The answer's body, if the agent did what it was asked to.
pub(super) fn call(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
    limit: Duration,
) -> Result<String, CtlError> {
    let failed = |source| CtlError::of(socket, source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let call = async { timeout(limit, exchange(socket, method, path, body)).await };
    runtime.block_on(call).unwrap_or_else(|_| Err(CtlError::Timeout(socket.to_owned())))
}

async fn exchange(socket: &Path, method: Method, path: &str, body: String) -> Result<String, CtlError> {
    let stream = UnixStream::connect(socket).await.map_err(|source| CtlError::of(socket, source))?;
    let failed = |error| CtlError::Failed { path: socket.to_owned(), source: io::Error::other(error) };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with the runtime, or the exchange.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "shadow-agent");
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| CtlError::Unexpected)?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body
        .map_err(|source| CtlError::Failed { path: socket.to_owned(), source: io::Error::other(source) })?;
    let text = String::from_utf8(body.to_bytes().into()).map_err(|_| CtlError::Unexpected)?;
    if status.is_success() {
        return Ok(text);
    }
    let refusal: Refusal = parse(&text)?;
    Err(CtlError::Refused(super::text::line(&refusal.error)))
}

/// What the answer says.
pub(super) fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, CtlError> {
    serde_json::from_str(answer).map_err(|_| CtlError::Unexpected)
}
