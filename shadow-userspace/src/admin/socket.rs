//! The Unix socket: takes where it is to be, gives a listener that only the owner can connect to.
//!
//! The file has mode 0600 from the moment it exists, and whoever finds it under its name finds someone who listens. Sockets
//! that dead agents left behind are removed; this agent's own is removed when it ends.

use std::{
    fs, io,
    os::{
        fd::AsFd,
        unix::{
            fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

/// Where agents have their sockets, unless told otherwise.
pub const DIRECTORY: &str = "/run/shadow-agent";

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Someone listens there.
    #[error("the admin socket {} is in use by another process: give another path, or stop that agent", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("{} exists and is no socket: remove it, or give another path for the admin socket", path.display())]
    NoSocket {
        /// What exists.
        path: PathBuf,
    },
    /// The system refused.
    #[error("can't make the admin socket {}: {source}", path.display())]
    Failed {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket that is listened on.
#[derive(Debug)]
pub(super) struct BoundSocket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The socket's name; removed when dropped, if it still is this socket's.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl BoundSocket {
    /// The socket of this process in `directory`, which is made if it isn't there.
    pub(super) fn in_directory(directory: &Path) -> Result<Self, SocketError> {
        let path = directory.join(format!("{}.sock", std::process::id()));
        let failed = |source| SocketError::Failed { path: path.clone(), source };
        match fs::DirBuilder::new().mode(0o755).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        remove_stale(directory);
        Self::at(&path)
    }

    /// The socket of this name. The one of a dead agent is replaced, any other is left alone.
    pub(super) fn at(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Failed { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NoSocket { path: path.to_owned() });
            }
            Ok(_) if !is_dead(path) => return Err(SocketError::InUse { path: path.to_owned() }),
            Ok(_) => {}
        }
        // Under another name until it listens, so that nobody takes it for a dead agent's.
        let mut hidden = path.as_os_str().to_owned();
        hidden.push(format!(".{}", std::process::id()));
        let hidden = PathBuf::from(hidden);
        let bound = listen(&hidden).and_then(|listener| {
            let made = fs::symlink_metadata(&hidden)?;
            fs::rename(&hidden, path)?;
            Ok((listener, (made.dev(), made.ino())))
        });
        let (listener, device_and_inode) = bound.map_err(|error| {
            fs::remove_file(&hidden).ok();
            failed(error)
        })?;
        Ok(Self { listener, file: SocketFile { path: path.to_owned(), device_and_inode } })
    }
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.device_and_inode);
        if is_own && let Err(error) = fs::remove_file(&self.path) {
            // Without the rights that it was made with; the next agent removes it.
            tracing::debug!(%error, "can't remove the admin socket");
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux makes the file with the mode of the socket, whatever the process' umask allows beside.
    fchmod(socket.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Removes what dead agents left behind, as far as it can.
fn remove_stale(directory: &Path) {
    for path in sockets(directory).unwrap_or_default() {
        if is_dead(&path)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::debug!(%error, "can't remove a dead agent's admin socket");
        }
    }
}

/// The sockets in a directory, sorted by name.
///
/// # Errors
/// The directory can't be read.
pub(crate) fn sockets(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_socket() && path.extension().is_some_and(|extension| extension == "sock") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Nobody listens. Whatever else is wrong with connecting isn't proof of that.
fn is_dead(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // An agent whose backlog is full isn't waited for.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    connect().is_err_and(|error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;
    use crate::admin::testing::Directory;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_file_is_the_owners_alone_and_goes_with_the_socket() {
        let directory = Directory::new();
        let inner = directory.path().join("agents");
        let bound = BoundSocket::in_directory(&inner).unwrap();
        let path = bound.file.path().to_owned();
        assert_eq!(path, inner.join(format!("{}.sock", std::process::id())));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "nothing else is left");
        UnixStream::connect(&path).unwrap();
        drop(bound);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    }

    #[test]
    fn dead_sockets_are_replaced_and_living_ones_are_not() {
        let directory = Directory::new();
        let path = directory.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind");
        let bound = BoundSocket::at(&path).unwrap();
        let error = BoundSocket::at(&path).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        assert!(UnixStream::connect(&path).is_ok(), "it is left alone");
        drop(bound);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        let error = BoundSocket::at(&path).unwrap_err();
        assert!(matches!(error, SocketError::NoSocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_socket_of_another_kind_is_left_alone() {
        let directory = Directory::new();
        let path = directory.path().join("a.sock");
        let _datagrams = UnixDatagram::bind(&path).unwrap();
        let error = BoundSocket::at(&path).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        assert!(path.exists());
    }

    #[test]
    fn only_dead_agents_sockets_are_cleared_away() {
        let directory = Directory::new();
        let [dead, living, file, foreign] =
            ["1.sock", "2.sock", "3.sock", "foreign"].map(|name| directory.path().join(name));
        drop(UnixListener::bind(&dead).unwrap());
        drop(UnixListener::bind(&foreign).unwrap());
        let _listener = UnixListener::bind(&living).unwrap();
        fs::write(&file, "").unwrap();
        let bound = BoundSocket::in_directory(directory.path()).unwrap();
        let exist = [&dead, &living, &file, &foreign].map(|path| path.exists());
        assert_eq!(exist, [false, true, true, true]);
        let mut both = vec![living, bound.file.path().to_owned()];
        both.sort();
        assert_eq!(sockets(directory.path()).unwrap(), both);
    }

    #[test]
    fn a_name_that_went_to_another_is_not_removed() {
        let directory = Directory::new();
        let path = directory.path().join("a.sock");
        let bound = BoundSocket::at(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn what_is_wrong_is_said_with_the_path() {
        let error = BoundSocket::at(Path::new("/nonexistent/a.sock")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/a.sock: No such file"), "{error}");
        let long = PathBuf::from(format!("/tmp/{}.sock", "x".repeat(200)));
        assert!(BoundSocket::at(&long).is_err());
    }
}
