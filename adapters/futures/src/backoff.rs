//! What to do when accepting fails for want of descriptors or memory, or for what is wrong with one
//! connection only: wait a little.

use std::io;
use std::time::Duration;

use netpoll::{Reactor, raw_os_error};

use crate::Timer;

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// `ENFILE`, `EMFILE`, `ENOMEM`, `ENOBUFS`, and `ENOSPC`, which is epoll's (`max_user_watches`). On
/// every Linux architecture they are the same.
const OUT_OF_RESOURCES: [i32; 5] = [23, 24, 12, 105, 28];

/// Errors of the connection that was to be accepted (`accept(2)`, "Error handling"): `EPERM`, `ENONET`, `EPROTO`,
/// `ENOPROTOOPT`, `EOPNOTSUPP`, `ENETDOWN`, `ENETUNREACH`, `EHOSTDOWN` and `EHOSTUNREACH`, and those that
/// "various Linux kernels can return": `ENOSR`, `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT` and `ETIMEDOUT`.
/// `ECONNRESET` and `ECONNABORTED` say the same: the peer is gone.
const OF_ONE_CONNECTION: [i32; 15] =
    [1, 64, 71, 92, 95, 100, 101, 112, 113, 63, 93, 94, 110, 104, 103];

/// The pauses of an accept loop that has run out of descriptors: 5 ms, doubling up to a second, as
/// Go's `net/http` makes them. Without them the loop spins: the connection is still there. It pauses as
/// well for each error that `accept(2)` lists as one of the connection that was to be accepted, which is
/// no reason to stop.
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
    /// One whose first pause is the shortest. It pauses by the [global reactor](Reactor::global); where that
    /// cannot be made, for want of descriptors say, by a [`Timer`]'s thread.
    #[must_use]
    pub fn new() -> Self {
        Self { next: FIRST, reactor: None }
    }

    /// One that pauses by the listener's own reactor, and does not ask for the global one.
    #[must_use]
    pub fn with(reactor: &Reactor) -> Self {
        Self { next: FIRST, reactor: Some(reactor.clone()) }
    }

    /// Accepting works again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits, if `error` says that a resource is exhausted, or that a connection could not be accepted
    /// for reasons of its own.
    ///
    /// # Errors
    ///
    /// `error`, if it says anything else. The pause itself cannot fail.
    pub async fn pause(&mut self, error: io::Error) -> io::Result<()> {
        let code = raw_os_error(&error);
        let passes = [&OUT_OF_RESOURCES[..], &OF_ONE_CONNECTION].concat();
        let passes = code.is_some_and(|code| passes.contains(&code));
        if !passes && error.kind() != io::ErrorKind::OutOfMemory {
            return Err(error);
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        let mut timer = self.reactor.as_ref().map_or_else(Timer::never, Timer::with);
        timer.set_after(pause);
        timer.await;
        Ok(())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
