//! The listener.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use netpoll::socket::{self, KeepAlive};
use netpoll::{Direction, Interest, OpError, Reactor, Registration};

use super::TcpStream;
use crate::address::ToSocketAddrs;
use crate::in_order::InOrder;
use crate::order::Order;

/// A socket that accepts connections.
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
#[derive(Clone, Debug)]
pub struct TcpListener {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) registration: Registration<net::TcpListener>,
    accepts: Order,
}

impl TcpListener {
    /// Binds to the first address that can be bound, with Go's defaults: the address may be reused
    /// directly after another listener, the queue is as long as the system allows, and accepted
    /// connections have `TCP_NODELAY` and keep-alive probes every 15 seconds.
    ///
    /// Port 0 takes a free one; see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the first address tried, or the name that could not be looked up.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let addresses = addresses.to_addresses().resolve(None).await?;
        let mut first_error = None;
        for address in &addresses {
            match bind_one(address) {
                Ok(listener) => return Self::from_nonblocking(listener),
                Err(error) => {
                    first_error.get_or_insert_with(|| OpError::wrap("bind", address, error));
                }
            }
        }
        Err(first_error.expect("resolving yields at least one address"))
    }

    /// Waits for a connection. Any number of tasks may wait at once.
    ///
    /// Connections that are gone before we come to them are passed over.
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
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = self.accepting().io(accept_from).await;
        self.accepted(accepted)
    }

    /// [`accept`](Self::accept) for those who poll.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.accepting().poll_io(cx, accept_from);
        accepted.map(|accepted| self.accepted(accepted))
    }

    /// Accepts a connection that is there, or fails with `WouldBlock`.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accepted(self.registration().try_io(Direction::Read, accept_from))
    }

    /// The connections, as a stream that ends only with an error after [`close`](Self::close).
    pub fn incoming(&self) -> Incoming<'_> {
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

    /// Stops listening: pending accepts fail with [`Closed`](crate::Closed), and when it resolves
    /// the port can be bound again. See [`Registration::close`].
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        let closing = self.registration().begin_close()?;
        self.shared.accepts.end();
        self.registration().finish_close(closing).await
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration().get_ref().local_addr()
    }

    /// `IP_TTL`
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.registration().get_ref().ttl()
    }

    /// `IP_TTL`
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.registration().get_ref().set_ttl(ttl)
    }

    pub(super) fn from_nonblocking(listener: impl Into<net::TcpListener>) -> io::Result<Self> {
        let listener = listener.into();
        Registration::with(Reactor::global()?, listener, Interest::Readable)
            .map(Self::from_registration)
    }

    pub(super) fn registration(&self) -> &Registration<net::TcpListener> {
        &self.shared.registration
    }

    fn accepting(&self) -> InOrder<'_, net::TcpListener> {
        let Shared { registration, accepts } = &*self.shared;
        InOrder { registration, order: accepts, direction: Direction::Read }
    }

    pub(super) fn from_registration(registration: Registration<net::TcpListener>) -> Self {
        Self { shared: Arc::new(Shared { registration, accepts: Order::default() }) }
    }

    fn accepted(
        &self,
        accepted: io::Result<(OwnedFd, SocketAddr)>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = accepted.map_err(|error| self.explain(error))?;
        Ok((TcpStream::accepted(self.registration().reactor(), socket)?, peer))
    }

    /// The system's errors get the address; ours say what they are. Only the former may look at the
    /// descriptor: after `close` has begun, even asking for the address could hold it open.
    fn explain(&self, error: io::Error) -> io::Error {
        if error.raw_os_error().is_none() {
            return error;
        }
        match self.local_addr() {
            Ok(address) => OpError::wrap("accept", address, error),
            Err(_) => error,
        }
    }
}

fn bind_one(address: &SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket::stream(address)?;
    socket::set_reuse_address(socket.as_fd(), true)?;
    // Set once, here: what is accepted inherits it.
    socket::set_nodelay(socket.as_fd(), true)?;
    socket::set_keepalive(socket.as_fd(), Some(KeepAlive::default()))?;
    socket::bind(socket.as_fd(), address)?;
    socket::listen(socket.as_fd())?;
    Ok(socket)
}

fn accept_from(listener: &net::TcpListener) -> io::Result<(OwnedFd, SocketAddr)> {
    socket::accept(listener.as_fd())
}

/// The connections of a listener. See [`TcpListener::incoming`].
#[derive(Clone, Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.listener.poll_accept(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }
}
