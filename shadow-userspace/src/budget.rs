//! One limit on the memory that all requests hold together: bytes waiting for a hole to be filled, incomplete heads,
//! bodies being collected, and requests queued towards v2.
//!
//! Takes what each holder wants to hold, gives a [`Reservation`] that counts until it is dropped. Keeps invariant 4:
//! the sum never exceeds the limit, and what was refused is counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// The limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory budget is used up")]
pub struct BudgetExceeded;

/// A shared limit in bytes; cheap to clone.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    limit: usize,
    used: AtomicUsize,
    refused: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `limit` bytes, none of them used.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { account: Arc::new(Account { limit, used: AtomicUsize::new(0), refused: AtomicU64::new(0) }) }
    }

    /// A reservation of nothing, to be resized.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation { account: Arc::clone(&self.account), bytes: 0 }
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.account.limit
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.account.used.load(Ordering::Relaxed)
    }

    /// Reservations that were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.account.refused.load(Ordering::Relaxed)
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    bytes: usize,
}

impl Reservation {
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes its size to `bytes`. Shrinking always succeeds.
    ///
    /// # Errors
    /// If the budget does not allow it; the size is then unchanged.
    pub fn resize(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        let account = &*self.account;
        // The counters guard no other memory, so relaxed ordering is enough.
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            let grow = |used: usize| used.checked_add(more).filter(|used| *used <= account.limit);
            if account.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow).is_err() {
                account.refused.fetch_add(1, Ordering::Relaxed);
                return Err(BudgetExceeded);
            }
        } else if bytes < self.bytes {
            account.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_share_the_limit_and_give_back() {
        let budget = MemoryBudget::new(100);
        let (mut one, mut two) = (budget.reservation(), budget.clone().reservation());
        assert_eq!(one.resize(60), Ok(()));
        assert_eq!(two.resize(41), Err(BudgetExceeded));
        assert_eq!((two.bytes(), budget.used(), budget.refused()), (0, 60, 1));
        assert_eq!(two.resize(40), Ok(()));
        assert_eq!(one.resize(50), Ok(()));
        assert_eq!(two.resize(51), Err(BudgetExceeded));
        assert_eq!((one.bytes(), two.bytes(), budget.used()), (50, 40, 90));
        drop(one);
        assert_eq!(two.resize(100), Ok(()));
        assert_eq!(two.resize(usize::MAX), Err(BudgetExceeded));
        drop(two);
        assert_eq!((budget.used(), budget.refused()), (0, 3));
    }

    #[test]
    fn threads_never_exceed_the_limit() {
        let budget = MemoryBudget::new(1000);
        std::thread::scope(|scope| {
            for size in [300, 400, 500] {
                let budget = &budget;
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let mut reservation = budget.reservation();
                        if reservation.resize(size).is_ok() {
                            assert!((size..=1000).contains(&budget.used()));
                        }
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }
}
