//! Pauses an accept loop after an error: descriptors or memory have run out, or a single connection has
//! failed.

use std::io;
use std::time::Duration;

use netpoll::{Reactor, raw_os_error};

use crate::{Timer, events};

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// Resources have run out: `ENFILE`, `EMFILE`, `ENOMEM`, `ENOBUFS`, and `ENOSPC`, which `epoll_ctl(2)`
/// returns (`max_user_watches`).
///
/// Errors of the connection that was to be accepted (`accept(2)`, "Error handling"): `EPERM`, `ENONET`,
/// `EPROTO`, `ENOPROTOOPT`, `EOPNOTSUPP`, `ENETDOWN`, `ENETUNREACH`, `EHOSTDOWN` and `EHOSTUNREACH`,
/// and those that "various Linux kernels can return": `ENOSR`, `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT` and
/// `ETIMEDOUT`. `ECONNRESET` and `ECONNABORTED` mean that the peer is gone.
///
/// The numbers are the same on every Linux architecture.
const PASSING: [i32; 20] =
    [23, 24, 12, 105, 28, 1, 64, 71, 92, 95, 100, 101, 112, 113, 63, 93, 94, 110, 104, 103];

/// The pauses of an accept loop after an error: 5 ms, doubling up to a second, as in Go's `net/http`.
/// An accept that fails because descriptors have run out leaves the connection in the queue, so without
/// a pause the loop would spin. The loop also pauses after each error that `accept(2)` attributes to
/// the single connection; the listener still works then.
///
/// [`Listener::into_incoming`](crate::Listener::into_incoming) makes these pauses itself.
///
/// ```no_run
/// # async fn serve(listener: netpoll_futures::TcpListener) -> std::io::Result<()> {
/// let mut backoff = netpoll_futures::Backoff::with(listener.registration().reactor());
/// loop {
///     match listener.accept().await {
///         Ok((stream, _)) => {
///             backoff.reset();
///             // spawn(serve(stream))
/// #           drop(stream);
///         }
///         Err(error) => backoff.pause(error).await?,
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    reactor: Option<Reactor>,
}

impl Backoff {
    /// Creates a backoff that waits with timers of the [global reactor](Reactor::global). If that
    /// reactor cannot be created, for example because descriptors have run out, the thread behind
    /// [`Timer`] serves the pauses.
    #[must_use]
    pub fn new() -> Self {
        Self { next: FIRST, reactor: None }
    }

    /// Creates a backoff that waits with timers of this reactor, usually the listener's. It never uses
    /// the global one.
    #[must_use]
    pub fn with(reactor: &Reactor) -> Self {
        Self { next: FIRST, reactor: Some(reactor.clone()) }
    }

    /// Makes the next pause the shortest again. Call it after a successful accept.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits, if `error` means that a resource is exhausted or that a single connection could not be
    /// accepted.
    ///
    /// # Errors
    ///
    /// Returns any other `error` unchanged. The pause itself cannot fail.
    pub async fn pause(&mut self, error: io::Error) -> io::Result<()> {
        self.begin_pause(error)?.await;
        Ok(())
    }

    /// The pause of [`pause`](Self::pause).
    pub(crate) fn begin_pause(&mut self, error: io::Error) -> io::Result<Timer> {
        let passes = raw_os_error(&error).is_some_and(|code| PASSING.contains(&code));
        if !passes && error.kind() != io::ErrorKind::OutOfMemory {
            return Err(error);
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        events::paused(&error, pause);
        let mut timer = self.reactor.as_ref().map_or_else(Timer::never, Timer::with);
        timer.set_after(pause);
        Ok(timer)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
