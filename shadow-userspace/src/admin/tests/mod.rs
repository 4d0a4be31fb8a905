//! The server as callers see it, with an agent that does nothing behind it.

mod answers;
mod limits;

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{
    server::{AdminServer, Limits, Listeners},
    testing::{Directory, FakeAgent},
};
use crate::config::{AdminConfig, AdminSocket};

const TOKEN: &str = "0123456789abcdef";

/// Long enough for a slow machine; nothing waits so long that works.
const SOON: Duration = Duration::from_secs(20);

/// A server with its agent, on TCP and on a socket.
struct Served {
    agent: Arc<FakeAgent>,
    address: SocketAddr,
    socket: PathBuf,
    server: AdminServer,
    _directory: Directory,
    _release: Release,
}

/// Lets what a test held go on, so that one that fails doesn't wait for it for ever.
struct Release(Arc<FakeAgent>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

impl Served {
    /// With a token file or without.
    fn start(with_token: bool, limits: Limits) -> Self {
        let directory = Directory::new();
        let token_file = with_token.then(|| {
            let path = directory.path().join("token");
            fs::write(&path, TOKEN).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        });
        let config = AdminConfig {
            listen: Some(([127, 0, 0, 1], 0).into()),
            socket: AdminSocket::At(directory.path().join("a.sock")),
            token_file,
        };
        let listeners = Listeners::bind(&config).unwrap();
        let agent = Arc::new(FakeAgent::new(&["pets"]));
        let (address, socket) = (listeners.address().unwrap(), listeners.socket().unwrap().to_owned());
        let server = listeners.serve_within(agent.clone(), limits).unwrap();
        let release = Release(Arc::clone(&agent));
        Self { agent, address, socket, server, _directory: directory, _release: release }
    }

    async fn tcp(&self, request: &str) -> Answered {
        exchange(TcpStream::connect(self.address).await.unwrap(), request).await
    }

    async fn unix(&self, request: &str) -> Answered {
        exchange(UnixStream::connect(&self.socket).await.unwrap(), request).await
    }
}

/// An answer.
#[derive(Debug)]
struct Answered {
    status: u16,
    /// Lower-cased.
    head: String,
    body: String,
}

impl Answered {
    fn error(&self) -> String {
        let object: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        object["error"].as_str().unwrap().to_owned()
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answered {
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    };
    let answer = timeout(SOON, exchange).await.expect("an answer in time");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: whatever\r\n\r\n")
}

fn post(path: &str, more: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
}

const JSON: &str = "Content-Type: application/json\r\n";
