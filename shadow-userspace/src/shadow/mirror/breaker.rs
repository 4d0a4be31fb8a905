//! When an upstream is left in peace: takes how copies ended, says whether the next may go.
//!
//! Closed, it counts failures in a row; at the limit it opens, and no copy goes for a while. Then one copy is let through,
//! to see: if v2 is there, it closes, otherwise it opens again. It has no clock: the caller says what time it is.

use std::time::{Duration, Instant};

use crate::{
    ledger::{FailReason, Outcome},
    shadow::options::BreakerOptions,
};

/// Of one upstream.
#[derive(Debug)]
pub(in crate::shadow) struct Breaker {
    /// None: it never opens.
    options: Option<BreakerOptions>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A copy is on its way, to see.
    HalfOpen {
        /// A whole request's would have ended by then. One whose body the client still sends says nothing for as long as
        /// that takes.
        until: Instant,
    },
}

/// Whether copies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// None does.
    Open,
    /// One does, to see.
    HalfOpen,
}

impl BreakerState {
    /// The name that status and metrics show.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A copy may go; how it ended is told with it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(in crate::shadow) struct Pass {
    is_probe: bool,
}

/// What a copy's end says of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shadow) enum Sign {
    /// It is there.
    There,
    /// It found no connection, or ran into its timeout.
    NotThere,
    /// Nothing.
    None,
}

impl From<Outcome> for Sign {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Mirrored(_) => Self::There,
            Outcome::Failed(reason) => match reason {
                FailReason::Dns | FailReason::Connect | FailReason::Tls | FailReason::Timeout => {
                    Self::NotThere
                }
                FailReason::Reset | FailReason::Protocol => Self::There,
                FailReason::Unsendable => Self::None,
            },
            Outcome::Dropped(_) => Self::None,
        }
    }
}

impl Breaker {
    pub(in crate::shadow) fn new(options: Option<BreakerOptions>) -> Self {
        Self { options, state: State::Closed { failures: 0 } }
    }

    /// Whether a copy that is asked about now would go.
    pub(in crate::shadow) fn allows(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } | State::HalfOpen { until } => until <= now,
        }
    }

    /// A copy wants to go, which has so long for an answer once its request is complete.
    pub(in crate::shadow) fn enter(&mut self, now: Instant, timeout: Duration) -> Option<Pass> {
        if !self.allows(now) {
            return None;
        }
        let is_probe = !matches!(self.state, State::Closed { .. });
        if is_probe {
            self.state = State::HalfOpen { until: now + timeout };
        }
        Some(Pass { is_probe })
    }

    /// A copy ended; says whether that opened or closed it.
    pub(in crate::shadow) fn leave(&mut self, pass: Pass, sign: Sign, now: Instant) -> Option<BreakerState> {
        let options = self.options?;
        let open = State::Open { until: now + options.open_for };
        let before = self.state();
        self.state = match (self.state, sign) {
            (State::Closed { failures }, Sign::NotThere) if failures + 1 >= options.failures.get() => open,
            (State::Closed { failures }, Sign::NotThere) => State::Closed { failures: failures + 1 },
            (State::Closed { .. }, Sign::There) => State::Closed { failures: 0 },
            (State::HalfOpen { .. }, Sign::There) if pass.is_probe => State::Closed { failures: 0 },
            (State::HalfOpen { .. }, Sign::NotThere) if pass.is_probe => open,
            // The next one may see.
            (State::HalfOpen { .. }, Sign::None) if pass.is_probe => State::Open { until: now },
            // Copies that went before it opened say nothing new.
            (state, _) => state,
        };
        let after = self.state();
        (before != after && after != BreakerState::HalfOpen).then_some(after)
    }

    pub(in crate::shadow) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::ledger::DropReason;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// What happens, and the state after it.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A copy goes, and ends like this.
        Goes(Sign),
        /// None may.
        Refused,
        /// Seconds.
        Passes(u64),
    }
    use Sign::{NotThere, There};
    use Step::{Goes, Passes, Refused};

    #[test]
    fn opens_probes_and_closes() {
        use BreakerState::{Closed, Open};
        let table: &[&[(Step, BreakerState)]] = &[
            // Opens at the third failure in a row, and only in a row.
            &[(Goes(NotThere), Closed), (Goes(NotThere), Closed), (Goes(NotThere), Open), (Refused, Open)],
            &[
                (Goes(NotThere), Closed),
                (Goes(NotThere), Closed),
                (Goes(There), Closed),
                (Goes(NotThere), Closed),
            ],
            // What says nothing doesn't break the row.
            &[
                (Goes(NotThere), Closed),
                (Goes(Sign::None), Closed),
                (Goes(NotThere), Closed),
                (Goes(NotThere), Open),
            ],
            // After its time one goes, and decides.
            &[
                (Goes(NotThere), Closed),
                (Goes(NotThere), Closed),
                (Goes(NotThere), Open),
                (Passes(4), Open),
                (Refused, Open),
                (Passes(1), Open),
                (Goes(NotThere), Open),
                (Refused, Open),
                (Passes(5), Open),
                (Goes(Sign::None), Open),
                (Goes(There), Closed),
                // And counts from nothing.
                (Goes(NotThere), Closed),
                (Goes(NotThere), Closed),
                (Goes(NotThere), Open),
            ],
        ];
        for steps in table {
            let options =
                BreakerOptions { failures: NonZeroU32::new(3).unwrap(), open_for: Duration::from_secs(5) };
            let (mut breaker, mut now) = (Breaker::new(Some(options)), Instant::now());
            for (place, (step, expected)) in steps.iter().enumerate() {
                let before = breaker.state();
                match step {
                    Goes(sign) => {
                        assert!(breaker.allows(now));
                        let pass = breaker.enter(now, TIMEOUT).unwrap();
                        let change = breaker.leave(pass, *sign, now);
                        assert!(change.is_none() || change == Some(*expected), "{place}: {before:?}");
                    }
                    Refused => {
                        assert!(!breaker.allows(now) && breaker.enter(now, TIMEOUT).is_none(), "{place}")
                    }
                    Passes(seconds) => now += Duration::from_secs(*seconds),
                }
                assert_eq!(breaker.state(), *expected, "step {place} of {steps:?}");
            }
        }
    }

    #[test]
    fn only_the_probe_decides_while_it_is_on_its_way() {
        let options = BreakerOptions { failures: NonZeroU32::MIN, open_for: Duration::from_secs(5) };
        let (mut breaker, now) = (Breaker::new(Some(options)), Instant::now());
        let [first, late, later, fails, says_nothing] =
            [(); 5].map(|()| breaker.enter(now, TIMEOUT).unwrap());
        assert_eq!(breaker.leave(first, NotThere, now), Some(BreakerState::Open));
        assert_eq!(breaker.leave(late, There, now), None);
        assert_eq!(breaker.state(), BreakerState::Open);
        let now = now + Duration::from_secs(5);
        let probe = breaker.enter(now, TIMEOUT).unwrap();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        for (pass, sign) in [(later, There), (fails, NotThere), (says_nothing, Sign::None)] {
            assert_eq!((breaker.enter(now, TIMEOUT), breaker.leave(pass, sign, now)), (None, None));
            assert_eq!(breaker.state(), BreakerState::HalfOpen, "{sign:?}");
        }
        assert_eq!(breaker.leave(probe, There, now), Some(BreakerState::Closed));
    }

    /// Its client may take hours for the body.
    #[test]
    fn a_probe_without_an_end_is_not_waited_for() {
        let options = BreakerOptions { failures: NonZeroU32::MIN, open_for: Duration::from_secs(5) };
        let (mut breaker, now) = (Breaker::new(Some(options)), Instant::now());
        let first = breaker.enter(now, TIMEOUT).unwrap();
        assert_eq!(breaker.leave(first, NotThere, now), Some(BreakerState::Open));
        let now = now + Duration::from_secs(5);
        let endless = breaker.enter(now, TIMEOUT).unwrap();
        assert!(breaker.enter(now + Duration::from_secs(9), TIMEOUT).is_none());
        let now = now + TIMEOUT;
        let second = breaker.enter(now, TIMEOUT).unwrap();
        assert!(!breaker.allows(now), "one at a time");
        assert_eq!(breaker.leave(second, There, now), Some(BreakerState::Closed));
        assert_eq!(breaker.leave(endless, Sign::None, now), None);
    }

    #[test]
    fn without_options_it_never_opens() {
        let (mut breaker, now) = (Breaker::new(None), Instant::now());
        for _ in 0..1000 {
            let pass = breaker.enter(now, TIMEOUT).unwrap();
            assert_eq!(breaker.leave(pass, NotThere, now), None);
        }
    }

    #[test]
    fn what_an_end_says_of_the_upstream() {
        for &reason in FailReason::ALL {
            let expected = match reason.label() {
                "dns" | "connect" | "tls" | "timeout" => NotThere,
                "unsendable" => Sign::None,
                _ => There,
            };
            assert_eq!(Sign::from(Outcome::Failed(reason)), expected, "{reason:?}");
        }
        assert_eq!(Sign::from(Outcome::Mirrored(503)), There);
        assert_eq!(Sign::from(Outcome::Dropped(DropReason::Backlog)), Sign::None);
    }
}
