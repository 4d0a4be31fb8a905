//! What the pipeline gives: requests, to a sink. Whole ones, or, of a large body, one part after the other.

use std::fmt::Debug;

use bytes::Bytes;
use shadow_common::FlowKey;

use crate::{
    budget::Reservation,
    http::RequestHead,
    ledger::{DropReason, Ticket},
};

/// A request as the client sent it, every byte of it seen: whole, or as far as it is there when its copies begin.
#[derive(Debug)]
pub struct CapturedRequest {
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
    /// The memory it holds; keep it until the copies were sent.
    pub reservation: Reservation,
}

/// A request that gets copies.
#[derive(Debug)]
pub struct Admitted<C> {
    /// What the sink keeps of it from here on.
    pub copies: C,
    /// The most bytes that its body may have for any of them.
    pub max_body: usize,
    /// Once its body has more bytes than this its copies begin; none: not before it is complete.
    pub stream_above: Option<usize>,
}

/// Where captured requests go. Nothing here may block: the capture thread calls it.
///
/// Of each request that was admitted comes one of [`Self::deliver`], [`Self::refuse`] and [`Self::begin`]; of each stream
/// that began, unless it was given up, one of [`Self::end`] and [`Self::abort`].
pub trait RequestSink {
    /// What the sink keeps of a request from its head on: its planned copies with their tickets.
    type Copies: Debug + Send;

    /// What it keeps of one whose copies were begun before it was complete.
    type Stream: Debug + Send;

    /// The head is complete. None: the ticket was settled or passed.
    fn admit(&mut self, head: &RequestHead, flow: &FlowKey, ticket: Ticket)
    -> Option<Admitted<Self::Copies>>;

    /// The request won't be complete.
    fn refuse(&mut self, copies: Self::Copies, reason: DropReason);

    /// A request is complete.
    fn deliver(&mut self, request: CapturedRequest, copies: Self::Copies);

    /// A request has a large body, and this much of it is there. None: no copy is left that wants the rest.
    fn begin(&mut self, request: CapturedRequest, copies: Self::Copies) -> Option<Self::Stream>;

    /// The next part of the body. False: no copy is left that wants more.
    fn chunk(&mut self, stream: &mut Self::Stream, bytes: Bytes) -> bool;

    /// The request is complete; trailer fields as sent.
    fn end(&mut self, stream: Self::Stream, trailers: Vec<(Bytes, Bytes)>);

    /// The request won't be complete, so none of its copies may be (invariant 3).
    fn abort(&mut self, stream: Self::Stream, reason: DropReason);
}
