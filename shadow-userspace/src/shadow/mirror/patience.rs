//! Patience: how a source that loses nothing meanwhile waits for v2, so that v2 sets the pace.
//!
//! It waits only while something is under way that ends by itself: a copy whose body is still to come waits for the source.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{budget::MemoryBudget, ledger::DropReason, shadow::mirror::Mirror};

/// How often it looks for room.
const PERIOD: Duration = Duration::from_millis(1);

/// So long it waits for v2 to take some of a body: as long as v2 may take for an answer.
const STREAM: Duration = Duration::from_secs(10);

/// Of one source.
#[derive(Debug)]
pub(in crate::shadow) struct Patience {
    /// The memory within which requests wait.
    budget: MemoryBudget,
    mirror: Mirror,
}

impl Patience {
    pub(in crate::shadow) fn new(budget: MemoryBudget, mirror: Mirror) -> Self {
        Self { budget, mirror }
    }

    /// Until there is room and memory, or waiting helps no more.
    pub(in crate::shadow) fn wait_for_room(&self, has_room: impl Fn() -> bool) {
        while !self.is_over() {
            let has_memory = self.budget.used() <= self.budget.limit() / 2;
            if has_memory && has_room() || !self.mirror.moves() {
                return;
            }
            thread::sleep(PERIOD);
        }
    }

    /// Waits a little if a copy that is refused for this reason may be allowed then; says whether it may.
    pub(in crate::shadow) fn waits_for(&self, reason: DropReason) -> bool {
        let helps = match reason {
            DropReason::RateLimit => true,
            DropReason::InFlightLimit => self.mirror.moves(),
            _ => false,
        };
        let waits = helps && !self.is_over();
        if waits {
            thread::sleep(PERIOD);
        }
        waits
    }

    /// Waits a little each time for room in a stream; says whether there is hope.
    pub(in crate::shadow) fn of_a_stream(&self) -> impl FnMut() -> bool {
        let until = Instant::now() + STREAM;
        move || {
            let goes_on = !self.is_over() && Instant::now() < until;
            if goes_on {
                thread::sleep(PERIOD);
            }
            goes_on
        }
    }

    fn is_over(&self) -> bool {
        self.mirror.is_hurried()
    }
}
