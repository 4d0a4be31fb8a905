//! Kept connections: takes those whose answer was read to its end, gives the one last used for the next copy.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use crate::shadow::client::connect::Connection;

/// How long a connection may take to be ready after its answer. Longer ones still have a request to write.
const READY: Duration = Duration::from_millis(100);
/// Connections that became too old are closed in steps of this at least.
const SWEEP: Duration = Duration::from_millis(10);

/// The unused connections of one upstream.
#[derive(Debug)]
pub(in crate::shadow) struct Pool {
    idle_timeout: Duration,
    max_idle: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The last used comes last.
    by_address: HashMap<SocketAddr, Vec<Unused>>,
    count: usize,
    /// Whether a task closes what becomes too old.
    swept: bool,
}

#[derive(Debug)]
struct Unused {
    connection: Connection,
    until: Instant,
}

impl Pool {
    /// Keeps at most `max_idle` connections, each for `idle_timeout`.
    pub(in crate::shadow) fn new(max_idle: usize, idle_timeout: Duration) -> Self {
        Self { idle_timeout, max_idle, kept: Mutex::default() }
    }

    /// A connection to `address` that waits for a copy.
    pub(in crate::shadow) fn take(&self, address: SocketAddr) -> Option<Connection> {
        let mut kept = self.lock();
        let unused = kept.by_address.get_mut(&address)?;
        let (mut closed, mut found) = (0, None);
        while let Some(Unused { connection, until }) = unused.pop() {
            closed += 1;
            if until > Instant::now() && connection.sender.is_ready() {
                found = Some(connection);
                break;
            }
        }
        kept.count -= closed;
        found
    }

    /// Keeps a connection whose answer was read to its end, if it can be used again.
    pub(in crate::shadow) async fn keep(self: &Arc<Self>, mut connection: Connection) {
        let ready = connection.sender.is_ready()
            || tokio::time::timeout(READY, connection.sender.ready()).await.is_ok_and(|ready| ready.is_ok());
        let mut kept = self.lock();
        if !ready || kept.count >= self.max_idle {
            return;
        }
        connection.used = true;
        let until = Instant::now() + self.idle_timeout;
        kept.by_address.entry(connection.address).or_default().push(Unused { connection, until });
        kept.count += 1;
        if !std::mem::replace(&mut kept.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), until));
        }
    }

    /// Closes what is too old, and says when to look again.
    fn close_old(&self) -> Option<Instant> {
        let mut kept = self.lock();
        let now = Instant::now();
        for unused in kept.by_address.values_mut() {
            unused.retain(|unused| unused.until > now && !unused.connection.sender.is_closed());
        }
        kept.by_address.retain(|_, unused| !unused.is_empty());
        kept.count = kept.by_address.values().map(Vec::len).sum();
        let next = kept.by_address.values().flatten().map(|unused| unused.until).min();
        kept.swept = next.is_some();
        next.map(|next| next.max(now + SWEEP))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(pool: Weak<Pool>, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        match pool.upgrade().and_then(|pool| pool.close_old()) {
            Some(later) => next = later,
            None => return,
        }
    }
}
