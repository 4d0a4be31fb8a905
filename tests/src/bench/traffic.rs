//! What passes the gateway while it is measured: the same request again and again, each after the answer to the one
//! before, over a few kept connections.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use crate::{child::Child, lab::Lab, load::Connection, netns::Namespace, scene};

/// A port of the service that the programs don't look at.
pub const OTHER_PORT: u16 = 9090;

/// Requests from one end of the lab's wire to the other.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// The request as it is on the wire.
    pub request: Vec<u8>,
    /// How many there are.
    pub requests: u32,
    /// Over how many connections, all at once.
    pub connections: u32,
}

impl Traffic {
    /// GETs of a size in bytes, at least 64: head and all.
    #[must_use]
    pub fn gets(size: usize, requests: u32) -> Self {
        let end = "\r\n\r\n";
        let start = "GET /items/1 HTTP/1.1\r\nHost: shop.example\r\nCookie: s=";
        let padding = "x".repeat(size.saturating_sub(start.len() + end.len()));
        Self { request: format!("{start}{padding}{end}").into_bytes(), requests, connections: 8 }
    }

    /// POSTs with a body of so many bytes, the head not counted.
    #[must_use]
    pub fn posts(body: usize, requests: u32) -> Self {
        let head = format!("POST /items HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {body}\r\n\r\n");
        let mut request = head.into_bytes();
        request.resize(request.len() + body, b'x');
        Self { request, requests, connections: 8 }
    }

    /// Sends it from `client` to the end and says how long that took.
    ///
    /// # Errors
    /// A request isn't answered with 200.
    pub fn run(&self, client: &Namespace, to: SocketAddr) -> Result<Duration> {
        client.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let start = Instant::now();
            runtime.block_on(self.send(to))?;
            Ok(start.elapsed())
        })
    }

    async fn send(&self, to: SocketAddr) -> Result<()> {
        let mut users = JoinSet::new();
        for user in 0..self.connections {
            let count = self.requests / self.connections + u32::from(user < self.requests % self.connections);
            let request = self.request.clone();
            users.spawn(async move {
                let mut connection = Connection::open(to).await?;
                for _ in 0..count {
                    let status = connection.ask(&request).await?.status;
                    ensure!(status == 200, "the service answered with status {status}");
                }
                Ok(())
            });
        }
        while let Some(user) = users.join_next().await {
            user.context("a user's task")??;
        }
        Ok(())
    }
}

/// Starts the service that answers it, on the service port and on one that isn't.
///
/// # Errors
/// It doesn't listen.
pub fn service(lab: &Lab, shadow_lab: &std::path::Path) -> Result<Child> {
    let to = lab.v1_address(crate::lab::Family::V4);
    scene::serve(lab, &lab.gateway, shadow_lab, &[to, SocketAddr::new(to.ip(), OTHER_PORT)], &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_their_size_and_a_whole_head() {
        for size in [64, 1448] {
            let request = Traffic::gets(size, 1).request;
            assert_eq!(request.len(), size);
            assert!(request.ends_with(b"\r\n\r\n"));
        }
        let request = Traffic::posts(1000, 1).request;
        let head = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(request.len() - head, 1000);
    }
}
