//! Which types may have their descriptor ended.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// A type that owns the descriptor that its [`AsFd`] returns: [`Registration::close`] may end it.
///
/// Implemented for [`OwnedFd`], for the sockets, pipes and files of the standard library, and for boxes of
/// them. References, `Rc` and `Arc` do not own: other code has the descriptor as well, and relies on it.
///
/// A registration of a type that does not implement it has everything but `close`. Such a descriptor is
/// closed by [`Registration::into_inner`] and dropping the object; operations that are pending then can be
/// ended by a deadline in the past.
///
/// ```
/// use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
/// use netpoll::OwnsFd;
///
/// struct Tunnel(OwnedFd);
///
/// impl AsFd for Tunnel {
///     fn as_fd(&self) -> BorrowedFd<'_> {
///         self.0.as_fd()
///     }
/// }
///
/// // SAFETY: a tunnel owns the one descriptor that it ever returns, and lends it to no other object.
/// unsafe impl OwnsFd for Tunnel {}
/// ```
///
/// # Safety
///
/// `as_fd` returns the same descriptor at every call. The value owns that descriptor and
/// no other object does. The reactor may put another file under that number at any time, through a
/// shared reference, by `dup3(2)`. No code may rely on the number still meaning the same file.
///
/// [`Registration::close`]: crate::Registration::close
/// [`Registration::into_inner`]: crate::Registration::into_inner
pub unsafe trait OwnsFd: AsFd {}

macro_rules! owns_fd {
    ($($type:ty)*) => {
        // SAFETY: the type holds one `OwnedFd` of its own for life. Its methods only make system calls on it,
        // and return their errors.
        $(unsafe impl OwnsFd for $type {})*
    };
}

owns_fd! {
    OwnedFd File PipeReader PipeWriter TcpListener TcpStream UdpSocket
    UnixDatagram UnixListener UnixStream ChildStderr ChildStdin ChildStdout
}

// SAFETY: a box owns its contents, and returns their descriptor.
unsafe impl<T: OwnsFd + ?Sized> OwnsFd for Box<T> {}
