//! Signals: the first SIGINT or SIGTERM stops the agent in order, a second one at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal as listen};

/// The exit code of a process that a SIGINT ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// Listens from now on; ready at the first signal.
pub(super) fn signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals =
        Signals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? };
    Ok(async move {
        signals.next().await;
        tracing::info!("stopping; a second signal stops at once");
        tokio::spawn(async move {
            signals.next().await;
            // The capture thread has detached by now, or the kernel does it with the process' end.
            std::process::exit(INTERRUPTED);
        });
    })
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
