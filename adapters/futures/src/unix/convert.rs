//! To and from the standard library, and descriptors. As for TCP: coming in, a socket is made
//! non-blocking; going out, it stays so.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::sync::Arc;

use netpoll::Closed;

use super::{UnixListener, UnixStream};
use crate::listener::ListenerSocket;
use crate::socket_file::SocketFile;

impl TryFrom<net::UnixStream> for UnixStream {
    type Error = io::Error;

    fn try_from(stream: net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::connected(stream)
    }
}

/// Its file, if it has one, is not ours: it stays when the listener is closed, unless
/// [`set_unlink_on_close`](UnixListener::set_unlink_on_close) says otherwise. It is the file that is at the
/// listener's path at the time of this conversion.
impl TryFrom<net::UnixListener> for UnixListener {
    type Error = io::Error;

    fn try_from(listener: net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let file = SocketFile::of(listener.path());
        Self::listening(listener, file)
    }
}

impl TryFrom<OwnedFd> for UnixStream {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::UnixStream::from(fd).try_into()
    }
}

/// As from a listener of the standard library.
impl TryFrom<OwnedFd> for UnixListener {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::UnixListener::from(fd).try_into()
    }
}

/// The socket itself if this is the last clone, or else a duplicate; non-blocking still.
impl TryFrom<UnixStream> for net::UnixStream {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        stream.check_open()?;
        match Arc::try_unwrap(stream.shared) {
            Ok(last) => last.registration.into_inner(),
            Err(shared) => shared.registration.while_open(net::UnixStream::try_clone),
        }
    }
}

/// The socket itself if this is the last clone, or else a duplicate; non-blocking still. The file of
/// the former is the standard library's from then on, which never removes it; clones go on to see to
/// theirs.
impl TryFrom<UnixListener> for net::UnixListener {
    type Error = io::Error;

    fn try_from(listener: UnixListener) -> io::Result<Self> {
        if listener.registration().is_closed() {
            return Err(Closed::error());
        }
        match Arc::try_unwrap(listener.shared) {
            Ok(last) => {
                last.file.set_removed_on_close(false);
                last.registration.into_inner()
            }
            Err(shared) => shared.registration.while_open(net::UnixListener::try_clone),
        }
    }
}

impl TryFrom<UnixStream> for OwnedFd {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        net::UnixStream::try_from(stream).map(Into::into)
    }
}

/// As into a listener of the standard library.
impl TryFrom<UnixListener> for OwnedFd {
    type Error = io::Error;

    fn try_from(listener: UnixListener) -> io::Result<Self> {
        net::UnixListener::try_from(listener).map(Into::into)
    }
}
