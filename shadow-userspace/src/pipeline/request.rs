//! What the pipeline gives: whole requests, to a sink.

use bytes::Bytes;
use shadow_common::FlowKey;

use crate::{
    budget::Reservation,
    http::RequestHead,
    ledger::{DropReason, Ticket},
};

/// A whole request as the client sent it, every byte of it seen.
#[derive(Debug)]
pub struct CapturedRequest {
    /// The duty to say how it ended.
    pub ticket: Ticket,
    /// The connection it came on.
    pub flow: FlowKey,
    /// Capture time of its first segment in nanoseconds ([`crate::capture::Segment::timestamp_ns`]).
    pub timestamp_ns: u64,
    /// Request line and headers.
    pub head: RequestHead,
    /// The body after transfer decoding.
    pub body: Bytes,
    /// Trailer fields of a chunked body, as sent.
    pub trailers: Vec<(Bytes, Bytes)>,
    /// The memory it holds; keep it until the copy was sent.
    pub reservation: Reservation,
}

/// Where captured requests go.
pub trait RequestSink {
    /// Whether a request with this head is worth collecting a body for.
    ///
    /// # Errors
    /// The reason to drop it for.
    fn admit(&self, head: &RequestHead) -> Result<(), DropReason>;

    /// A request is complete. Must not block: the capture thread calls it.
    fn deliver(&mut self, request: CapturedRequest);
}
