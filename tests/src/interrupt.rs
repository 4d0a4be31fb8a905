//! Work that leaves nothing behind when it is interrupted: children, namespaces and files end before this process does.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::netns;

/// Whether a signal is ending this process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Does this, and on SIGINT, SIGTERM or SIGHUP cleans up and ends the process, wherever the work is.
///
/// # Errors
/// What `work` says, or the signals can't be waited for.
pub fn cleaning_up<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    clean_up_when_interrupted()?;
    let result = work();
    if INTERRUPTED.load(Ordering::SeqCst) {
        // Its end is the other thread's, which is still cleaning up.
        loop {
            thread::park();
        }
    }
    result
}

fn clean_up_when_interrupted() -> Result<()> {
    let mut signals = SigSet::empty();
    signals.extend([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().context("block signals")?;
    thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            eprintln!("{signal}: cleaning up");
            netns::remove_own();
            std::process::exit(128 + signal as i32);
        }
    });
    Ok(())
}
