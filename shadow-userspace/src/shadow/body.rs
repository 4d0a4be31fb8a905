//! The body of a copy: takes the captured bytes, gives hyper's frames in the client's framing.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

/// A captured body. Its bytes are shared with the capture, not copied.
#[derive(Debug)]
pub struct CopyBody {
    data: Bytes,
    trailers: Option<HeaderMap>,
    /// Chunked and not begun: a last chunk must follow even if there is no data at all.
    owes_last_chunk: bool,
    chunked: bool,
}

impl CopyBody {
    /// No body, or one whose length a header tells.
    #[must_use]
    pub fn sized(data: Bytes) -> Self {
        Self { data, trailers: None, owes_last_chunk: false, chunked: false }
    }

    /// A chunked body; how the client cut its chunks is lost.
    #[must_use]
    pub fn chunked(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { data, trailers, owes_last_chunk: true, chunked: true }
    }

    /// The fields that will follow the last chunk.
    pub(super) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}

impl Body for CopyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.owes_last_chunk = false;
        let frame = if self.data.is_empty() {
            self.trailers.take().map(Frame::trailers)
        } else {
            Some(Frame::data(std::mem::take(&mut self.data)))
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none() && !self.owes_last_chunk
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked { SizeHint::default() } else { SizeHint::with_exact(self.data.len() as u64) }
    }
}
