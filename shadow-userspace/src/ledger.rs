//! The ledger: every sampled request ends in exactly one outcome (invariant 2).
//!
//! A [`Ticket`] is issued when a request is taken into the sample and is consumed by [`Ticket::settle`]. A ticket
//! that is dropped unsettled (a panic, a task that was cancelled) settles itself as [`DropReason::Abandoned`], so
//! `sampled == mirrored + failed + dropped + in_flight` cannot be broken by forgetting a path.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

macro_rules! reasons {
    ($(#[doc = $doc:literal])+ $name:ident, $all:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $label:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// Every reason, in the order of the summary.
            pub const $all: &[Self] = &[$(Self::$variant,)+];

            /// The name that logs, summaries and metrics show.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

reasons! {
    /// Why a sampled request was never sent to v2, or not to its end.
    DropReason, ALL {
        /// A byte of the request is missing: it was never seen, or the capture cut it short.
        Gap = "gap",
        /// The ring had no room for a part of it.
        RingFull = "ring_full",
        /// Its start was taken in mid-life of the connection, and the service's answer didn't confirm it.
        Unconfirmed = "unconfirmed",
        /// RFC 9112 leaves its framing open, or makes it an error; it is not guessed.
        Ambiguous = "ambiguous",
        /// The head is larger than the limit, or has too many headers.
        HeadTooLarge = "head_too_large",
        /// The body is larger than the limit.
        BodyTooLarge = "body_too_large",
        /// The limit of bytes held for all requests together is reached.
        MemoryLimit = "memory_limit",
        /// As many flows are followed as may be at once.
        FlowLimit = "flow_limit",
        /// The connection ended, or fell silent for too long, before the request did.
        Incomplete = "incomplete",
        /// A CONNECT request: a tunnel is not mirrored.
        Connect = "connect",
        /// A request to upgrade the connection: a tunnel is not mirrored.
        Upgrade = "upgrade",
        /// A copy made by a shadow agent: mirroring it again would be a loop.
        Loop = "loop",
        /// The queue to v2 is full.
        QueueFull = "queue_full",
        /// The agent was told to stop before the copy was done.
        Shutdown = "shutdown",
        /// A defect of the agent: the request was dropped without an outcome.
        Abandoned = "abandoned",
    }
}

reasons! {
    /// Why a copy that was sent, or tried to be, got no answer from v2.
    FailReason, ALL {
        /// No connection: refused, unreachable, or the name does not resolve.
        Connect = "connect",
        /// No complete answer within the timeout.
        Timeout = "timeout",
        /// The connection ended before the answer did.
        Reset = "reset",
        /// The answer is not HTTP.
        Protocol = "protocol",
        /// The captured request cannot be expressed towards this upstream.
        Unsendable = "unsendable",
    }
}

/// How one sampled request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// v2 answered with this status (100 to 999); the answer was discarded.
    Mirrored(u16),
    /// v2 gave no answer.
    Failed(FailReason),
    /// Not sent, or not to its end.
    Dropped(DropReason),
}

/// Shared counters; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    inner: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sampled: AtomicU64,
    /// By the status' first digit; index 0 is a status outside 100 to 599.
    mirrored: [AtomicU64; 6],
    failed: [AtomicU64; FailReason::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request begins that is in the sample.
    #[must_use = "the ticket must be settled with the request's outcome"]
    pub fn open(&self) -> Ticket {
        self.inner.sampled.fetch_add(1, Ordering::Relaxed);
        Ticket { ledger: self.clone(), settled: false }
    }

    /// That many requests are in the sample of which nothing but their number is known.
    pub fn drop_unseen(&self, count: u64, reason: DropReason) {
        self.inner.sampled.fetch_add(count, Ordering::Relaxed);
        // Release: see `record`.
        self.inner.dropped[reason as usize].fetch_add(count, Ordering::Release);
    }

    fn record(&self, outcome: Outcome) {
        let counts = &*self.inner;
        let counter = match outcome {
            Outcome::Mirrored(status) => {
                let class = usize::from(status / 100);
                &counts.mirrored[if (1..=5).contains(&class) { class } else { 0 }]
            }
            Outcome::Failed(reason) => &counts.failed[reason as usize],
            Outcome::Dropped(reason) => &counts.dropped[reason as usize],
        };
        // Release, so that a reader that sees the outcome also sees that the request was sampled.
        counter.fetch_add(1, Ordering::Release);
    }

    /// The counters now. Outcomes are read before `sampled`, so `in_flight` is never negative.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let counts = &*self.inner;
        let mirrored = std::array::from_fn(|class| load(&counts.mirrored[class]));
        let failed = std::array::from_fn(|reason| load(&counts.failed[reason]));
        let dropped = std::array::from_fn(|reason| load(&counts.dropped[reason]));
        let sampled = load(&counts.sampled);
        Snapshot { sampled, mirrored_by_class: mirrored, failed, dropped }
    }
}

/// The duty to say how a sampled request ended.
#[derive(Debug)]
pub struct Ticket {
    ledger: Ledger,
    settled: bool,
}

impl Ticket {
    /// The request ended like this.
    pub fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.ledger.record(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            self.ledger.record(Outcome::Dropped(DropReason::Abandoned));
        }
    }
}

/// The ledger at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests taken into the sample.
    pub sampled: u64,
    /// Requests that v2 answered, by the status' first digit (index 0: none of 1 to 5).
    pub mirrored_by_class: [u64; 6],
    failed: [u64; FailReason::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
}

impl Snapshot {
    /// Requests that v2 answered.
    #[must_use]
    pub fn mirrored(&self) -> u64 {
        self.mirrored_by_class.iter().sum()
    }

    /// Requests that v2 did not answer.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Requests that were not sent, or not to their end.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Sampled requests without an outcome yet.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.sampled - self.mirrored() - self.failed() - self.dropped()
    }

    /// Every reason of failure with its count.
    pub fn failed_by_reason(&self) -> impl Iterator<Item = (FailReason, u64)> {
        FailReason::ALL.iter().copied().zip(self.failed)
    }

    /// Every reason for dropping with its count.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.iter().copied().zip(self.dropped)
    }

    /// The failures by reason, those that happened.
    pub fn failures(&self) -> impl Iterator<Item = (FailReason, u64)> {
        self.failed_by_reason().filter(|&(_, count)| count > 0)
    }

    /// The drops by reason, those that happened.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.dropped_by_reason().filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ticket_ends_in_exactly_one_outcome() {
        let ledger = Ledger::new();
        ledger.open().settle(Outcome::Mirrored(204));
        ledger.open().settle(Outcome::Mirrored(999));
        ledger.open().settle(Outcome::Failed(FailReason::Timeout));
        ledger.open().settle(Outcome::Dropped(DropReason::Gap));
        let open = ledger.open();
        let now = ledger.snapshot();
        assert_eq!(
            (now.sampled, now.mirrored(), now.failed(), now.dropped(), now.in_flight()),
            (5, 2, 1, 1, 1)
        );
        assert_eq!(now.mirrored_by_class, [1, 0, 1, 0, 0, 0]);
        assert_eq!(now.failures().collect::<Vec<_>>(), [(FailReason::Timeout, 1)]);
        assert_eq!(now.drops().collect::<Vec<_>>(), [(DropReason::Gap, 1)]);
        drop(open);
        ledger.drop_unseen(3, DropReason::RingFull);
        let end = ledger.snapshot();
        assert_eq!((end.sampled, end.in_flight()), (8, 0));
        assert_eq!(end.drops().nth(1), Some((DropReason::RingFull, 3)));
        assert_eq!(end.drops().last(), Some((DropReason::Abandoned, 1)));
    }
}
