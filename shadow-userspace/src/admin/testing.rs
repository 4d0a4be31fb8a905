//! What tests of the admin API and of `ctl` need: a directory for sockets, and an agent that does nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    admin::{ControlError, Controlled, MetricsSample, Readiness, RouteStatus, Status, status::ShadowStatus},
    capture::SampleRate,
    ledger::Ledger,
};

/// An empty directory of its own; removed when dropped, with what is in it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// A short path: those of sockets may not be long.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("shadow-admin-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// An agent that remembers what it was told.
pub(crate) struct FakeAgent {
    state: Mutex<FakeState>,
    changed: Condvar,
}

#[derive(Debug)]
struct FakeState {
    readiness: Readiness,
    routes: Vec<&'static str>,
    told: Vec<String>,
    /// What every change is refused with.
    refusal: Option<ControlError>,
    /// `status` panics.
    defective: bool,
    /// `status` waits.
    held: bool,
    /// Calls of `status` now, and at most.
    inside: [usize; 2],
}

impl FakeAgent {
    pub(crate) fn new(routes: &[&'static str]) -> Self {
        let state = FakeState {
            readiness: Readiness::Ready,
            routes: routes.to_vec(),
            told: Vec::new(),
            refusal: None,
            defective: false,
            held: false,
            inside: [0; 2],
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn set_readiness(&self, readiness: Readiness) {
        self.lock().readiness = readiness;
    }

    pub(crate) fn refuse(&self, refusal: Option<ControlError>) {
        self.lock().refusal = refusal;
    }

    pub(crate) fn set_defective(&self, defective: bool) {
        self.lock().defective = defective;
    }

    /// Lets calls of `status` wait, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.lock().held = held;
        self.changed.notify_all();
    }

    /// Calls of `status` now, and at most so far.
    pub(crate) fn inside(&self) -> [usize; 2] {
        self.lock().inside
    }

    /// What it was told since the last time.
    pub(crate) fn take_told(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().told)
    }

    fn tell(&self, what: String) -> Result<(), ControlError> {
        let mut state = self.lock();
        match &state.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => {
                state.told.push(what);
                Ok(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }
}

impl Controlled for FakeAgent {
    fn readiness(&self) -> Readiness {
        self.lock().readiness
    }

    fn status(&self) -> Status {
        let mut state = self.lock();
        let defective = state.defective;
        state.inside[0] += 1;
        state.inside[1] = state.inside[1].max(state.inside[0]);
        let mut state = self.changed.wait_while(state, |state| state.held).unwrap();
        state.inside[0] -= 1;
        drop(state);
        assert!(!defective, "the test's defect");
        let attachment = "TC of eth0".to_owned();
        Status { version: "1.2.3".to_owned(), pid: 42, attachment, ..Status::default() }
    }

    fn routes(&self) -> Vec<RouteStatus> {
        let shadow = ShadowStatus { upstream: "v2".to_owned(), percent: 12.5, ..ShadowStatus::default() };
        let route = |name: &&str| RouteStatus {
            name: (*name).to_owned(),
            matches: "everything".to_owned(),
            sample_by: "request".to_owned(),
            shadows: vec![shadow.clone()],
        };
        self.lock().routes.iter().map(route).collect()
    }

    fn metrics(&self) -> MetricsSample {
        let ledger = Ledger::new();
        ledger.open().settle(crate::ledger::Outcome::Dropped(crate::ledger::DropReason::Loop));
        MetricsSample { seen: 7, requests: ledger.snapshot(), ..MetricsSample::default() }
    }

    fn set_rate(&self, selector: &str, rate: SampleRate) -> Result<(), ControlError> {
        self.tell(format!("rate {selector} {rate}"))
    }

    fn set_paused(&self, paused: bool) -> Result<(), ControlError> {
        self.tell(format!("paused {paused}"))
    }

    fn reload(&self) -> Result<(), ControlError> {
        self.tell("reload".to_owned())
    }
}
