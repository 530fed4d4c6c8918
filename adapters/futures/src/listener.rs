//! The listener, of any family: accepting.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Interest, OpError, Reactor, Registration};

use crate::backoff::Backoff;
use crate::events;
use crate::limit::{Limit, LimitWaiter, Place};
use crate::sealed::{Address, Extra, ListenerSocket, StdSocket};
use crate::socket::{Shared, Socket};
use crate::socket_file::SocketFile;
use crate::stream::Stream;
use crate::sync::{Mutex, lock};
use crate::sys;
use crate::timer::Timer;

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
#[derive(Debug, Default)]
pub struct Listening {
    pub(crate) file: SocketFile,
    limit: Mutex<Option<Limit>>,
    /// A connection needs `TCP_NODELAY`: it does not inherit the option from the listener.
    sets_nodelay: bool,
}

impl Listening {
    pub(crate) fn with_file(file: SocketFile) -> Self {
        Self { file, ..Self::default() }
    }

    pub(crate) fn with_nodelay(sets_nodelay: bool) -> Self {
        Self { sets_nodelay, ..Self::default() }
    }
}

impl Extra for Listening {
    fn closing(&self) {
        self.file.closing();
    }

    fn keep_options(&mut self) {
        self.sets_nodelay = false;
    }

    /// The standard library's listener never removes its file.
    fn given_back(&self) {
        self.file.set_removed_on_close(false);
    }
}

impl<L: ListenerSocket> LimitWaiter for Shared<L> {
    /// Marks the listener ready, as an event would: the accepting tasks look for a place once more.
    fn retry(&self) {
        self.registration.assume_ready(Direction::Read);
    }
}

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as StdSocket>::Address);

/// The accepted descriptor, the peer's address, and the place that the connection holds under a limit.
type Taken<L> = (OwnedFd, <L as StdSocket>::Address, Option<Place>);

impl<L: ListenerSocket> Listener<L> {
    /// [`register_on`](Socket::register_on) for a listener that several processes share, each of which
    /// registers it in this way: a connection wakes one process that waits, and not all of them
    /// ([`Interest::Exclusive`]). It suits listeners that are inherited, from a parent or from systemd.
    ///
    /// A process that is busy is passed over. So one process may accept most connections while there are
    /// few; for an even share, each process binds a listener of its own with
    /// [`reuse_port`](crate::ListenConfig::reuse_port). A process that was woken must accept: while it is at
    /// its [limit](Self::set_limit), or if it ends instead, the connection waits until another one arrives.
    /// On a reactor that is [embedded](netpoll::Builder::embedded) in an event loop, each process is woken
    /// all the same, as in a tokio runtime.
    ///
    /// ```
    /// use netpoll_futures::{Reactor, TcpListener};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let inherited = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = TcpListener::register_exclusive_on(Reactor::global()?, inherited)?;
    /// # drop(listener); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`register_on`](Socket::register_on).
    pub fn register_exclusive_on(reactor: &Reactor, socket: impl Into<L>) -> io::Result<Self> {
        let socket = socket.into();
        sys::set_nonblocking(socket.as_fd(), true)?;
        Registration::with(reactor, socket, Interest::Exclusive).map(Self::from)
    }

    /// Waits for a connection. Any number of tasks may wait at once.
    ///
    /// Connections that end before they are accepted are skipped.
    ///
    /// `accept4(2)` has no flag against blocking, so accepting relies on the listener's `O_NONBLOCK`.
    /// That flag belongs to the open file description: if a process that has inherited or received the
    /// listener clears it, an accept may block its thread.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](crate::DeadlineExceeded), [`Closed`](crate::Closed), or an [`OpError`],
    /// most often because descriptors or memory ran out. The connection then stays in the queue; if it
    /// was accepted and only its registration failed, it is closed. See [`Backoff`](crate::Backoff).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no connection has been accepted.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        let accepted =
            self.registration().io(Direction::Read, |socket| self.accept_one(socket)).await;
        self.to_stream(accepted)
    }

    /// [`accept`](Self::accept) as a poll function.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        let accepted =
            self.registration().poll_io(cx, Direction::Read, |socket| self.accept_one(socket));
        accepted.map(|accepted| self.to_stream(accepted))
    }

    /// Accepts a queued connection, or fails with `WouldBlock` if none is queued or the limit has no
    /// free place.
    pub fn try_accept(&self) -> io::Result<Accepted<L>> {
        let accept = |socket: &L| self.accept_one(socket);
        self.to_stream(self.try_io(Direction::Read, accept))
    }

    /// A stream of the connections. It never ends; after [`close`](Self::close) it yields errors.
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { listener: self }
    }

    /// A stream of the connections that owns the listener, for libraries that take such a stream. While the
    /// process is out of descriptors or memory, it pauses and tries again, as it does after an error of a
    /// single connection ([`Backoff`]). A [`Limit`] of the listener holds.
    ///
    /// Any other error ends it: the stream yields the error, and then its end. So a clone of the listener
    /// ends the stream by [`close`](Self::close), or at a time by
    /// [`set_read_deadline`](Self::set_read_deadline).
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use netpoll_futures::{TcpListener, TcpStream, is_closed};
    ///
    /// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut incoming = listener.clone().into_incoming();
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = incoming.next().await.expect("a connection")?;
    /// assert_eq!(stream.peer_addr()?, client.local_addr()?);
    ///
    /// listener.close().await?;
    /// assert!(is_closed(&incoming.next().await.expect("an error").unwrap_err()));
    /// assert!(incoming.next().await.is_none());
    /// # Ok(()) }) }
    /// ```
    pub fn into_incoming(self) -> IntoIncoming<L> {
        let backoff = Backoff::with(self.reactor());
        IntoIncoming { listener: self, backoff, pause: None, has_ended: false }
    }

    /// Sets or clears the limit of accepted connections, for all clones. Connections that are already
    /// open keep the places that they hold. Deadlines and [`close`](Self::close) also end an accept
    /// that waits for a place.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or [`ReactorGone`](crate::ReactorGone).
    pub fn set_limit(&self, limit: Option<&Limit>) -> io::Result<()> {
        self.registration().while_open(|_| Ok(()))?;
        self.registration().reactor().check_usable()?;
        let before = std::mem::replace(&mut *lock(&self.shared.extra.limit), limit.cloned());
        drop(before);
        self.shared.retry();
        Ok(())
    }

    /// Takes a place, then accepts. If no connection is accepted, the place is given back.
    fn accept_one(&self, socket: &L) -> io::Result<Taken<L>> {
        // A forked child accepts none of the parent's connections and takes no lock.
        self.registration().reactor().check_usable()?;
        let limit = lock(&self.shared.extra.limit).clone();
        let place = limit.map(|limit| self.take_place(&limit)).transpose()?;
        let (socket, peer) = socket.accept_one()?;
        Ok((socket, peer, place))
    }

    /// Without a free place, fails with `WouldBlock`, as if no connection were queued. The return of a
    /// place marks the listener ready again.
    fn take_place(&self, limit: &Limit) -> io::Result<Place> {
        let waiter = || -> Weak<dyn LimitWaiter> { Arc::<Shared<L>>::downgrade(&self.shared) };
        limit.take(waiter).ok_or_else(|| {
            events::limit_reached(self, limit.max());
            io::ErrorKind::WouldBlock.into()
        })
    }

    fn to_stream(&self, accepted: io::Result<Taken<L>>) -> io::Result<Accepted<L>> {
        let (socket, peer, place) = accepted.map_err(|error| self.explain_accept(error))?;
        if self.shared.extra.sets_nodelay {
            // As in Go, an error is ignored: the connection works without the option.
            let _ = sys::set_nodelay(socket.as_fd(), true);
        }
        let stream = Stream::of_accepted(self.registration().reactor(), socket, place)?;
        events::accepted::<L>(&stream);
        Ok((stream, peer))
    }

    /// Adds the listener's address to a system error, and leaves the crate's own errors alone. For
    /// those, `local_addr` is not called: once `close` has begun, even that call could hold the
    /// descriptor open.
    fn explain_accept(&self, error: io::Error) -> io::Error {
        if error.raw_os_error().is_none() {
            events::accept_failed(self, &error);
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

/// The connections of a listener that it owns. See [`Listener::into_incoming`].
#[must_use = "a stream does nothing unless it is polled"]
pub struct IntoIncoming<L: ListenerSocket> {
    listener: Listener<L>,
    backoff: Backoff,
    /// The pause after an error.
    pause: Option<Timer>,
    has_ended: bool,
}

impl<L: ListenerSocket> IntoIncoming<L> {
    /// The listener, for example to close it.
    #[must_use]
    pub fn get_ref(&self) -> &Listener<L> {
        &self.listener
    }
}

impl<L: ListenerSocket> futures_core::Stream for IntoIncoming<L> {
    type Item = io::Result<Stream<L::Stream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.has_ended {
            if let Some(pause) = &mut self.pause {
                ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            let error = match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    self.backoff.reset();
                    return Poll::Ready(Some(Ok(stream)));
                }
                Err(error) => error,
            };
            match self.backoff.begin_pause(error) {
                Ok(pause) => self.pause = Some(pause),
                Err(error) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// Prints the listener.
impl<L: ListenerSocket> fmt::Debug for IntoIncoming<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIncoming").field("listener", &self.listener).finish_non_exhaustive()
    }
}
