//! What is made of a flow's decoded parts: the seam between following a flow and what it is followed for.
//!
//! [`Assembly`](super::assembly::Assembly) collects whole requests, [`Exchanges`](super::exchanges::Exchanges) tells of
//! requests and responses part by part.

use std::fmt::Debug;

use shadow_common::FlowKey;

use super::{Shared, run::CurrentRun};
use crate::{
    http::{RequestEvent, ResponseEvent, ResponseTo},
    ledger::DropReason,
    tcp::Seq,
};

/// Where and when a part was captured.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The connection.
    pub flow: &'a FlowKey,
    /// Capture time in nanoseconds.
    pub ns: u64,
    /// Of bytes of the client's: where those begin that are being taken.
    pub from: Seq,
}

impl<'a> At<'a> {
    /// Of something other than bytes of the client's.
    #[must_use]
    pub fn new(flow: &'a FlowKey, ns: u64) -> Self {
        Self { flow, ns, from: Seq(0) }
    }
}

/// A request that waits for its response.
#[derive(Clone, Copy, Debug)]
pub struct Awaited {
    /// What the response's framing depends on.
    pub to: ResponseTo,
    /// A place in the client's direction where the request hadn't begun yet, or begins.
    pub from: Seq,
}

/// What is made of one flow's decoded parts, for a sink of type `S`. Keeps invariant 2: of each request in the sample it
/// tells the sink, or the ledger, once how it ended.
pub trait Assemble<S>: Debug + Default {
    /// Whether responses are followed too.
    const RESPONSES: bool;

    /// Takes the next event of the request decoder.
    fn request(&mut self, event: RequestEvent<'_>, at: At<'_>, run: &mut CurrentRun, shared: &mut Shared<S>);

    /// Drops the request that is under way, if it wasn't dropped yet; says whether one was under way at all.
    fn drop_open(&mut self, reason: DropReason, at: At<'_>, shared: &mut Shared<S>) -> bool;

    /// A byte of the request that is under way is missing; its end is awaited all the same.
    fn leave_out(&mut self, at: At<'_>, shared: &mut Shared<S>);

    /// Whether the request that is under way is still wanted, and not only its end.
    fn is_wanted(&self) -> bool;

    /// A request of the sample was not even seen to begin.
    fn drop_unseen(at: At<'_>, reason: DropReason, shared: &mut Shared<S>);

    /// The run's start is confirmed.
    fn confirm(&mut self, at: At<'_>, shared: &mut Shared<S>);

    /// The request that the next response answers; none if none waits for one.
    fn awaits(&self) -> Option<Awaited>;

    /// Whether more than one request waits for its response.
    fn awaits_several(&self) -> bool;

    /// Takes the next event of the response decoder; only while a response is awaited.
    fn response(&mut self, event: ResponseEvent<'_>, at: At<'_>, shared: &mut Shared<S>);

    /// So many bytes of the current response's body are missing.
    fn response_hole(&mut self, bytes: u64, at: At<'_>, shared: &mut Shared<S>);

    /// The responses can't be followed any further: none comes for those that wait.
    fn no_more_responses(&mut self, reason: DropReason, at: At<'_>, shared: &mut Shared<S>);
}
