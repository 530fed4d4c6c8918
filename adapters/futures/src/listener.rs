//! The listener, of any family.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use netpoll::{Direction, OpError, OwnsFd, Registration};

use crate::ReactorGone;
use crate::limit::{Limit, Place, Refused};
use crate::socket_file::SocketFile;
use crate::stream::{Stream, StreamSocket};
use crate::sync::{Mutex, lock};

/// A socket that accepts connections: a [`TcpListener`](crate::TcpListener) or a
/// [`UnixListener`](crate::UnixListener).
///
/// Clones are the same socket; it is closed with the last of them, or by [`close`](Self::close).
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let listener = netpoll_futures::TcpListener::bind("localhost:7000").await?;
/// loop {
///     let (stream, peer) = listener.accept().await?;
///     println!("{peer} is here");
///     // spawn(serve(stream))
/// #   drop(stream);
/// }
/// # }
/// ```
pub struct Listener<L: ListenerSocket> {
    pub(crate) shared: Arc<Shared<L>>,
}

pub(crate) struct Shared<L: ListenerSocket> {
    /// Before the socket: dropped, it goes first.
    pub(crate) file: SocketFile,
    pub(crate) registration: Registration<L>,
    limit: Mutex<Option<Limit>>,
}

impl<L: ListenerSocket> Refused for Shared<L> {
    /// As an event would: whoever accepts looks for a place once more.
    fn ask_again(&self) {
        self.registration.assume_ready(Direction::Read);
    }
}

/// What a [`Listener`] is made of: a listener of the standard library. It is implemented here, and
/// nowhere else.
pub trait ListenerSocket: OwnsFd + sealed::Sealed {
    /// What it accepts.
    type Stream: StreamSocket;
    /// Where its peers are, and itself.
    type Address: fmt::Debug;

    #[doc(hidden)]
    fn accept_one(&self) -> io::Result<(OwnedFd, Self::Address)>;

    #[doc(hidden)]
    fn address(&self) -> io::Result<Self::Address>;

    /// The path it is bound to, if that is what it is bound to.
    #[doc(hidden)]
    fn path(&self) -> Option<PathBuf> {
        None
    }

    /// An address as people write it.
    #[doc(hidden)]
    fn name(address: &Self::Address) -> String;
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<L: ListenerSocket> fmt::Debug for Listener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registration().get_ref().fmt(f)
    }
}

/// A clone is the same socket.
impl<L: ListenerSocket> Clone for Listener<L> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as ListenerSocket>::Address);

/// What the system gave us, and the place that it takes if there is a limit.
type Taken<L> = (OwnedFd, <L as ListenerSocket>::Address, Option<Place>);

impl<L: ListenerSocket> Listener<L> {
    /// Waits for a connection. Any number of tasks may wait at once.
    ///
    /// Connections that are gone before we come to them are passed over.
    ///
    /// `accept4(2)` has no flag that keeps it from blocking, so accepting relies on the listener's
    /// `O_NONBLOCK`, which is shared by all that share its file description: a process that has
    /// inherited or received the listener and clears that flag can make an accept block its thread.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](crate::DeadlineExceeded), [`Closed`](crate::Closed), or an [`OpError`]:
    /// out of descriptors or memory, most likely. The connection then still waits, unless it was
    /// accepted but could not be registered, in which case it is closed. See
    /// [`Backoff`](crate::Backoff).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has accepted nothing.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        let accepted =
            self.registration().io(Direction::Read, |socket| self.accept_one(socket)).await;
        self.accepted(accepted)
    }

    /// [`accept`](Self::accept) for those who poll.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        let accepted =
            self.registration().poll_io(cx, Direction::Read, |socket| self.accept_one(socket));
        accepted.map(|accepted| self.accepted(accepted))
    }

    /// Accepts a connection that is there and for which there is a place, or fails with `WouldBlock`.
    pub fn try_accept(&self) -> io::Result<Accepted<L>> {
        let accept = |socket: &L| self.accept_one(socket);
        self.accepted(self.registration().try_io(Direction::Read, accept))
    }

    /// The connections, as a stream that ends only with an error after [`close`](Self::close).
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { listener: self }
    }

    /// Sets the time after which accepting fails, until it is set anew. The same as
    /// [`set_read_deadline`](Self::set_read_deadline), and Go's name for it.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_deadline(deadline)
    }

    /// Sets the time after which accepting fails; see [`Registration::set_read_deadline`].
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_read_deadline(deadline)
    }

    /// Of no effect on accepting; there for code that treats all sockets alike.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_write_deadline(deadline)
    }

    /// Sets or clears how many connections it accepts, of all clones; those that it has accepted keep
    /// the places that they have. Deadlines and [`close`](Self::close) end an accept that waits for a
    /// place as one that waits for a connection.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or [`ReactorGone`](crate::ReactorGone).
    pub fn set_limit(&self, limit: Option<&Limit>) -> io::Result<()> {
        self.registration().while_open(|_| Ok(()))?;
        self.check_reactor()?;
        let before = std::mem::replace(&mut *lock(&self.shared.limit), limit.cloned());
        drop(before);
        self.shared.ask_again();
        Ok(())
    }

    /// Stops listening: pending accepts fail with [`Closed`](crate::Closed), and when it resolves
    /// the port, or the path, can be bound again. See [`Registration::close`].
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        let closing = self.registration().begin_close()?;
        self.shared.file.closing();
        closing.finish().await
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or what `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        self.registration().while_open(L::address)
    }

    /// The registration underneath, for what the listener has no method for.
    pub fn registration(&self) -> &Registration<L> {
        &self.shared.registration
    }

    pub(crate) fn from_registration(registration: Registration<L>) -> Self {
        let file = SocketFile::of(registration.get_ref().path());
        Self::with_file(registration, file)
    }

    pub(crate) fn with_file(registration: Registration<L>, file: SocketFile) -> Self {
        Self { shared: Arc::new(Shared { file, registration, limit: Mutex::new(None) }) }
    }

    /// A forked child takes no connection of the parent's, and no lock.
    fn check_reactor(&self) -> io::Result<()> {
        if self.registration().reactor().is_gone() { Err(ReactorGone::error()) } else { Ok(()) }
    }

    /// Takes a place before it accepts, and gives it back if it does not.
    fn accept_one(&self, socket: &L) -> io::Result<Taken<L>> {
        self.check_reactor()?;
        let limit = lock(&self.shared.limit).clone();
        let place = limit.map(|limit| self.take_place(&limit)).transpose()?;
        let (socket, peer) = socket.accept_one()?;
        Ok((socket, peer, place))
    }

    /// Where there is no place there is no connection: that is true until one is given back, which
    /// makes the socket ready once more.
    fn take_place(&self, limit: &Limit) -> io::Result<Place> {
        let who = || -> Weak<dyn Refused> { Arc::<Shared<L>>::downgrade(&self.shared) };
        limit.take(who).ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn accepted(&self, accepted: io::Result<Taken<L>>) -> io::Result<Accepted<L>> {
        let (socket, peer, place) = accepted.map_err(|error| self.explain(error))?;
        Ok((Stream::accepted(self.registration().reactor(), socket, place)?, peer))
    }

    /// The system's errors get the address; ours say what they are. Only the former may look at the
    /// descriptor: after `close` has begun, even asking for the address could hold it open.
    fn explain(&self, error: io::Error) -> io::Error {
        if error.raw_os_error().is_none() {
            return error;
        }
        match self.local_addr() {
            Ok(address) => OpError::wrap("accept", L::name(&address), error),
            Err(_) => error,
        }
    }
}

/// The connections of a listener. See [`Listener::incoming`].
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a, L: ListenerSocket> {
    listener: &'a Listener<L>,
}

impl<L: ListenerSocket> futures_core::Stream for Incoming<'_, L> {
    type Item = io::Result<Stream<L::Stream>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.listener.poll_accept(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}

/// A listener in the care of another reactor than the global one, which will have what it accepts
/// as well. It must be non-blocking.
impl<L: ListenerSocket> From<Registration<L>> for Listener<L> {
    fn from(registration: Registration<L>) -> Self {
        Self::from_registration(registration)
    }
}

impl<L: ListenerSocket> AsFd for Listener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration().as_fd()
    }
}

impl<L: ListenerSocket> AsRawFd for Listener<L> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

mod sealed {
    pub trait Sealed: std::fmt::Debug + Send + Sync + 'static {}
    impl Sealed for std::net::TcpListener {}
    impl Sealed for std::os::unix::net::UnixListener {}
}
