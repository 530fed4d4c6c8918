//! quinn's runtime trait: sockets and timers of a reactor, and a function that spawns tasks.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use netpoll::Reactor;
use quinn::{AsyncTimer, AsyncUdpSocket};

use crate::socket::Socket;
use crate::timer::Timer;

/// A task for an executor.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime for [`quinn::Endpoint::new`]: the sockets and the timers of a reactor, and any function that spawns tasks.
///
/// ```
/// use netpoll_quinn::Runtime;
/// use std::sync::Arc;
///
/// // smol's global executor.
/// let global = Runtime::new(|task| smol::spawn(task).detach())?;
/// // An executor of your own, which another thread runs. tokio's `Handle` works in the same way.
/// let own = Arc::new(smol::Executor::new());
/// let mine = Runtime::new(move |task| own.spawn(task).detach())?;
/// // A thread pool of futures.
/// let pool = futures::executor::ThreadPool::new()?;
/// let pooled = Runtime::new(move |task| pool.spawn_ok(task))?;
/// # std::io::Result::Ok(())
/// ```
///
/// An executor whose tasks stay on one thread takes them from a channel:
///
/// ```
/// use futures::StreamExt;
/// use futures::channel::mpsc;
/// use netpoll_quinn::Runtime;
///
/// let (sender, tasks) = mpsc::unbounded();
/// let runtime = Runtime::new(move |task| drop(sender.unbounded_send(task)))?;
/// // This future runs quinn's tasks until the runtime and its endpoints are dropped. Await it, or join it with your own.
/// let running = tasks.for_each_concurrent(None, |task| task);
/// # drop(runtime);
/// # netpoll::block_on(running);
/// # std::io::Result::Ok(())
/// ```
pub struct Runtime {
    reactor: Reactor,
    spawn: Box<dyn Fn(Task) + Send + Sync>,
}

impl Runtime {
    /// A runtime with the [global reactor](Reactor::global), which spawns a task by calling `spawn`. That must detach the
    /// task: a task that is dropped before its end ends its endpoint or its connection.
    ///
    /// # Errors
    ///
    /// The error of [`Reactor::global`].
    pub fn new(spawn: impl Fn(Task) + Send + Sync + 'static) -> io::Result<Self> {
        Ok(Self::new_on(Reactor::global()?, spawn))
    }

    /// [`new`](Self::new) with a reactor that the caller names. quinn's timers then follow the
    /// [clock](Reactor::now) of that reactor.
    #[must_use]
    pub fn new_on(reactor: &Reactor, spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self { reactor: reactor.clone(), spawn: Box::new(spawn) }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl quinn::Runtime for Runtime {
    /// A timer that resolves at `deadline`, never early. To move it to a later time costs a few nanoseconds.
    fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer::at(&self.reactor, deadline))
    }

    fn spawn(&self, task: Task) {
        (self.spawn)(task);
    }

    /// Makes the socket non-blocking, enables GRO, ECN and path MTU discovery as far as the kernel has them, and registers it.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`](netpoll::Registration::with), or an error of `setsockopt(2)`.
    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::register(&self.reactor, socket)?))
    }

    /// The present time of the reactor's clock.
    fn now(&self) -> Instant {
        self.reactor.now()
    }
}
