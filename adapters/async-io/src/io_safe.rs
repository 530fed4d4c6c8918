//! The unsafe part of async-io's interface: exclusive access to the object, by which its descriptor could be closed
//! while it is registered.
//!
//! These functions are unsafe because async-io's are. No memory depends on their contract here: at worst the reactor watches
//! another descriptor under the same number.
#![allow(unsafe_code)] // Signatures of async-io, and one cast of an `Arc`.

use std::borrow::Cow;
use std::fs::File;
use std::future::poll_fn;
use std::io::{
    self, BufReader, BufWriter, LineWriter, PipeReader, PipeWriter, Read, Stderr, StderrLock,
    Stdin, StdinLock, Stdout, StdoutLock, Write,
};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;

use netpoll_futures::{Deadlines, ReadableOwned, WritableOwned};

use crate::Async;
use crate::object::{READ, WRITE};

impl<T> Async<T> {
    /// The object, with exclusive access.
    ///
    /// # Safety
    ///
    /// The caller neither drops nor replaces the object's descriptor.
    pub unsafe fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// [`read_with`](Self::read_with) for an `op` that needs exclusive access.
    ///
    /// # Safety
    ///
    /// As for [`get_mut`](Self::get_mut), within `op`.
    pub async unsafe fn read_with_mut<R>(
        &mut self,
        mut op: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let registration = self.0.registration_mut();
        poll_fn(|cx| registration.poll_io_mut(cx, READ, &mut op)).await
    }

    /// [`write_with`](Self::write_with) for an `op` that needs exclusive access.
    ///
    /// # Safety
    ///
    /// As for [`get_mut`](Self::get_mut), within `op`.
    pub async unsafe fn write_with_mut<R>(
        &mut self,
        mut op: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let registration = self.0.registration_mut();
        poll_fn(|cx| registration.poll_io_mut(cx, WRITE, &mut op)).await
    }

    /// [`readable`](Self::readable) as a future that borrows nothing.
    pub fn readable_owned(self: Arc<Self>) -> ReadableOwned<T> {
        inner(self).readable_owned()
    }

    /// [`writable`](Self::writable) as a future that borrows nothing.
    pub fn writable_owned(self: Arc<Self>) -> WritableOwned<T> {
        inner(self).writable_owned()
    }

    /// A handle that sets the deadlines and does not keep the object open: for the owner of an object that a library has
    /// taken.
    pub fn deadlines(self: &Arc<Self>) -> Deadlines
    where
        T: Send + Sync + 'static,
    {
        inner(self.clone()).deadlines()
    }
}

fn inner<T>(object: Arc<Async<T>>) -> Arc<netpoll_futures::Async<T>> {
    // SAFETY: the pointer is of `Arc::into_raw`, and so one count of the `Arc` goes along with it. `Async` is a transparent
    // wrapper: both types have the same size, alignment, bytes and destructor.
    unsafe { Arc::from_raw(Arc::into_raw(object).cast()) }
}

/// A type whose `Read` and `Write` neither drop nor replace its descriptor. [`Async`] then has the traits of
/// futures-io for the object by value.
///
/// # Safety
///
/// The implementations of `Read`, `Write`, `Seek` and `BufRead` keep the descriptor. See [`Async::get_mut`].
pub unsafe trait IoSafe {
    /// Whether a read that fills less than its buffer has drained the descriptor. That is so for a TCP stream, and not for
    /// an object that may have a buffer of its own.
    #[doc(hidden)]
    const IS_DRAINED_BY_A_SHORT_READ: bool = false;
}

/// One argument, for all of these types.
macro_rules! io_safe {
    ($($(#[$why:meta])* [$($generics:tt)*] $type:ty $(: $short_read:literal)?;)+) => {$(
        $(#[$why])*
        // SAFETY: a type of the standard library that reads and writes by system calls on a descriptor that it
        // keeps for life, or one that hands the call to such a type.
        unsafe impl<$($generics)*> IoSafe for $type {
            $(const IS_DRAINED_BY_A_SHORT_READ: bool = $short_read;)?
        }
    )+};
}

io_safe! {
    [] ChildStderr;
    [] ChildStdin;
    [] ChildStdout;
    [] File;
    [] PipeReader;
    [] PipeWriter;
    [] Stderr;
    [] StderrLock<'_>;
    [] Stdin;
    [] StdinLock<'_>;
    [] Stdout;
    [] StdoutLock<'_>;
    [] TcpStream: true;
    [] UnixStream;
    /// A shared reference gives no exclusive access.
    [T: ?Sized] &T;
    [T: IoSafe + ?Sized] &mut T;
    [T: IoSafe + ?Sized] Box<T>;
    [T: IoSafe + Read] BufReader<T>;
    [T: IoSafe + Write] BufWriter<T>;
    [T: IoSafe + Write] LineWriter<T>;
    [T: IoSafe + Clone] Cow<'_, T>;
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use futures_lite::{AsyncReadExt, AsyncWriteExt, future::poll_once};

    use super::*;

    #[test]
    fn operations_with_exclusive_access() -> io::Result<()> {
        crate::block_on(async {
            let (reader, writer) = io::pipe()?;
            let (mut reader, mut writer) = (Async::new(reader)?, Async::new(writer)?);
            let mut buffer = [0; 8];
            // SAFETY: the operation keeps the descriptor.
            let read = unsafe { reader.read_with_mut(|pipe| pipe.read(&mut buffer)) };
            assert!(poll_once(read).await.is_none());
            // SAFETY: as above.
            let sent = unsafe { writer.write_with_mut(|pipe| pipe.write(b"hello")) };
            assert_eq!(sent.await?, 5);
            // SAFETY: as above.
            let read = unsafe { reader.read_with_mut(|pipe| pipe.read(&mut buffer)) };
            assert_eq!(read.await?, 5);
            // SAFETY: the descriptor stays.
            let number = unsafe { reader.get_mut() }.as_raw_fd();
            assert_eq!(number, reader.as_raw_fd());
            writer.write_all(b"x").await?;
            assert_eq!(reader.read(&mut buffer).await?, 1);
            Ok(())
        })
    }

    #[test]
    fn a_cast_arc_keeps_its_count() -> io::Result<()> {
        let (one, _other) = Async::<UnixStream>::pair()?;
        let one = Arc::new(one);
        let (readable, writable) = (one.clone().readable_owned(), one.clone().writable_owned());
        assert_eq!(Arc::strong_count(&one), 3);
        drop((readable, writable));
        assert!(Arc::into_inner(one).expect("the only one").into_inner().is_ok());
        Ok(())
    }
}
