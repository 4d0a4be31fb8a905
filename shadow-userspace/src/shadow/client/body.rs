//! The body of a copy: takes the captured bytes, gives hyper's frames in the client's framing.
//!
//! A body that is streamed is never completed towards v2 unless its writer says that it is complete (invariant 3).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

mod stream;

use stream::Reader;
pub use stream::{BodyAborted, BodyEnd, BodyLag, BodyWriter, Room, Watch};

/// A captured body. Its bytes are shared with the capture, not copied.
#[derive(Debug)]
pub struct CopyBody {
    content: Content,
    chunked: bool,
}

#[derive(Debug)]
enum Content {
    Whole {
        data: Bytes,
        trailers: Option<HeaderMap>,
        /// Chunked and not begun: a last chunk must follow even if there is no data at all.
        owes_last_chunk: bool,
    },
    Stream(Reader),
}

impl CopyBody {
    /// No body, or one whose length a header tells.
    #[must_use]
    pub const fn sized(data: Bytes) -> Self {
        Self { content: Content::Whole { data, trailers: None, owes_last_chunk: false }, chunked: false }
    }

    /// A chunked body; how the client cut its chunks is lost.
    #[must_use]
    pub const fn chunked(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { content: Content::Whole { data, trailers, owes_last_chunk: true }, chunked: true }
    }

    /// A body that arrives while it is sent: of `length` bytes as a header tells, or chunked. At most `buffer` bytes of
    /// it wait for v2, or one piece if that is larger; and of all bodies in the same room no more than fits in there.
    #[must_use]
    pub fn stream(length: Option<u64>, buffer: usize, room: &Room) -> (BodyWriter, Self) {
        let (writer, reader) = stream::channel(length, buffer, room);
        (writer, Self { content: Content::Stream(reader), chunked: length.is_none() })
    }

    /// Watches how the writer ends the body.
    pub(in crate::shadow) fn watch(&self) -> Watch {
        match &self.content {
            Content::Whole { .. } => Watch::complete(),
            Content::Stream(reader) => reader.watch(),
        }
    }
}

impl Body for CopyBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        match &mut self.content {
            Content::Whole { data, trailers, owes_last_chunk } => {
                *owes_last_chunk = false;
                let frame = if data.is_empty() {
                    trailers.take().map(Frame::trailers)
                } else {
                    Some(Frame::data(std::mem::take(data)))
                };
                Poll::Ready(frame.map(Ok))
            }
            Content::Stream(reader) => reader.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole { data, trailers, owes_last_chunk } => {
                data.is_empty() && trailers.is_none() && !owes_last_chunk
            }
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            _ if self.chunked => SizeHint::default(),
            Content::Whole { data, .. } => SizeHint::with_exact(data.len() as u64),
            Content::Stream(reader) => reader.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
