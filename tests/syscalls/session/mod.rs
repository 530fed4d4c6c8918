//! The sessions: a program's use of its sockets, from the reactor's start to the last close,
//! played under a fault.

mod any;
mod broken;
mod datagram;
mod reactor;
mod stream;
mod tcp;
mod unix;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use netpoll::{OpError, Reactor, ReactorGone};
use netpoll_futures::{is_deadline_exceeded, raw_os_error};

use crate::bystander::Starter;

/// The session to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// A connection from bind to close, over TCP.
    Tcp,
    /// The same, and the thread turns the reactor itself.
    Driven,
    /// The same over Unix sockets, with descriptors that travel.
    Unix,
    /// Datagrams, over UDP and between Unix sockets.
    Datagram,
    /// Descriptors of any kind.
    Any,
    /// Reactors made, turned by hand, and shut down.
    Reactor,
    /// The sessions with a flaw that the harness must find: see `broken.rs`.
    Broken(Flaw),
}

/// The flaw of a session that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    KeepsADescriptor,
    KeepsASlot,
    KeepsAWaker,
    KeepsAThread,
    Panics,
    Hangs,
    Dies,
    HidesTheError,
    TellsAnother,
    LeavesOutTheName,
    NeverRecovers,
}

impl Session {
    /// Those that are swept.
    pub(crate) const ALL: [Self; 6] =
        [Self::Tcp, Self::Driven, Self::Unix, Self::Datagram, Self::Any, Self::Reactor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Driven => "driven",
            Self::Unix => "unix",
            Self::Datagram => "datagram",
            Self::Any => "any",
            Self::Reactor => "reactor",
            Self::Broken(flaw) => flaw.name(),
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let broken = Flaw::ALL.into_iter().map(Self::Broken);
        Self::ALL.into_iter().chain(broken).find(|session| session.name() == name)
    }
}

/// An operation that failed.
pub(crate) struct Failure {
    operation: &'static str,
    error: io::Error,
}

impl Failure {
    /// Whether it is this error of the system, in the shape that the session's types promise: with operation
    /// and address around it where the operation is more than one call; and, in the shape of async-io, as
    /// the system's own.
    pub(crate) fn is(&self, errno: libc::c_int, session: Session) -> bool {
        let is_named = self.error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<OpError>);
        let is_as_promised = match self.operation {
            "start" => is_named,
            "bind" | "connect" | "accept" | "register" if session == Session::Any => !is_named,
            "bind" | "connect" | "accept" | "register" => is_named,
            _ => true,
        };
        raw_os_error(&self.error) == Some(errno) && is_as_promised
    }

    pub(crate) fn is_late(&self) -> bool {
        is_deadline_exceeded(&self.error)
    }

    pub(crate) fn is_gone(&self) -> bool {
        is_gone(&self.error)
    }

    /// Whether there was no reactor to be had.
    pub(crate) fn is_of_the_start(&self) -> bool {
        self.operation == "start"
    }
}

/// Whether an error, or one that it wraps, says that there is no reactor any more.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    let Some(payload) = error.get_ref() else { return false };
    let inner = payload.source().and_then(|source| source.downcast_ref::<io::Error>());
    payload.is::<ReactorGone>() || inner.is_some_and(is_gone)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, error } = self;
        write!(f, "{operation} failed with `{error}` ({:?})", error.kind())
    }
}

/// Says during which operation an error came.
trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, Failure>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, operation: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { operation, error })
    }
}

type Played = Result<(), Failure>;

/// A future deadline that passes soon.
const SOON: Duration = Duration::from_millis(2);

/// How long anything may take that nothing keeps from happening.
const LONG: Duration = Duration::from_secs(30);

/// Long enough to see that the kernel says nothing more.
const SHORT: Duration = Duration::from_millis(50);

/// The tools of a session.
pub(crate) struct Script<'a> {
    /// How long an operation may take.
    patience: Duration,
    /// Which try it is.
    attempt: usize,
    starter: &'a Starter,
}

impl Script<'_> {
    /// Makes the global reactor, or finds it, and has the bystander begin.
    fn start(&self) -> Result<&'static Reactor, Failure> {
        let reactor = Reactor::global().during("start")?;
        self.starter.start();
        Ok(reactor)
    }

    fn deadline(&self) -> Option<Instant> {
        Some(Instant::now() + self.patience)
    }

    /// A path that no other test binds, of this try.
    fn path(&self) -> PathBuf {
        path(self.attempt)
    }
}

fn path(attempt: usize) -> PathBuf {
    std::env::temp_dir().join(format!("netpoll-syscalls-{}-{attempt}", std::process::id()))
}

/// The files of sockets that were left behind, which are removed now.
pub(crate) fn files_left() -> usize {
    (0..ATTEMPTS).filter(|attempt| std::fs::remove_file(path(*attempt)).is_ok()).count()
}

const ATTEMPTS: usize = 2;

/// Plays a session; if an operation fails, once more from its beginning.
///
/// `lies` says in how many tries a lie about readiness is to come, which a deadline has to end.
pub(crate) fn play(session: Session, lies: usize, starter: &Starter) -> Vec<Failure> {
    let mut failures = Vec::new();
    for attempt in 0..ATTEMPTS {
        let patience = if attempt < lies { SHORT } else { LONG };
        match play_once(session, &Script { patience, attempt, starter }) {
            Ok(()) => break,
            Err(failure) => failures.push(failure),
        }
    }
    failures
}

fn play_once(session: Session, script: &Script<'_>) -> Played {
    match session {
        Session::Tcp => block_on(tcp::play(script)),
        Session::Driven => {
            // Without one, the session would be played all the same.
            Reactor::global().during("start")?;
            netpoll::block_on(tcp::play(script))
        }
        Session::Unix => block_on(unix::play(script)),
        Session::Datagram => block_on(datagram::play(script)),
        Session::Any => block_on(any::play(script)),
        Session::Reactor => reactor::play(script),
        Session::Broken(flaw) => block_on(broken::play(script, flaw)),
    }
}

/// An operation that should have failed by its deadline. That it is never early is checked, too.
async fn ends_late<T>(
    operation: impl Future<Output = io::Result<T>>,
    name: &'static str,
    deadline: Instant,
) -> Played {
    match operation.await {
        Ok(_) => panic!("{name}: there was nothing to be had"),
        Err(error) if is_deadline_exceeded(&error) => {
            assert!(Instant::now() >= deadline, "{name}: its deadline was early");
            Ok(())
        }
        other => other.map(drop).during(name),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future, on this thread, which sleeps meanwhile. Its waker must have no owner afterwards.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let unpark = Arc::new(Unpark(thread::current()));
    let waker = Waker::from(unpark.clone());
    let mut future = Box::pin(future);
    let output = loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => break output,
            Poll::Pending => thread::park(),
        }
    };
    drop(future);
    drop(waker);
    // A thread that has just woken us may be about to drop its copy.
    while Arc::strong_count(&unpark) > 1 {
        thread::yield_now();
    }
    output
}
