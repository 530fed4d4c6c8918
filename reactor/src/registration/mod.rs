//! A registered descriptor: the object that owns it, its slot in the reactor, and the count of operations inside it.
//!
//! An operation ([`operation`]) reads the slot's state, enters the descriptor, makes its system call, and
//! reports the result to the slot.

// rustdoc lists the methods in the order of these modules.
mod register;

mod operation;
mod rule;
mod wait;
mod write_lock;

mod deadline;

mod close;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::arena::OwnedSlot;
use crate::error::Closed;
use crate::fd_mutex::FdMutex;
use crate::handle::Reactor;
use crate::ready::Interest;
use crate::wake::catch_panic;

pub use close::Closing;
pub use deadline::Deadline;
pub(crate) use deadline::set_slot_deadline;
pub use operation::Readiness;
pub use rule::{Checked, Contiguous, Eager, Rule, Transfer};
pub use wait::{OwnedReadinessWait, ReadinessWait};

/// A descriptor that a reactor watches, with readiness, deadlines and waiters for each direction.
///
/// A type that holds a registration needs no bound of `T`: only registering needs `T: AsFd`, and [`close`](Self::close)
/// needs [`OwnsFd`](crate::OwnsFd). A registration is invariant in `T`.
///
/// It owns `T`: an `OwnedFd`, a socket of the standard library, or a reference to one. The caller puts the descriptor
/// into non-blocking mode.
///
/// All operations take `&self`: any number of tasks may use it at once, in either direction.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use netpoll::{Direction, Interest, Reactor, Registration};
///
/// let (receiver, mut sender) = UnixStream::pair()?;
/// receiver.set_nonblocking(true)?;
/// let receiver = Registration::with(Reactor::global()?, receiver, Interest::Readable)?;
///
/// sender.write_all(b"hello")?;
/// let mut buffer = [0; 8];
/// let read = receiver.io(Direction::Read, |mut socket| socket.read(&mut buffer));
/// assert_eq!(netpoll::block_on(read)?, 5);
/// # std::io::Result::Ok(())
/// ```
pub struct Registration<T> {
    /// `None` only after `into_inner`.
    io: Option<T>,
    /// `T::as_fd`, or a function in its place, kept where `T: AsFd` is known. So neither the struct nor a type that holds one needs
    /// the bound, though `drop` calls `as_fd`. `number` alone would not do: the object may have been exchanged
    /// by [`get_mut`](Self::get_mut) and closed, and then the number stands for a descriptor of another owner.
    ///
    /// It makes the type invariant in `T`, as it must: if `AsFd` is implemented for `X<'static>` alone, a registration
    /// of `X<'static>` must not pass for one of `X<'short>`, whose `as_fd` does not exist.
    as_fd: for<'a> fn(&'a T) -> BorrowedFd<'a>,
    /// The number that `as_fd` returned when the descriptor was registered.
    number: RawFd,
    interest: Interest,
    fd_mutex: FdMutex,
    slot: OwnedSlot<Reactor>,
}

impl<T> Registration<T> {
    /// Whether it was closed, or the reactor shut down.
    #[inline]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.slot.state().is_closed()
    }

    /// The registered object.
    #[inline]
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.io.as_ref().expect("only into_inner takes it")
    }

    /// The registered object, by `&mut`. It must keep the descriptor
    /// that was registered: the reactor does not watch another one in its place.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.io.as_mut().expect("only into_inner takes it")
    }

    /// The directions for which it is in epoll.
    #[must_use]
    pub fn interest(&self) -> Interest {
        self.interest
    }

    /// The reactor that watches it.
    #[must_use]
    pub fn reactor(&self) -> &Reactor {
        self.slot.keeper()
    }

    /// Ends the registration and gives the object back, still non-blocking.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub fn into_inner(mut self) -> io::Result<T> {
        if !self.fd_mutex.enter() {
            return Err(Closed.into());
        }
        // First: if its `as_fd` panics, no later call asks it again.
        let io = self.io.take().expect("only into_inner takes it");
        self.deregister(&io);
        Ok(io)
    }

    fn deregister(&self, io: &T) {
        if let Some(fd) = self.registered(io) {
            self.reactor().forget_descriptor(self.number);
            self.reactor().inner().deregister(fd);
        }
    }

    /// The descriptor that was registered; `None` if the object now returns another one. `AsFd` may be user
    /// code, and a descriptor that was not registered here must be neither closed nor changed in epoll.
    fn registered<'a>(&self, io: &'a T) -> Option<BorrowedFd<'a>> {
        Some((self.as_fd)(io)).filter(|fd| fd.as_raw_fd() == self.number)
    }

    #[inline]
    fn check_open(&self) -> io::Result<()> {
        let usable = !self.is_closed() && self.reactor().inner().is_ours();
        if usable { Ok(()) } else { Err(closed(self.reactor())) }
    }
}

impl<T> AsFd for Registration<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (self.as_fd)(self.get_ref())
    }
}

/// Prints the object, and the directions it is registered for.
impl<T: fmt::Debug> fmt::Debug for Registration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("io", self.get_ref())
            .field("interest", &self.interest)
            .finish_non_exhaustive()
    }
}

impl<T> Drop for Registration<T> {
    fn drop(&mut self) {
        self.reactor().inner().disown_if_forked();
        // Before the object is dropped, or the caller of `into_inner` has it: then the number may be free.
        self.slot.forget_number();
        // Closed or given back: it has left epoll.
        if let Some(io) = self.io.as_ref().filter(|_| self.fd_mutex.enter()) {
            // A second panic would be the end of the process.
            catch_panic(|| self.deregister(io));
        }
    }
}

#[cold]
pub(crate) fn closed(reactor: &Reactor) -> io::Error {
    reactor.inner().check_usable().err().unwrap_or_else(|| Closed.into())
}
