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
    /// Binds to a path, which must not exist yet; if `path` begins with a zero byte, to the abstract
    /// name that follows. For an empty path, the system picks an abstract name. The accept queue is as
    /// long as the system allows.
    ///
    /// As in Go, the socket's file is removed when the listener is [closed](Self::close) or its last
    /// clone is dropped, unless another file is at the path by then; see
    /// [`set_unlink_on_close`](Self::set_unlink_on_close). If a killed process has left a file behind,
    /// binding fails until the file is removed.
    ///
    /// Creating and removing the file may block the thread on the file system.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the path: [`AddrInUse`](io::ErrorKind::AddrInUse) if the path exists,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is longer than 107 bytes.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_on(Reactor::global()?, path)
    }

    /// [`bind`](Self::bind) with a reactor that the caller names; see
    /// [`register_on`](Self::register_on).
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_on(reactor: &Reactor, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr_on(reactor, &address::of("bind", path.as_ref())?)
    }

    /// [`bind`](Self::bind) to an address, a path or an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::bind_addr_on(Reactor::global()?, address)
    }

    /// [`bind_addr`](Self::bind_addr) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr_on(reactor: &Reactor, address: &SocketAddr) -> io::Result<Self> {
        bind(reactor, address).map_err(|error| OpError::wrap("bind", address::name(address), error))
    }

    /// Sets whether closing the listener first removes the socket's file. The default is to remove it
    /// if [`bind`](Self::bind) created it; an abstract name has no file. Go's `SetUnlinkOnClose`.
    ///
    /// The file is removed only if the path still leads to the same file (device and inode) that was
    /// bound, or that was there when a listener of the standard library was converted. So a server that
    /// has removed the file of its predecessor and has bound the path anew keeps its own file. Linux
    /// cannot compare and remove in one step: a path that is bound anew in the few microseconds between
    /// the two loses its file.
    ///
    /// A forked child never removes the file. A relative path stays relative to the working directory
    /// at the time of binding. A renamed file stays.
    ///
    /// The setting applies to all clones. After [`close`](Self::close) it has no effect.
    pub fn set_unlink_on_close(&self, on: bool) {
        self.shared.extra.file.set_removed_on_close(on);
    }
}

fn bind(reactor: &Reactor, address: &SocketAddr) -> io::Result<UnixListener> {
    let (listener, file) = listen_at(address)?;
    let interest = net::UnixListener::INTEREST;
    let registration = Registration::with(reactor, listener, interest)?;
    Ok(UnixListener::with_extra(registration, Listening::with_file(file)))
}

/// A non-blocking listener, and its file, which is removed when the `SocketFile` is dropped.
pub(crate) fn listen_at(address: &SocketAddr) -> io::Result<(net::UnixListener, SocketFile)> {
    let socket = sys::unix_stream()?;
    sys::bind_unix(socket.as_fd(), address)?;
    // From here on, dropping `file` removes the file, also if a later step fails.
    let file = SocketFile::of(address.as_pathname());
    file.set_removed_on_close(true);
    sys::listen(socket.as_fd())?;
    Ok((socket.into(), file))
}
