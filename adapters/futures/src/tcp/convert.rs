//! To and from the standard library, and descriptors.
//!
//! Coming in, a socket is made non-blocking. Going out, it stays so: the flag belongs to the open
//! file description, which duplicates and clones share.

use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use netpoll::{Closed, Registration};

use super::{TcpListener, TcpStream};

impl TryFrom<net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(stream: net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Registration::new(stream).map(Self::from_registration)
    }
}

impl TryFrom<net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::listening(listener)
    }
}

impl TryFrom<OwnedFd> for TcpStream {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::TcpStream::from(fd).try_into()
    }
}

impl TryFrom<OwnedFd> for TcpListener {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::TcpListener::from(fd).try_into()
    }
}

/// The socket itself if this is the last clone, or else a duplicate; non-blocking still.
impl TryFrom<TcpStream> for net::TcpStream {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        stream.check_open()?;
        match Arc::try_unwrap(stream.shared) {
            Ok(last) => last.registration.into_inner(),
            Err(shared) => shared.registration.while_open(net::TcpStream::try_clone),
        }
    }
}

/// The socket itself if this is the last clone, or else a duplicate; non-blocking still.
impl TryFrom<TcpListener> for net::TcpListener {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<Self> {
        if listener.registration().is_closed() {
            return Err(Closed::error());
        }
        match Arc::try_unwrap(listener.shared) {
            Ok(last) => last.registration.into_inner(),
            Err(shared) => shared.registration.while_open(net::TcpListener::try_clone),
        }
    }
}

impl TryFrom<TcpStream> for OwnedFd {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        net::TcpStream::try_from(stream).map(Into::into)
    }
}

impl TryFrom<TcpListener> for OwnedFd {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<Self> {
        net::TcpListener::try_from(listener).map(Into::into)
    }
}
