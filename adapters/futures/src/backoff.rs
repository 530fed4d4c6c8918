//! What to do when accepting fails for want of descriptors or memory, or for what is wrong with one
//! connection only: wait a little.

use std::io;
use std::time::Duration;

use netpoll::{Reactor, Timer, raw_os_error};

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// `ENFILE`, `EMFILE`, `ENOMEM`, `ENOBUFS`, and `ENOSPC`, which is epoll's (`max_user_watches`). On
/// every Linux architecture they are the same.
const OUT_OF_RESOURCES: [i32; 5] = [23, 24, 12, 105, 28];

/// `ENONET`, `EPROTO`, `ENOPROTOOPT`, `ENETDOWN`, `ENETUNREACH`, `ETIMEDOUT`, `EHOSTDOWN` and
/// `EHOSTUNREACH`: errors of the connection that was to be accepted. "Treat them like `EAGAIN` by
/// retrying" (`accept(2)`).
const OF_ONE_CONNECTION: [i32; 8] = [64, 71, 92, 100, 101, 110, 112, 113];

/// The pauses of an accept loop that has run out of descriptors: 5 ms, doubling up to a second, as
/// Go's `net/http` makes them. Without them the loop spins: the connection is still there. It pauses as
/// well for what `accept(2)` tells of a connection that failed before it was accepted, which is no
/// reason to stop.
///
/// ```no_run
/// # async fn serve(listener: netpoll_futures::TcpListener) -> std::io::Result<()> {
/// let mut backoff = netpoll_futures::Backoff::new();
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
}

impl Backoff {
    /// One whose first pause is the shortest.
    #[must_use]
    pub fn new() -> Self {
        Self { next: FIRST }
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
    /// `error`, if it says anything else.
    pub async fn pause(&mut self, error: io::Error) -> io::Result<()> {
        let code = raw_os_error(&error);
        let passes = [&OUT_OF_RESOURCES[..], &OF_ONE_CONNECTION].concat();
        let passes = code.is_some_and(|code| passes.contains(&code));
        if !passes && error.kind() != io::ErrorKind::OutOfMemory {
            return Err(error);
        }
        let reactor = Reactor::global()?;
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        Timer::at(reactor, reactor.now() + pause)?.await
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
