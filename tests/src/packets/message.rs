//! What the two sides say: requests are those of [`crate::plan`], answers are here.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::plan::{Framing, Sent};

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There is none, and no header that speaks of one: 204, 304.
    None,
    /// Content-Length.
    Length,
    /// Content-Length of a body that isn't sent: the answer to HEAD.
    LengthOnly,
    /// Transfer-Encoding: chunked, the chunks of this size.
    Chunked(usize),
    /// The end of the connection.
    Close,
}

/// A final answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// How the body ends.
    pub ending: Ending,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// 200 with a body whose length is said.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, ending: Ending::Length, body: body.into() }
    }

    /// The same with another status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with another end.
    #[must_use]
    pub const fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// The body that the client gets.
    #[must_use]
    pub fn received_body(&self) -> &[u8] {
        if matches!(self.ending, Ending::None | Ending::LengthOnly) { &[] } else { &self.body }
    }

    /// The answer as bytes for the wire.
    #[must_use]
    pub fn wire(&self) -> Bytes {
        let mut wire = BytesMut::with_capacity(self.body.len() + 256);
        wire.put_slice(format!("HTTP/1.1 {} Status\r\nServer: script\r\n", self.status).as_bytes());
        match self.ending {
            Ending::None => wire.put_slice(b"\r\n"),
            Ending::Length | Ending::LengthOnly => {
                wire.put_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
                wire.put_slice(self.received_body());
            }
            Ending::Chunked(size) => {
                wire.put_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(size.max(1)) {
                    wire.put_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    wire.put_slice(chunk);
                    wire.put_slice(b"\r\n");
                }
                wire.put_slice(b"0\r\n\r\n");
            }
            Ending::Close => {
                wire.put_slice(b"Connection: close\r\n\r\n");
                wire.put_slice(&self.body);
            }
        }
        wire.freeze()
    }
}

/// A request without a body.
#[must_use]
pub fn get(target: &str) -> Sent {
    with_body("GET", target, Framing::None, Vec::new())
}

/// A request with a body whose length is said.
#[must_use]
pub fn post(target: &str, body: Vec<u8>) -> Sent {
    with_body("POST", target, Framing::Length, body)
}

/// A request with a chunked body.
#[must_use]
pub fn post_chunked(target: &str, body: Vec<u8>) -> Sent {
    with_body("POST", target, Framing::Chunked, body)
}

/// Any request, for the host `shop.example`.
#[must_use]
pub fn with_body(method: &str, target: &str, framing: Framing, body: Vec<u8>) -> Sent {
    let headers =
        vec![("Host".to_owned(), "shop.example".to_owned()), ("Accept".to_owned(), "*/*".to_owned())];
    Sent { method: method.to_owned(), target: target.to_owned(), headers, framing, body }
}
