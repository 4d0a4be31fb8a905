//! A request's parts as far as they are there, and the memory that they hold (invariant 4).

use bytes::Bytes;
use shadow_common::FlowKey;

use super::{CapturedRequest, request::Admitted};
use crate::{
    budget::{BudgetExceeded, MemoryBudget, Reservation},
    http::{BodyFraming, RequestHead},
    ledger::DropReason,
};

/// A request whose head was admitted.
#[derive(Debug)]
pub struct Collecting<C> {
    timestamp_ns: u64,
    pub(super) copies: C,
    head: RequestHead,
    body: Vec<u8>,
    /// The largest size that the body may reach.
    max_body: usize,
    /// See [`Admitted::stream_above`].
    stream_above: Option<usize>,
    trailers: Vec<(Bytes, Bytes)>,
    /// For the head, the body and the trailers.
    reservation: Reservation,
}

/// The first allocation for a body is no larger, whatever length was announced, unless so much came at once.
const FIRST_BODY_BYTES: usize = 64 << 10;

/// What a part of a streamed body takes besides its bytes.
const PART_BYTES: usize = 128;

impl From<BudgetExceeded> for DropReason {
    fn from(BudgetExceeded: BudgetExceeded) -> Self {
        Self::MemoryLimit
    }
}

impl<C> Collecting<C> {
    /// Nothing of the body yet. `reservation` is for the head.
    pub(super) fn new(
        timestamp_ns: u64,
        head: RequestHead,
        admitted: Admitted<C>,
        reservation: Reservation,
    ) -> Self {
        let Admitted { copies, max_body, stream_above } = admitted;
        let (body, trailers) = (Vec::new(), Vec::new());
        Self { timestamp_ns, copies, head, body, max_body, stream_above, trailers, reservation }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DropReason> {
        let needed = self.body.len() + bytes.len();
        if needed > self.max_body {
            return Err(DropReason::BodyTooLarge);
        }
        if needed > self.body.capacity() {
            let capacity = self.capacity(needed);
            self.reservation.resize(self.head.memory() + capacity)?;
            self.body.reserve_exact(capacity - self.body.len());
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// Room for `needed` bytes of body. Doubled, so that a body is copied a bounded number of times; never beyond what it
    /// can need.
    fn capacity(&self, needed: usize) -> usize {
        let (first, length) = match self.head.framing() {
            BodyFraming::Length(length) => (FIRST_BODY_BYTES, usize::try_from(length).unwrap_or(usize::MAX)),
            BodyFraming::Chunked | BodyFraming::None => (0, usize::MAX),
        };
        // Above this the body is handed on, unless the request isn't confirmed yet.
        let stream_above = self.stream_above.filter(|&limit| self.body.len() <= limit).unwrap_or(usize::MAX);
        let doubled = (self.body.capacity() * 2).max(first);
        doubled.min(self.max_body).min(length).min(stream_above).max(needed)
    }

    pub(super) fn take_trailers(&mut self, trailers: Vec<(Bytes, Bytes)>) -> Result<(), DropReason> {
        let text: usize = trailers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let memory = text + trailers.len() * size_of::<(Bytes, Bytes)>();
        self.reservation.resize(self.reservation.bytes() + memory)?;
        self.trailers = trailers;
        Ok(())
    }

    /// Whether so much is there that the copies should begin.
    pub(super) fn is_large(&self) -> bool {
        self.stream_above.is_some_and(|limit| self.body.len() > limit)
    }

    /// The whole request.
    pub(super) fn into_captured(self, flow: FlowKey) -> (CapturedRequest, C) {
        let Self { timestamp_ns, copies, head, body, trailers, reservation, .. } = self;
        (CapturedRequest { flow, timestamp_ns, head, body: body.into(), trailers, reservation }, copies)
    }

    /// What is there of it; its body's memory is given back when the body was sent.
    pub(super) fn into_begun(self, flow: FlowKey, budget: &MemoryBudget) -> (CapturedRequest, C) {
        let Self { timestamp_ns, copies, head, body, trailers, reservation: mut whole, .. } = self;
        let mut reservation = budget.reservation();
        // Moved from one to the other: there is room for it, unless another thread is faster, and then it stays counted
        // with the body.
        let of_body = whole.bytes().saturating_sub(head.memory());
        whole.resize(of_body).ok();
        reservation.resize(head.memory()).ok();
        let body = Bytes::from_owner(Part { bytes: body, _reservation: whole });
        (CapturedRequest { flow, timestamp_ns, head, body, trailers, reservation }, copies)
    }
}

/// Bytes of a streamed body, counted until nobody holds them.
struct Part {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A part of a streamed body, if there is memory for it.
pub(super) fn part(bytes: &[u8], budget: &MemoryBudget) -> Result<Bytes, BudgetExceeded> {
    let mut reservation = budget.reservation();
    reservation.resize(bytes.len() + PART_BYTES)?;
    Ok(Bytes::from_owner(Part { bytes: bytes.to_vec(), _reservation: reservation }))
}
