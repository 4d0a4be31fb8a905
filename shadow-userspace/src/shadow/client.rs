//! The client towards v2: takes a copy, gives its outcome once v2 has answered or failed to.
//!
//! The answer is read to its end and discarded. A copy is never sent twice: v2 may have processed what it didn't
//! answer. (hyper's pool does repeat a copy of which no byte was written, on a kept connection that v2 closed.)

use std::{error::Error, io, time::Duration};

use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    ledger::{FailReason, Outcome},
    shadow::{
        body::CopyBody,
        connect::{Connector, OWN_MARK, Retired},
        upstream::Upstream,
    },
};

/// How copies are sent.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// For the whole copy: connecting, sending and the answer's last byte.
    pub timeout: Duration,
    /// For connecting alone, name resolution included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the 5 s after which Node.js, Apache and uvicorn close, so
    /// that a copy seldom meets a connection that v2 is just closing; a new connection every few seconds costs
    /// nothing.
    pub idle_timeout: Duration,
    /// Unused connections that are kept at most.
    pub max_idle: usize,
    /// Body bytes of an answer that are read at most; beyond, the connection is closed and the copy done.
    pub max_response: u64,
    /// SO_MARK of the sockets; 0 for none.
    pub own_mark: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(4),
            max_idle: 256,
            max_response: 16 << 20,
            own_mark: OWN_MARK,
        }
    }
}

/// Sends copies to one upstream; clones share their connections.
#[derive(Clone, Debug)]
pub struct ShadowClient {
    upstream: Upstream,
    client: Client<Connector, CopyBody>,
    connector: Connector,
    timeout: Duration,
    max_response: u64,
}

impl ShadowClient {
    /// A client without connections yet.
    #[must_use]
    pub fn new(upstream: Upstream, options: &ClientOptions) -> Self {
        let connector = Connector::new(upstream.clone(), options.connect_timeout, options.own_mark);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.max_idle)
            .set_host(false)
            .build(connector.clone());
        Self { upstream, client, connector, timeout: options.timeout, max_response: options.max_response }
    }

    /// Where the copies go.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connector.opened()
    }

    /// Sends `copy` and waits for the answer's end.
    pub async fn send(&self, copy: Request<CopyBody>) -> Outcome {
        match tokio::time::timeout(self.timeout, self.exchange(copy)).await {
            Ok(Ok(status)) => Outcome::Mirrored(status),
            Ok(Err(reason)) => Outcome::Failed(reason),
            Err(_) => Outcome::Failed(FailReason::Timeout),
        }
    }

    async fn exchange(&self, copy: Request<CopyBody>) -> Result<u16, FailReason> {
        let response = self
            .client
            .request(copy)
            .await
            .map_err(|error| if error.is_connect() { FailReason::Connect } else { reason(&error) })?;
        let connection = response.extensions().get::<Retired>().cloned();
        let version = response.version();
        let status = self.discard(response).await?;
        if version == Version::HTTP_10
            && let Some(connection) = connection
        {
            // hyper would speak HTTP/1.0 on it from now on, where a chunked body can't be sent.
            connection.retire();
        }
        Ok(status)
    }

    /// Reads the answer to its end, or to the limit. Dropping an unfinished body closes its connection.
    async fn discard(&self, response: Response<Incoming>) -> Result<u16, FailReason> {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut left = self.max_response;
        while let Some(frame) = body.frame().await {
            let length = frame.map_err(|error| reason(&error))?.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(length as u64) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        Ok(status)
    }
}

/// What an error on an established connection means. The innermost cause that says anything decides.
fn reason(error: &(dyn Error + 'static)) -> FailReason {
    let mut decided = None;
    let mut cause = Some(error);
    while let Some(error) = cause {
        decided = reason_of_one(error).or(decided);
        cause = error.source();
    }
    decided.unwrap_or(FailReason::Protocol)
}

fn reason_of_one(error: &(dyn Error + 'static)) -> Option<FailReason> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        let closed = error.is_canceled()
            || error.is_closed()
            || error.is_incomplete_message()
            || error.is_body_write_aborted();
        return match () {
            () if error.is_parse() => Some(FailReason::Protocol),
            () if error.is_user() => Some(FailReason::Unsendable),
            () if closed => Some(FailReason::Reset),
            // Bytes that belong to no request.
            () if error.source().is_none() => Some(FailReason::Protocol),
            () => None,
        };
    }
    // Bad chunk sizes come as InvalidInput or InvalidData; an end before the body's is UnexpectedEof.
    error.downcast_ref::<io::Error>().map(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => FailReason::Protocol,
        _ => FailReason::Reset,
    })
}

#[cfg(test)]
mod tests;
