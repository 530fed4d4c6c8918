//! Registering: a descriptor gets a slot, and is added to epoll.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::Registration;
use crate::arena::OwnedSlot;
use crate::error::{OpError, raw_os_error};
use crate::fd_mutex::FdMutex;
use crate::handle::Reactor;
use crate::ready::{Direction, Interest};

impl<T: AsFd> Registration<T> {
    /// Registers a descriptor with the [global reactor](Reactor::global), for both directions.
    ///
    /// # Errors
    ///
    /// As for [`with`](Self::with), or if the global reactor cannot be made.
    pub fn new(io: T) -> io::Result<Self> {
        Self::with(Reactor::global()?, io, Interest::Both)
    }

    /// Registers a descriptor: once, edge-triggered, for life.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) that names the descriptor, around the error of `epoll_ctl(2)`: `EEXIST` if it is
    /// registered with this reactor already, `EPERM` for regular files and directories, which are
    /// always ready, `EBADF` if it is not open. [`ReactorGone`](crate::ReactorGone) after a shutdown or in a forked
    /// child. Nothing of the attempt remains.
    pub fn with(reactor: &Reactor, io: T, interest: Interest) -> io::Result<Self> {
        Self::try_with(reactor, io, interest).map_err(|(_, error)| error)
    }

    /// As [`with`](Self::with), but an object that cannot be registered is given back.
    ///
    /// # Errors
    ///
    /// As for [`with`](Self::with).
    pub fn try_with(reactor: &Reactor, io: T, interest: Interest) -> Result<Self, (T, io::Error)> {
        Self::try_with_fd(reactor, io, interest, T::as_fd)
    }
}

impl<T> Registration<T> {
    /// As [`try_with`](Self::try_with), for an object whose descriptor `as_fd` lends, without the trait `AsFd`.
    ///
    /// # Errors
    ///
    /// As for [`with`](Self::with).
    pub fn try_with_fd(
        reactor: &Reactor,
        io: T,
        interest: Interest,
        as_fd: for<'a> fn(&'a T) -> BorrowedFd<'a>,
    ) -> Result<Self, (T, io::Error)> {
        let fd = as_fd(&io);
        let number = fd.as_raw_fd();
        let slot = match enter(reactor, fd, interest) {
            Ok(slot) => slot,
            Err(error) => {
                if raw_os_error(&error) != Some(libc::EEXIST) {
                    reactor.forget_descriptor(number);
                }
                return Err((io, error));
            }
        };
        let fd_mutex = FdMutex::new();
        let registration = Self { io: Some(io), as_fd, number, interest, fd_mutex, slot };
        if interest == Interest::WriteOnDemand {
            registration.assume_ready(Direction::Write);
        }
        Ok(registration)
    }
}

/// Has the reactor watch a descriptor, through a slot of its own.
fn enter(
    reactor: &Reactor,
    fd: BorrowedFd<'_>,
    interest: Interest,
) -> io::Result<OwnedSlot<Reactor>> {
    let slot = reactor.allocate_for_descriptor(fd.as_raw_fd())?;
    let added = slot.keeper().inner().add(fd, slot.token(), interest);
    added.map_err(|error| explain(fd, error))?;
    slot.set_number(fd.as_raw_fd().unsigned_abs());
    Ok(slot)
}

fn explain(fd: BorrowedFd<'_>, error: io::Error) -> io::Error {
    let number = fd.as_raw_fd();
    let cause = match error.raw_os_error() {
        Some(libc::EEXIST) => " (it is registered with this reactor already)",
        Some(libc::EPERM) => " (epoll takes no regular files or directories)",
        Some(libc::EBADF) => " (it is not open)",
        _ => "",
    };
    OpError::wrap("register", format_args!("descriptor {number}{cause}"), error)
}
