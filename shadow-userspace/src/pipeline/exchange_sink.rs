//! What the pipeline gives where both directions of a flow are followed: requests with their responses, part by part.

use bytes::Bytes;
use shadow_common::FlowKey;

use crate::{
    http::{RequestHead, ResponseHead},
    ledger::DropReason,
};

/// A part of an exchange, in the order of its direction; request and response parts may interleave. Times are capture
/// times in nanoseconds ([`crate::capture::Segment::timestamp_ns`]).
#[derive(Debug)]
pub enum ExchangeEvent<'a> {
    /// The request's head.
    RequestHead(RequestHead),
    /// Bytes of its body, without transfer coding; never empty.
    RequestBody(&'a [u8]),
    /// Trailer fields of its chunked body.
    RequestTrailers(Vec<(Bytes, Bytes)>),
    /// Its end, or why it can't be believed or followed to its end. Comes once.
    RequestEnd(Result<(), DropReason>),
    /// The head of an interim (1xx) response; 101 is a final one.
    Interim(ResponseHead),
    /// The head of the final response.
    ResponseHead(ResponseHead),
    /// Bytes of its body, without transfer coding; never empty.
    ResponseBody(&'a [u8]),
    /// So many bytes of its body are missing here; its framing goes on behind them.
    ResponseHole(u64),
    /// Trailer fields of its chunked body.
    ResponseTrailers(Vec<(Bytes, Bytes)>),
    /// Its end, or why it can't be followed to its end. Comes at most once, and only after `ResponseHead`.
    ResponseEnd(Result<(), DropReason>),
}

/// Where exchanges go.
pub trait ExchangeSink {
    /// What is kept of one until it is over.
    type Exchange: std::fmt::Debug;

    /// A request begins. `flow` is its connection, `at_ns` the capture time.
    fn begin(&mut self, flow: &FlowKey, at_ns: u64) -> Self::Exchange;

    /// The next part of it was captured at `at_ns`.
    fn part(&mut self, exchange: &mut Self::Exchange, part: ExchangeEvent<'_>, at_ns: u64);

    /// It is over: both directions are complete, or no more is known of the one that isn't. Exchanges of a flow come in
    /// the order of their requests.
    fn finish(&mut self, exchange: Self::Exchange);
}
