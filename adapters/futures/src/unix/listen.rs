//! Listening on a Unix socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use crate::sys;
use netpoll::{OpError, Reactor, Registration};

use super::{UnixListener, address};
use crate::listener::Listening;
use crate::sealed::{ListenerSocket, StdSocket};
use crate::socket_file::SocketFile;

impl ListenerSocket for net::UnixListener {
    type Stream = net::UnixStream;

    fn accept_one(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        sys::accept_unix(self.as_fd())
    }
}

impl UnixListener {
    /// Binds to a path, which must not be there yet, or, where `path` begins with a zero byte, to the
    /// abstract name that follows. An empty path is given an abstract name by the system. The queue is
    /// as long as the system allows.
    ///
    /// The socket's file is removed again when the listener is [closed](Self::close), or with its last
    /// clone, as in Go, unless another file is at the path by then; see
    /// [`set_unlink_on_close`](Self::set_unlink_on_close). A file that a killed process has left behind
    /// makes binding fail until it is removed.
    ///
    /// Making the file and removing it may keep the thread waiting for the file system.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the path: [`AddrInUse`](io::ErrorKind::AddrInUse) if there is something,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is longer than 107 bytes.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&address::of("bind", path.as_ref())?)
    }

    /// [`bind`](Self::bind), to an address of either kind.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        bind(address).map_err(|error| OpError::wrap("bind", address::name(address), error))
    }

    /// Whether the socket's file is removed when the listener is closed, directly before it is. It is
    /// by default if [`bind`](Self::bind) made it; an abstract name has no file. Go's
    /// `SetUnlinkOnClose`.
    ///
    /// It is removed only if the path still leads to the very file (device and inode) that was bound, or
    /// that was there when the listener was made of one of the standard library. So a server that has
    /// removed the file of its predecessor and has bound the path anew keeps its own. Linux cannot compare and
    /// remove in one step: a path that is bound anew in the few microseconds between the two loses its file.
    ///
    /// A forked child never removes it. A relative path is the one that it was when the listener was
    /// made, whatever the working directory is later. A file that was renamed stays.
    ///
    /// It is for all clones. After [`close`](Self::close) it is of no effect.
    pub fn set_unlink_on_close(&self, on: bool) {
        self.shared.extra.file.set_removed_on_close(on);
    }
}

fn bind(address: &SocketAddr) -> io::Result<UnixListener> {
    let (listener, file) = listen_at(address)?;
    let interest = net::UnixListener::INTEREST;
    let registration = Registration::with(Reactor::global()?, listener, interest)?;
    Ok(UnixListener::with_extra(registration, Listening::with_file(file)))
}

/// A listener, non-blocking, and the file that it has made, which goes when that is dropped.
pub(crate) fn listen_at(address: &SocketAddr) -> io::Result<(net::UnixListener, SocketFile)> {
    let socket = sys::unix_stream()?;
    sys::bind_unix(socket.as_fd(), address)?;
    // From here on the file is ours to remove, also if the rest fails.
    let file = SocketFile::of(address.as_pathname().map(Path::to_owned));
    file.set_removed_on_close(true);
    sys::listen(socket.as_fd())?;
    Ok((socket.into(), file))
}
