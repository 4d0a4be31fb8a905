//! What was done so far for each upstream, by its name: takes counts, gives them for metrics, which never go back.
//!
//! It goes on when a reload changes the upstream's options, and when one that was gone comes again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::latency::Latency;

/// Of one name.
#[derive(Debug)]
pub(in crate::shadow) struct Record {
    /// How long answered copies took.
    pub(in crate::shadow) latency: Latency,
    /// TCP connections opened.
    pub(in crate::shadow) connections: Arc<AtomicU64>,
}

/// Of all names that there were.
#[derive(Debug, Default)]
pub(in crate::shadow) struct Records(Mutex<HashMap<String, Arc<Record>>>);

impl Records {
    pub(in crate::shadow) fn of(&self, name: &str) -> Arc<Record> {
        let new = || Arc::new(Record { latency: Latency::new(), connections: Arc::default() });
        Arc::clone(self.known().entry(name.to_owned()).or_insert_with(new))
    }

    /// Connections opened, to whichever upstream.
    pub(in crate::shadow) fn connections(&self) -> u64 {
        self.known().values().map(|record| record.connections.load(Ordering::Relaxed)).sum()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Record>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
