//! Network namespaces: runs what must happen in another one there, and nothing else.
//!
//! Links and netlink requests take the namespace of the thread that makes them. So a thread enters it, does its work
//! and ends; all others, and the agent's sockets with them, stay outside.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, setns};

use crate::capture::CaptureError;

/// Where interfaces are looked up and programs attached.
#[derive(Debug, Default)]
pub enum Namespace {
    /// This process' own.
    #[default]
    Own,
    /// Another one. It lives at least as long as this value.
    Other {
        /// How the user named it.
        path: PathBuf,
        /// What is entered, whatever becomes of the path.
        file: File,
    },
}

impl Namespace {
    /// The namespace of this path, or this process' own.
    ///
    /// # Errors
    /// The path is no network namespace, or it can't be entered.
    pub fn open(path: Option<&Path>) -> Result<Self, CaptureError> {
        let Some(path) = path else { return Ok(Self::Own) };
        let path = path.to_owned();
        match File::open(&path) {
            Ok(file) => {
                let namespace = Self::Other { path, file };
                namespace.run(|| Ok(()))?;
                Ok(namespace)
            }
            Err(reason) => Err(refused(&path, reason)),
        }
    }

    /// Does this inside, on a thread of its own unless it is this process' own namespace.
    ///
    /// # Errors
    /// The namespace can't be entered, or what `inside` says.
    pub fn run<T: Send>(
        &self,
        inside: impl FnOnce() -> Result<T, CaptureError> + Send,
    ) -> Result<T, CaptureError> {
        let Self::Other { path, file } = self else { return inside() };
        let enter = || {
            setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| refused(path, errno.into()))?;
            inside()
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, enter);
            let thread =
                thread.map_err(|source| CaptureError::System { what: "thread for a namespace", source })?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The words that say where, for a log line: nothing for this process' own.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Own => String::new(),
            Self::Other { path, .. } => format!(" in {}", path.display()),
        }
    }
}

fn refused(path: &Path, reason: io::Error) -> CaptureError {
    CaptureError::Namespace { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_is_refused_by_name() {
        for path in ["/no/such/path", "/etc/hostname", "/proc/self/ns/mnt"] {
            let error = Namespace::open(Some(Path::new(path))).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains("/run/netns/"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn the_own_one_needs_no_thread() {
        let here = thread::current().id();
        let there = Namespace::open(None).unwrap().run(|| Ok(thread::current().id())).unwrap();
        assert_eq!(here, there);
    }
}
