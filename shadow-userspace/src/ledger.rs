//! The ledger: every sampled request ends in exactly one outcome (invariant 2).
//!
//! A [`Ticket`] is issued when a request is taken into the sample and is consumed by [`Ticket::settle`]. A ticket
//! that is dropped unsettled (a panic, a task that was cancelled) settles itself as [`DropReason::Abandoned`], so
//! `sampled == mirrored + failed + dropped + in_flight` cannot be broken by forgetting a path.
//!
//! Once a request's route is known, its ticket becomes one for each copy ([`Ledger::route`]), in the account of that route
//! and upstream, or none ([`Ledger::pass`]). So the balance holds in each account, and in all together.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use smallvec::SmallVec;

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
        /// As many copies of the route are waiting for v2, or on their way, as may be at once.
        InFlightLimit = "in_flight_limit",
        /// The upstream failed so often that it is left in peace for a while.
        CircuitOpen = "circuit_open",
        /// The upstream gets as many copies per second as it may.
        RateLimit = "rate_limit",
        /// v2 takes a streamed body more slowly than the client sent it, and the buffer between them is full.
        Backlog = "backlog",
        /// What must be redacted can't be found in its body: it is no valid JSON, or is compressed.
        Unredactable = "unredactable",
        /// The agent was told to stop before the copy was done.
        Shutdown = "shutdown",
        /// A defect of the agent: the request was dropped without an outcome.
        Abandoned = "abandoned",
    }
}

reasons! {
    /// Why a copy that was sent, or tried to be, got no answer from v2.
    FailReason, ALL {
        /// The upstream's name does not resolve.
        Dns = "dns",
        /// No connection: refused or unreachable, or not within the time for connecting.
        Connect = "connect",
        /// No TLS: the handshake failed, or the certificate isn't accepted.
        Tls = "tls",
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

reasons! {
    /// Why a request that was drawn gets no copy.
    PassReason, ALL {
        /// No route matches it.
        NoRoute = "no_route",
        /// The route's percentages leave it out.
        NotDrawn = "not_drawn",
        /// Its method is not among those that the route mirrors.
        Method = "method",
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

/// All accounts; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    inner: Arc<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    /// Of requests whose route isn't known, or never will be.
    unrouted: Account,
    /// Requests that left `unrouted` for the accounts of their copies.
    routed: AtomicU64,
    /// Requests that left `unrouted` without a copy.
    passed: [AtomicU64; PassReason::ALL.len()],
    copies: RwLock<Vec<CopyAccount>>,
}

/// The account of the copies that one route sends to one upstream; cheap to clone.
#[derive(Clone, Debug)]
pub struct CopyAccount {
    route: Arc<str>,
    upstream: Arc<str>,
    account: Account,
}

#[derive(Clone, Debug, Default)]
struct Account(Arc<Counts>);

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
        self.inner.unrouted.open()
    }

    /// That many requests are in the sample of which nothing but their number is known.
    pub fn drop_unseen(&self, count: u64, reason: DropReason) {
        let counts = &self.inner.unrouted.0;
        counts.sampled.fetch_add(count, Ordering::Relaxed);
        // Release: see `record`.
        counts.dropped[reason as usize].fetch_add(count, Ordering::Release);
    }

    /// The account of the copies that `route` sends to `upstream`; the same for the same names.
    #[must_use]
    pub fn account(&self, route: &str, upstream: &str) -> CopyAccount {
        let mut copies = self.inner.copies.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) =
            copies.iter().find(|known| *known.route == *route && *known.upstream == *upstream)
        {
            return known.clone();
        }
        let account =
            CopyAccount { route: route.into(), upstream: upstream.into(), account: Account::default() };
        copies.push(account.clone());
        account
    }

    /// The request gets these copies, at least one: a ticket for each, in their order.
    #[must_use = "the tickets must be settled with the copies' outcomes"]
    pub fn route<'a>(
        &self,
        request: Ticket,
        copies: impl IntoIterator<Item = &'a CopyAccount>,
    ) -> SmallVec<[Ticket; 1]> {
        let tickets = copies.into_iter().map(|copy| copy.account.open()).collect();
        self.inner.routed.fetch_add(1, Ordering::Release);
        request.forget();
        tickets
    }

    /// The request gets no copy: it is not in the sample after all.
    pub fn pass(&self, request: Ticket, reason: PassReason) {
        self.inner.passed[reason as usize].fetch_add(1, Ordering::Release);
        request.forget();
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let copies = self.inner.copies.read().unwrap_or_else(PoisonError::into_inner).clone();
        let copies: Vec<_> = copies.iter().map(CopyAccount::snapshot).collect();
        // Like outcomes, before `sampled`: see `Account::snapshot`.
        let routed = self.inner.routed.load(Ordering::Acquire);
        let passed = std::array::from_fn(|reason| self.inner.passed[reason].load(Ordering::Acquire));
        let mut unrouted = self.inner.unrouted.snapshot();
        unrouted.sampled -= routed + passed.iter().sum::<u64>();
        let total = copies.iter().fold(unrouted.clone(), |total, copy| total.plus(&copy.outcomes));
        Snapshot { total, unrouted, copies, routed, passed }
    }
}

impl CopyAccount {
    /// The route's name.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The upstream's name.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Whether both are one account.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.account.0, &other.account.0)
    }

    /// Copies without an outcome yet, whether they wait or are on their way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.account.snapshot().in_flight()
    }

    fn snapshot(&self) -> CopySnapshot {
        CopySnapshot {
            route: Arc::clone(&self.route),
            upstream: Arc::clone(&self.upstream),
            outcomes: self.account.snapshot(),
        }
    }
}

impl Account {
    fn open(&self) -> Ticket {
        self.0.sampled.fetch_add(1, Ordering::Relaxed);
        Ticket { account: self.clone(), settled: false }
    }

    fn record(&self, outcome: Outcome) {
        let counts = &*self.0;
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

    /// Outcomes are read before `sampled`, so `in_flight` is never negative.
    fn snapshot(&self) -> Outcomes {
        let load = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let counts = &*self.0;
        let mirrored = std::array::from_fn(|class| load(&counts.mirrored[class]));
        let failed = std::array::from_fn(|reason| load(&counts.failed[reason]));
        let dropped = std::array::from_fn(|reason| load(&counts.dropped[reason]));
        let sampled = load(&counts.sampled);
        Outcomes { sampled, mirrored_by_class: mirrored, failed, dropped }
    }
}

/// The duty to say how a sampled request, or a copy of it, ended.
#[derive(Debug)]
pub struct Ticket {
    account: Account,
    settled: bool,
}

impl Ticket {
    /// The request ended like this.
    pub fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.account.record(outcome);
    }

    /// It was settled elsewhere.
    fn forget(mut self) {
        self.settled = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            self.account.record(Outcome::Dropped(DropReason::Abandoned));
        }
    }
}

/// The ledger at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// All accounts together. A request counts once, or once for each of its copies.
    total: Outcomes,
    /// Requests that ended, or still are, before their route was known.
    pub unrouted: Outcomes,
    /// The accounts of copies, in the order in which they were opened.
    pub copies: Vec<CopySnapshot>,
    /// Requests that got one copy or more.
    pub routed: u64,
    passed: [u64; PassReason::ALL.len()],
}

/// The copies that one route sends to one upstream, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySnapshot {
    /// The route's name.
    pub route: Arc<str>,
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// How they ended.
    pub outcomes: Outcomes,
}

/// How the requests of an account ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Requests taken into the sample.
    pub sampled: u64,
    /// Requests that v2 answered, by the status' first digit (index 0: none of 1 to 5).
    pub mirrored_by_class: [u64; 6],
    failed: [u64; FailReason::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
}

impl std::ops::Deref for Snapshot {
    type Target = Outcomes;

    /// All accounts together.
    fn deref(&self) -> &Outcomes {
        &self.total
    }
}

impl Snapshot {
    /// Every reason for which a request got no copy, with its count.
    pub fn passed_by_reason(&self) -> impl Iterator<Item = (PassReason, u64)> {
        PassReason::ALL.iter().copied().zip(self.passed)
    }
}

impl Outcomes {
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

    fn plus(mut self, other: &Self) -> Self {
        self.sampled += other.sampled;
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        add(&mut self.mirrored_by_class, &other.mirrored_by_class);
        add(&mut self.failed, &other.failed);
        add(&mut self.dropped, &other.dropped);
        self
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

    #[test]
    fn a_request_becomes_its_copies_or_nothing() {
        let ledger = Ledger::new();
        let [one, two] = ["v2", "v3"].map(|upstream| ledger.account("all", upstream));
        let mut copies = ledger.route(ledger.open(), [&one, &two]).into_iter();
        ledger.pass(ledger.open(), PassReason::NotDrawn);
        ledger.open().settle(Outcome::Dropped(DropReason::Gap));
        let undecided = ledger.open();
        let (first, second) = (copies.next().unwrap(), copies.next().unwrap());
        first.settle(Outcome::Mirrored(200));
        assert_eq!((one.in_flight(), two.in_flight()), (0, 1));
        let now = ledger.snapshot();
        assert_eq!(
            (now.sampled, now.mirrored(), now.dropped(), now.in_flight(), now.routed),
            (4, 1, 1, 2, 1)
        );
        assert_eq!((now.unrouted.sampled, now.unrouted.in_flight()), (2, 1));
        let passed: Vec<_> = now.passed_by_reason().filter(|&(_, count)| count > 0).collect();
        assert_eq!(passed, [(PassReason::NotDrawn, 1)]);
        second.settle(Outcome::Failed(FailReason::Reset));
        drop(undecided);
        let end = ledger.snapshot();
        assert_eq!((end.sampled, end.in_flight()), (4, 0));
        assert_eq!(end.copies.iter().map(|copy| copy.outcomes.sampled).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(
            ledger.account("all", "v2").account.snapshot().mirrored(),
            1,
            "the account is found again"
        );
    }
}
