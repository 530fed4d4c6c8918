//! Signals as a stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Interest, Reactor, Registration};
use signal_hook_registry::SigId;

use crate::sys::signal::{Arrivals, check_signal};

/// A signal by its number, with the names of tokio's `SignalKind`.
///
/// ```
/// use netpoll_futures::SignalKind;
///
/// assert_eq!(SignalKind::terminate().as_raw_value(), 15);
/// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalKind(i32);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $name() -> Self {
            Self(libc::$number)
        }
    )+};
}

impl SignalKind {
    /// Any signal, real-time signals included. [`Signals::new`] refuses a number that cannot be caught.
    #[must_use]
    pub const fn from_raw(signal: i32) -> Self {
        Self(signal)
    }

    /// The number of the signal.
    #[must_use]
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }

    kinds! {
        /// `SIGALRM`: a timer of `alarm(2)` or `setitimer(2)` fired.
        alarm = SIGALRM;
        /// `SIGCHLD`: a child stopped or ended.
        child = SIGCHLD;
        /// `SIGHUP`: the terminal is gone. Servers read their configuration again.
        hangup = SIGHUP;
        /// `SIGINT`: Ctrl-C in the terminal.
        interrupt = SIGINT;
        /// `SIGIO`: a descriptor is ready (`O_ASYNC`).
        io = SIGIO;
        /// `SIGPIPE`: a write to a pipe without readers. Rust programs ignore it by default.
        pipe = SIGPIPE;
        /// `SIGQUIT`: Ctrl-\ in the terminal.
        quit = SIGQUIT;
        /// `SIGTERM`: the program is asked to end, by `kill(1)`, systemd or Kubernetes.
        terminate = SIGTERM;
        /// `SIGUSR1`
        user_defined1 = SIGUSR1;
        /// `SIGUSR2`
        user_defined2 = SIGUSR2;
        /// `SIGWINCH`: the terminal changed its size.
        window_change = SIGWINCH;
    }
}

impl From<i32> for SignalKind {
    fn from(signal: i32) -> Self {
        Self(signal)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> Self {
        kind.0
    }
}

/// The signals that the process receives, from now on: by [`recv`](Self::recv), or as a stream.
///
/// The reactor of the sockets watches an eventfd, which the signal handler writes. There is no second reactor and no
/// thread for it.
///
/// ```
/// use netpoll_futures::{SignalKind, Signals};
///
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// let signals = Signals::new([SignalKind::interrupt(), SignalKind::terminate()])?;
/// # std::process::Command::new("sh").args(["-c", "kill -TERM $PPID"]).status()?;
/// // In another task: the server accepts connections.
/// match signals.recv().await? {
///     kind if kind == SignalKind::interrupt() => println!("interrupted"),
///     _ => println!("asked to end"),
/// }
/// # Ok(()) }) }
/// ```
///
/// # Semantics
///
/// Those of tokio's and of async-signal, whose handler this is as well (signal-hook-registry):
///
/// - A handler that was installed before is still called, and each `Signals` and each stream of tokio's receives each
///   signal. A handler that another library installs *later* with `sigaction(2)` replaces this one.
/// - **The default action no longer happens**: after `Signals::new([SignalKind::interrupt()])`, Ctrl-C does not end the
///   process. This holds for the life of the process, also after the `Signals` is dropped: the signal then has no
///   effect. A signal that the process ignored (`nohup`) is received.
/// - Nothing else changes: no other signal, no signal mask. A signal that all threads block is not received.
///   (The threads of this library block all signals, so the handler runs on one of yours.)
/// - Several signals of one kind that arrive before the task looks are one, as in the kernel. Signals of several kinds come
///   in the order of their numbers.
/// - System calls that the handler interrupts are restarted, where the kernel restarts calls (`SA_RESTART`).
/// - `SIGKILL` and `SIGSTOP` cannot be caught. `SIGILL`, `SIGFPE` and `SIGSEGV` are refused.
///
/// # Fork
///
/// The signals of a forked child do not reach its parent's `Signals`. In the child, the inherited one fails with
/// [`ReactorGone`](crate::ReactorGone), and the child makes its own. That takes a lock of signal-hook-registry: if another
/// thread of the parent was in [`Signals::new`] or in its drop at the fork, the child would wait for ever.
pub struct Signals {
    /// Removed first: then no handler uses the eventfd.
    actions: Vec<SigId>,
    kinds: Vec<SignalKind>,
    registration: Registration<Arc<Arrivals>>,
}

impl Signals {
    /// Receives these signals.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a signal that cannot be caught: then no handler is
    /// installed. Otherwise an error of [`Reactor::global`], of `eventfd(2)`, of `sigaction(2)` or of
    /// [registering](Registration::with).
    pub fn new(kinds: impl IntoIterator<Item = SignalKind>) -> io::Result<Self> {
        Self::new_on(Reactor::global()?, kinds)
    }

    /// [`new`](Self::new) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn new_on(
        reactor: &Reactor,
        kinds: impl IntoIterator<Item = SignalKind>,
    ) -> io::Result<Self> {
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.iter().try_for_each(|kind| check_signal(kind.0))?;
        let arrivals = Arrivals::new()?;
        let registration = Registration::with(reactor, arrivals.clone(), Interest::Readable)?;
        let mut signals = Self { actions: Vec::new(), kinds, registration };
        for kind in &signals.kinds {
            signals.actions.push(arrivals.count(kind.0)?);
        }
        Ok(signals)
    }

    /// Waits for the next signal. Any number of tasks may wait at once: one of them receives it.
    ///
    /// # Errors
    ///
    /// [`ReactorGone`](crate::ReactorGone) after a shutdown of the reactor, and in a forked child.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no signal is lost.
    pub async fn recv(&self) -> io::Result<SignalKind> {
        loop {
            let readiness = self.registration.ready(Direction::Read).await?;
            if let Some(kind) = self.take()? {
                return Ok(kind);
            }
            self.registration.clear_ready(readiness);
        }
    }

    /// [`recv`](Self::recv) as a poll function.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<SignalKind>> {
        loop {
            let readiness = ready!(self.registration.poll_ready(cx, Direction::Read))?;
            if let Some(kind) = self.take()? {
                return Poll::Ready(Ok(kind));
            }
            self.registration.clear_ready(readiness);
        }
    }

    /// A forked child also inherits the signals that its parent has not received yet: those are not its own.
    fn take(&self) -> io::Result<Option<SignalKind>> {
        self.registration.reactor().check_usable()?;
        Ok(self.registration.get_ref().take().map(SignalKind))
    }
}

/// It never ends. After a shutdown of the reactor it yields errors.
impl futures_core::Stream for Signals {
    type Item = io::Result<SignalKind>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Some)
    }
}

impl futures_core::Stream for &Signals {
    type Item = io::Result<SignalKind>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Some)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // The actions of a forked child have no effect, and a thread of the parent may hold the registry's lock.
        if self.registration.get_ref().are_ours() {
            for action in self.actions.drain(..) {
                signal_hook_registry::unregister(action);
            }
        }
    }
}

/// Prints the signals.
impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.kinds.iter().map(|kind| kind.0).collect();
        f.debug_struct("Signals").field("numbers", &numbers).finish_non_exhaustive()
    }
}
