//! Signals: the first stops the agent in order, a second one gives up the copies that are still on their way. SIGHUP has
//! the configuration read again.
//!
//! Isolation (invariant 1): TC filters are removed by the agent and by nobody else, so no signal that it can take may
//! end the process, from before anything is attached until nothing is any more.

use std::{future::poll_fn, io, task::Poll};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::signal::unix::{self, SignalKind};

use crate::process;

/// Those that are sent to be told to stop.
const STOP: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];

/// Others that would end the process. Whoever started it may have had it ignore them, as nohup does.
const OTHERS: [Signal; 5] =
    [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGALRM, Signal::SIGUSR1, Signal::SIGUSR2];

/// Keeps signals waiting until it is dropped, on the thread that made it and those that it starts.
pub(crate) struct Held {
    before: SigSet,
}

/// Keeps signals waiting from now on.
pub(crate) fn hold() -> io::Result<Held> {
    let all: SigSet = STOP.into_iter().chain(OTHERS).collect();
    Ok(Held { before: all.thread_swap_mask(SigmaskHow::SIG_BLOCK)? })
}

impl Drop for Held {
    fn drop(&mut self) {
        // It is the mask that the thread had.
        self.before.thread_set_mask().ok();
    }
}

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGHUP: the configuration changed. Whoever has none stops.
    HangUp,
    /// Stop.
    Stop,
}

/// Every signal that is listened to.
pub(crate) struct Signals(Vec<(Told, unix::Signal)>);

impl Signals {
    /// Listens from now on, and to those that were held.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = wanted(process::set("SigIgn")?);
        let listen = |signal: Signal| {
            let told = if signal == Signal::SIGHUP { Told::HangUp } else { Told::Stop };
            Ok((told, unix::signal(SignalKind::from_raw(signal as i32))?))
        };
        Ok(Self(signals.into_iter().map(listen).collect::<io::Result<_>>()?))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Told {
        poll_fn(|context| {
            let mut signals = self.0.iter_mut();
            let came =
                signals.find_map(|(told, signal)| signal.poll_recv(context).is_ready().then_some(*told));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// `ignored` has a bit for each signal that this process was started to ignore.
fn wanted(ignored: u64) -> Vec<Signal> {
    let listened = OTHERS.into_iter().filter(|&signal| ignored & (1 << (signal as i32 - 1)) == 0);
    STOP.into_iter().chain(listened).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stays_ignored_but_for_what_tells_to_stop() {
        assert_eq!(wanted(0).len(), STOP.len() + OTHERS.len());
        // Signals 1 and 2.
        let under_nohup = wanted(0b11);
        assert!(!under_nohup.contains(&Signal::SIGHUP) && under_nohup.contains(&Signal::SIGINT));
        assert_eq!(wanted(u64::MAX), STOP);
    }
}
