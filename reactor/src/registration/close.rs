//! The end of a descriptor: no operation begins, and the last operation inside ends it.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use super::Registration;
use crate::error::Closed;
use crate::fd_mutex::Last;
use crate::sys::OwnsFd;
use crate::wake::catch_panic;

impl<T: OwnsFd> Registration<T> {
    /// Closes the descriptor, as Go's `Close` does: pending operations fail with [`Closed`](crate::Closed), and so do all later
    /// ones. Resolves when the descriptor is closed, which is as soon as no operation is inside a
    /// system call; a port can then be bound again.
    ///
    /// The descriptor's number is free when the registration is dropped. Until then a placeholder that conveys nothing
    /// takes the number, so code that has borrowed it never reaches another descriptor:
    /// a read finds the end, and other calls fail.
    ///
    /// The thread that polls closes the descriptor: a socket that lingers blocks it.
    ///
    /// Only the owner of a descriptor can close it (see [`OwnsFd`]):
    ///
    /// ```compile_fail,E0599
    /// # use std::os::unix::net::UnixStream;
    /// let (near, _far) = UnixStream::pair()?;
    /// let borrowed = netpoll::Registration::new(&near)?;
    /// let _ = borrowed.close();
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// ```compile_fail,E0599
    /// # use std::os::{fd::AsFd, unix::net::UnixStream};
    /// let (near, _far) = UnixStream::pair()?;
    /// let borrowed = netpoll::Registration::new(near.as_fd())?;
    /// let _ = borrowed.begin_close();
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// ```compile_fail,E0599
    /// # use std::{os::unix::net::UnixStream, sync::Arc};
    /// let (near, _far) = UnixStream::pair()?;
    /// let shared = netpoll::Registration::new(Arc::new(near))?;
    /// let _ = shared.close();
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before; otherwise as for [`Closing::finish`].
    ///
    /// # Cancel safety
    ///
    /// The first poll begins the close. Dropped after that, it still closes the descriptor.
    pub async fn close(&self) -> io::Result<()> {
        self.begin_close()?.finish().await
    }

    /// The first half of [`close`](Self::close): every operation fails from now on. The descriptor is
    /// still open, for [`Closing::finish`] to end.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub fn begin_close(&self) -> io::Result<Closing<'_, T>> {
        if !self.fd_mutex.close() {
            return Err(Closed.into());
        }
        let closing = Closing { inside: OpGuard { registration: self, unlocks: false } };
        if self.reactor().inner().is_ours() {
            self.slot.close();
        } else {
            // The waiters are the parent's tasks, and a thread of the parent may hold the lock of their queue.
            self.slot.close_and_wake_none();
        }
        self.deregister(self.get_ref());
        Ok(closing)
    }
}

impl<T> Registration<T> {
    /// Holds a value until the descriptor is closed, by whichever call closes it, or until the registration is
    /// dropped, and then drops the value. On a closed registration it is dropped at once.
    ///
    /// For a value that belongs to the connection and not to the object: a place in a limit, an entry in a table.
    /// The value is dropped before [`close`](Self::close) resolves, under no lock, on the thread that ends the
    /// descriptor. A forked child drops no value that its parent holds.
    pub fn hold_until_closed(&self, value: impl Send + 'static) {
        // A thread that a forked child does not have may hold the lock.
        if !self.reactor().inner().is_ours() {
            return drop(value);
        }
        self.fd_mutex.hold(&self.slot, Box::new(value));
    }

    /// Makes a call that neither waits nor blocks, of either direction or none: an option, an address,
    /// `shutdown(2)`. Closing waits until it is done.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or the error of `call`.
    pub fn while_open<R>(&self, call: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let _inside = OpGuard::enter(self)?;
        call(self.get_ref())
    }

    /// The last operation to leave after the close ends the descriptor.
    #[cold]
    fn end(&self) {
        let ended = self.end_descriptor();
        // In a forked child, a thread of the parent may hold the slot's mutex.
        if self.reactor().inner().is_ours() {
            self.fd_mutex.ended(&self.slot, ended);
        }
    }

    fn end_descriptor(&self) -> io::Result<()> {
        let mut fd = None;
        // If `T::as_fd` panics, the task in `close` must still be woken.
        catch_panic(|| fd = self.registered(self.get_ref()));
        fd.ok_or_else(|| changed("close")).and_then(|fd| self.reactor().inner().end(fd))
    }
}

#[cold]
pub(super) fn changed(operation: &str) -> io::Error {
    let message =
        format!("{operation}: the object is another descriptor than the one that was registered");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// A descriptor that is being closed, by [`Registration::begin_close`]. Dropping this ends the
/// descriptor. If operations are inside, the last of them ends it.
#[derive(Debug)]
#[must_use = "dropped, it ends the descriptor at once"]
pub struct Closing<'a, T> {
    inside: OpGuard<'a, T>,
}

impl<T> Closing<'_, T> {
    /// The second half of [`Registration::close`]: resolves when the descriptor is closed.
    ///
    /// Where the system does not let the number be replaced (it is above a limit that was set meanwhile, a
    /// filter refuses `dup3` and `dup2`), a connection or a listener is shut down: its peers see the end
    /// now, and the descriptor goes when the registration is dropped.
    ///
    /// # Errors
    ///
    /// The error of `dup3(2)`, if neither is possible: the descriptor then closes when the registration is dropped.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the object no longer stands for the descriptor that was
    /// registered, which is then left as it is.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it still closes the descriptor.
    pub async fn finish(self) -> io::Result<()> {
        let Self { inside } = self;
        let registration = inside.registration;
        if !registration.reactor().inner().is_ours() {
            // In this copy of the count, an operation of the parent may be inside for ever. The number stays taken,
            // so an operation of the child that is inside reaches no other descriptor.
            std::mem::forget(inside);
            return registration.end_descriptor();
        }
        drop(inside);
        poll_fn(|cx| {
            // In a child that was forked since the last poll, the wait is over as well: the slot's mutex may be held by
            // a thread that the child does not have.
            if !registration.reactor().inner().is_ours() {
                return Poll::Ready(registration.end_descriptor());
            }
            registration.fd_mutex.poll_ended(&registration.slot, cx)
        })
        .await
    }
}

/// An operation or a close that has entered the descriptor. Dropping it leaves, also when the operation panics.
#[derive(Debug)]
pub(super) struct OpGuard<'a, T> {
    pub(super) registration: &'a Registration<T>,
    /// It has the write lock, and gives it back when it leaves.
    pub(super) unlocks: bool,
}

impl<'a, T> OpGuard<'a, T> {
    #[inline]
    pub(super) fn enter(registration: &'a Registration<T>) -> io::Result<Self> {
        if registration.fd_mutex.enter() {
            Ok(Self { registration, unlocks: false })
        } else {
            Err(Closed.into())
        }
    }

    /// The operation keeps the write lock when it leaves.
    #[inline]
    pub(super) fn keep_lock(&mut self) {
        self.unlocks = false;
    }
}

impl<T> Drop for OpGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Registration { fd_mutex, slot, .. } = self.registration;
        let last = if self.unlocks { fd_mutex.leave_and_unlock(slot) } else { fd_mutex.leave() };
        if last == Last::Yes {
            self.registration.end();
        }
    }
}
