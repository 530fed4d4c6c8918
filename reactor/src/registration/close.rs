//! The end of a descriptor: no operation begins, and the last one inside ends it.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;

use super::Registration;
use crate::error::Closed;
use crate::gate::Last;

impl<T: AsFd> Registration<T> {
    /// Closes it, as Go's `Close` does: pending operations fail with [`Closed`](crate::Closed), and so do all later
    /// ones. Resolves when the descriptor is closed, which is as soon as no operation is inside a
    /// system call; a port can then be bound again.
    ///
    /// The descriptor's number is free when the registration is dropped; until then it stands for
    /// nothing, so that whoever has borrowed it never reaches another's.
    ///
    /// Closing takes place on the thread that polls: a socket that lingers blocks it.
    ///
    /// What ends is what was registered: with a registration of a reference, its owner's descriptor.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    ///
    /// # Cancel safety
    ///
    /// It closes when it is first polled. Dropped after that, it closes all the same.
    pub async fn close(&self) -> io::Result<()> {
        let closing = self.begin_close()?;
        self.finish_close(closing).await
    }

    /// The first half of [`close`](Self::close): every operation fails from now on. The descriptor is
    /// still open, for [`finish_close`](Self::finish_close) to end, on another thread if it lingers.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub fn begin_close(&self) -> io::Result<Closing> {
        if !self.gate.shut() {
            return Err(Closed.into());
        }
        self.slot.close();
        self.deregister(self.get_ref());
        Ok(Closing { index: self.slot.index })
    }

    /// The second half of [`close`](Self::close): resolves when the descriptor is closed.
    ///
    /// # Errors
    ///
    /// What `dup3(2)` says of the descriptor; [`InvalidInput`](io::ErrorKind::InvalidInput) if the object
    /// no longer stands for the one that was registered, which is then left as it is.
    ///
    /// # Panics
    ///
    /// If `closing` is another registration's.
    pub async fn finish_close(&self, closing: Closing) -> io::Result<()> {
        assert_eq!(closing.index, self.slot.index, "finish_close: of another registration");
        let ended = self.leave();
        poll_fn(|cx| self.gate.poll_done(&self.closer, cx)).await;
        ended
    }

    /// Makes a call that neither waits nor blocks, of either direction or none: an option, an address,
    /// `shutdown(2)`. Closing waits until it is done.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or what `call` says.
    pub fn while_open<R>(&self, call: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let _inside = Inside::enter(self)?;
        call(self.get_ref())
    }

    /// Leaves the gate; the last one out after it was shut ends the descriptor.
    #[inline]
    fn leave(&self) -> io::Result<()> {
        if self.gate.leave() == Last::No { Ok(()) } else { self.end() }
    }

    fn end(&self) -> io::Result<()> {
        let _done = Done(self);
        let fd = self.registered(self.get_ref()).ok_or_else(|| changed("close"))?;
        self.reactor.shared().end(fd)
    }
}

/// Whoever waits for the end is told when this is dropped: also where asking for the descriptor
/// panics.
struct Done<'a, T: AsFd>(&'a Registration<T>);

impl<T: AsFd> Drop for Done<'_, T> {
    fn drop(&mut self) {
        self.0.gate.done(&self.0.closer);
    }
}

#[cold]
pub(super) fn changed(operation: &str) -> io::Error {
    let message =
        format!("{operation}: the object is another descriptor than the one that was registered");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// A descriptor that is being closed. See [`Registration::begin_close`].
#[derive(Debug)]
#[must_use = "the descriptor stays open until `finish_close`, or until it is dropped"]
pub struct Closing {
    index: u32,
}

/// An operation that is past the gate, until it is dropped: also when the operation panics.
pub(super) struct Inside<'a, T: AsFd>(&'a Registration<T>);

impl<'a, T: AsFd> Inside<'a, T> {
    #[inline]
    pub(super) fn enter(registration: &'a Registration<T>) -> io::Result<Self> {
        if registration.gate.enter() { Ok(Self(registration)) } else { Err(Closed.into()) }
    }
}

impl<T: AsFd> Drop for Inside<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // The closer is told that it is done, not how: there is nothing to be done about it here.
        let _ = self.0.leave();
    }
}
