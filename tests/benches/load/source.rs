//! Where connections come from.
//!
//! A closed connection keeps its ports for a minute. Between two addresses, one of which has only one
//! port, there can be 28,000 in that time, and long before that it takes longer to find a free one
//! than to connect. The whole network 127 is ours, though.
#![allow(unsafe_code)] // Foreign calls, each with the argument for its arguments.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// An address of this machine to connect from.
#[derive(Clone, Copy)]
pub(super) struct Source(Ipv4Addr);

impl Default for Source {
    fn default() -> Self {
        Self(Ipv4Addr::LOCALHOST)
    }
}

impl Source {
    /// As many as are enough for all that a round can close.
    pub(super) fn all() -> impl Iterator<Item = Self> + Clone {
        (1..=250).map(|last| Self(Ipv4Addr::new(127, 0, 1, last)))
    }

    /// Connects from here, by a port of the kernel's choice, to one of this machine's.
    pub(super) fn connect(self, port: u16) -> io::Result<TcpStream> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
        // SAFETY: the call has just returned it, and it has no other owner.
        let stream = unsafe { TcpStream::from_raw_fd(fd) };
        choose_port_later(stream.as_raw_fd())?;
        let (source, target) = (address(self.0, 0), address(Ipv4Addr::LOCALHOST, port));
        let len = size_of_val(&source) as libc::socklen_t;
        // SAFETY: the address outlives the call, and is as long as is said.
        check(unsafe { libc::bind(fd, (&raw const source).cast(), len) })?;
        // SAFETY: the same.
        check(unsafe { libc::connect(fd, (&raw const target).cast(), len) })?;
        Ok(stream)
    }
}

/// Until it is known where to: then it need not differ from those of other connections.
fn choose_port_later(fd: RawFd) -> io::Result<()> {
    let yes: libc::c_int = 1;
    let (level, option) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    let len = size_of_val(&yes) as libc::socklen_t;
    // SAFETY: the number outlives the call, and is as long as is said.
    check(unsafe { libc::setsockopt(fd, level, option, (&raw const yes).cast(), len) })?;
    Ok(())
}

fn address(ip: Ipv4Addr, port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(ip).to_be() },
        sin_zero: [0; 8],
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
