//! Child processes that end with the lab: by [`Child`]'s drop, or by the kernel when the lab is killed.

use std::{
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{self, SigHandler, SigSet, Signal},
    unistd::Pid,
};

/// A running process, the lines it has written so far, and the duty to end it.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: std::process::Child,
    stdout: Lines,
    stderr: Lines,
}

impl Child {
    /// Starts a process whose output is collected and which gets no input.
    ///
    /// # Errors
    /// The program can't be run.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Of its own process group: a terminal's Ctrl-C is the lab's to handle.
        command.process_group(0);
        // SAFETY: between fork and exec only prctl, sigaction and sigprocmask are called, which are async-signal-safe.
        unsafe { command.pre_exec(die_with_parent) };
        let mut process = command.spawn().with_context(|| format!("{name} did not start"))?;
        let stdout = Lines::collect(process.stdout.take());
        let stderr = Lines::collect(process.stderr.take());
        Ok(Self { name: name.to_owned(), process, stdout, stderr })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    /// Sends a signal; a process that has ended is left alone.
    ///
    /// # Errors
    /// The signal can't be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.process.try_wait()?.is_none() {
            let pid = i32::try_from(self.process.id()).context("a process id is an i32")?;
            signal::kill(Pid::from_raw(pid), signal).with_context(|| format!("{signal} to {}", self.name))?;
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It still runs after the deadline.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let status = poll(limit, &format!("the end of {name}"), || Ok(self.process.try_wait()?))?;
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        Ok(status)
    }

    /// Ends it with SIGTERM, or SIGKILL if that doesn't help.
    pub fn end(&mut self) {
        if self.signal(Signal::SIGTERM).is_err() || self.wait(Duration::from_secs(2)).is_err() {
            // Errors mean that it is gone already.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// The kernel kills the child when the thread that started it is gone; and the child takes signals that the lab blocks,
/// and a SIGHUP that it ignores.
fn die_with_parent() -> std::io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory of ours.
    if unsafe { nix::libc::prctl(nix::libc::PR_SET_PDEATHSIG, nix::libc::SIGKILL) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the default action is no code of ours.
    unsafe { signal::signal(Signal::SIGHUP, SigHandler::SigDfl)? };
    Ok(SigSet::empty().thread_set_mask()?)
}

/// The lines of a stream, collected by a thread.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    state: Arc<(Mutex<LineState>, Condvar)>,
}

#[derive(Debug, Default)]
struct LineState {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn collect(stream: Option<impl Read + Send + 'static>) -> Self {
        let collected = Self::default();
        let writer = collected.clone();
        thread::spawn(move || {
            let lines = stream.into_iter().flat_map(|stream| BufReader::new(stream).lines());
            for line in lines.map_while(Result::ok) {
                writer.update(|state| state.lines.push(line));
            }
            writer.update(|state| state.ended = true);
        });
        collected
    }

    fn update(&self, change: impl FnOnce(&mut LineState)) {
        let (state, changed) = &*self.state;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// All lines so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// Waits until a line contains `text`.
    ///
    /// # Errors
    /// The stream ends, or the deadline passes, before; the error shows the lines there were.
    pub fn wait_for(&self, text: &str, limit: Duration) -> Result<()> {
        let (state, changed) = &*self.state;
        let guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        let absent =
            |state: &mut LineState| !state.ended && !state.lines.iter().any(|line| line.contains(text));
        let (guard, _) =
            changed.wait_timeout_while(guard, limit, absent).unwrap_or_else(PoisonError::into_inner);
        if guard.lines.iter().any(|line| line.contains(text)) {
            return Ok(());
        }
        bail!(
            "no line with `{text}`{}:\n{}",
            if guard.ended { "" } else { " in time" },
            guard.lines.join("\n")
        );
    }

    fn wait_for_end(&self) {
        let (state, changed) = &*self.state;
        let guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        // A grandchild may hold the stream open: a second, then what is there must do.
        let waited = changed.wait_timeout_while(guard, Duration::from_secs(1), |state| !state.ended);
        drop(waited);
    }
}

/// Asks every few milliseconds until there is an answer.
///
/// # Errors
/// The question fails, or has no answer within the limit.
pub fn poll<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
