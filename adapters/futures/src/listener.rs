//! The listener, of any family: accepting.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use netpoll::{Direction, OpError};

use crate::ReactorGone;
use crate::limit::{Limit, Place, Refused};
use crate::sealed::{Address, Extra, ListenerSocket, StdSocket};
use crate::socket::{Shared, Socket};
use crate::socket_file::SocketFile;
use crate::stream::Stream;
use crate::sync::{Mutex, lock};

/// A socket that accepts connections: a [`TcpListener`](crate::TcpListener) or a
/// [`UnixListener`](crate::UnixListener).
///
/// Deadlines, readiness, close and conversions are those of every [`Socket`]: `set_deadline` and
/// `set_read_deadline` set the time after which accepting fails.
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
pub type Listener<L> = Socket<L>;

/// The state of a listener.
#[doc(hidden)]
#[derive(Debug)]
pub struct Listening {
    pub(crate) file: SocketFile,
    limit: Mutex<Option<Limit>>,
}

impl Listening {
    /// The state of a listener that is bound to a path, or to none.
    pub(crate) fn at(path: Option<&Path>) -> Self {
        Self::with_file(SocketFile::of(path.map(Path::to_owned)))
    }

    pub(crate) fn with_file(file: SocketFile) -> Self {
        Self { file, limit: Mutex::new(None) }
    }
}

impl Extra for Listening {
    fn closing(&self) {
        self.file.closing();
    }

    /// The standard library's listener never removes its file.
    fn given_back(&self) {
        self.file.set_removed_on_close(false);
    }
}

impl<L: ListenerSocket> Refused for Shared<L> {
    /// As an event would: a task that accepts looks for a place once more.
    fn ask_again(&self) {
        self.registration.assume_ready(Direction::Read);
    }
}

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as StdSocket>::Address);

/// What the system gave us, and the place that it takes if there is a limit.
type Taken<L> = (OwnedFd, <L as StdSocket>::Address, Option<Place>);

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
        self.to_stream(accepted)
    }

    /// [`accept`](Self::accept) for those who poll.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        let accepted =
            self.registration().poll_io(cx, Direction::Read, |socket| self.accept_one(socket));
        accepted.map(|accepted| self.to_stream(accepted))
    }

    /// Accepts a connection that is there and for which there is a place, or fails with `WouldBlock`.
    pub fn try_accept(&self) -> io::Result<Accepted<L>> {
        let accept = |socket: &L| self.accept_one(socket);
        self.to_stream(self.try_io(Direction::Read, accept))
    }

    /// The connections, as a stream that ends only with an error after [`close`](Self::close).
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { listener: self }
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
        let before = std::mem::replace(&mut *lock(&self.shared.extra.limit), limit.cloned());
        drop(before);
        self.shared.ask_again();
        Ok(())
    }

    /// A forked child takes no connection of the parent's, and no lock.
    fn check_reactor(&self) -> io::Result<()> {
        if self.registration().reactor().is_gone() { Err(ReactorGone::error()) } else { Ok(()) }
    }

    /// Takes a place before it accepts, and gives it back if it does not.
    fn accept_one(&self, socket: &L) -> io::Result<Taken<L>> {
        self.check_reactor()?;
        let limit = lock(&self.shared.extra.limit).clone();
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

    fn to_stream(&self, accepted: io::Result<Taken<L>>) -> io::Result<Accepted<L>> {
        let (socket, peer, place) = accepted.map_err(|error| self.explain_accept(error))?;
        Ok((Stream::of_accepted(self.registration().reactor(), socket, place)?, peer))
    }

    /// The system's errors get the address; ours say what they are. Only the former may look at the
    /// descriptor: after `close` has begun, even asking for the address could hold it open.
    fn explain_accept(&self, error: io::Error) -> io::Error {
        if error.raw_os_error().is_none() {
            return error;
        }
        match self.local_addr() {
            Ok(address) => OpError::wrap("accept", address.text(), error),
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
