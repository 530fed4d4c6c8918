//! The reactor of a tokio runtime.
//!
//! The sockets that are made in a runtime belong to a reactor that is embedded in it: the runtime's own I/O driver
//! watches the reactor's descriptor, and a task of the runtime makes the turns. So an event wakes its task without a
//! switch to another thread. The first socket makes the reactor, and the task ends it with the runtime.
//!
//! Outside a runtime, and in one without I/O, sockets belong to the global reactor, which has a thread.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use netpoll::Reactor;
use netpoll_futures::per_process::{self, COPIES, PerProcess};
use once_cell::sync::OnceCell;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock;

/// The reactors of the runtimes that live. `None` for a runtime without I/O.
type Reactors = HashMap<Id, Arc<OnceCell<Option<Reactor>>>>;

static REACTORS: [PerProcess<Mutex<Option<Reactors>>>; COPIES] =
    [const { PerProcess::new(Mutex::new(None)) }; COPIES];

/// The reactor to which the sockets belong that are made here: that of the tokio runtime, if the call is made in one that
/// has I/O, else the [global one](Reactor::global). The first call in a runtime makes its reactor; it ends with the
/// runtime, and operations on its sockets then fail with [`ReactorGone`](netpoll::ReactorGone), which is also an error for
/// tokio's `is_rt_shutdown_err`.
///
/// For sockets of `netpoll-futures` in a tokio runtime, such as those of `netpoll_hyper::Server`:
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let listener = netpoll_futures::TcpListener::bind_on(&netpoll_tokio::reactor()?, "127.0.0.1:0").await?;
/// # drop(listener); Ok(()) }) }
/// ```
///
/// # Errors
///
/// Those of [`Builder::build`](netpoll::Builder::build) and of `epoll_ctl(2)`. In a forked child,
/// [`ReactorGone`](netpoll::ReactorGone) after too many forks.
pub fn reactor() -> io::Result<Reactor> {
    if let Ok(runtime) = Handle::try_current() {
        let cell = lock()?.get_or_insert_default().entry(runtime.id()).or_default().clone();
        // The panic hook, which `embed` exchanges, cannot be changed by a thread that panics.
        let reactor = if thread::panicking() {
            cell.get().cloned().flatten()
        } else {
            cell.get_or_try_init(|| embed(&runtime))?.clone()
        };
        if let Some(reactor) = reactor {
            return Ok(reactor);
        }
    }
    Reactor::global().cloned()
}

/// Whether the call is made in a runtime whose I/O driver watches a reactor.
#[cfg(feature = "tonic")]
pub(crate) fn has_io() -> bool {
    let Ok(runtime) = Handle::try_current() else { return false };
    let Ok(reactors) = lock() else { return false };
    let cell = reactors.as_ref().and_then(|reactors| reactors.get(&runtime.id()));
    cell.and_then(|cell| cell.get()).is_some_and(Option::is_some)
}

fn lock() -> io::Result<MutexGuard<'static, Option<Reactors>>> {
    let (reactors, _) = per_process::own(&REACTORS)?;
    Ok(reactors.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes the reactor of a runtime, in which the call is made, and the task that makes its turns.
fn embed(runtime: &Handle) -> io::Result<Option<Reactor>> {
    let reactor = clock::follow_tokio(Reactor::builder().embedded()).build()?;
    // tokio 1.52 lacks its successor, `register_with_interest`.
    #[allow(deprecated)]
    let watch = || AsyncFd::with_interest(Descriptor(reactor.clone()), Interest::READABLE);
    let Some(watched) = unless_disabled(watch) else {
        // The task does nothing but forget the runtime when it ends.
        let forget = ForgetRuntime(runtime.id());
        runtime.spawn(async move {
            let _forget = forget;
            std::future::pending::<()>().await;
        });
        return Ok(None);
    };
    let end = EndWithRuntime { reactor: reactor.clone(), _forget: ForgetRuntime(runtime.id()) };
    runtime.spawn(make_turns(watched?, end));
    Ok(Some(reactor))
}

/// Makes a turn whenever the reactor's descriptor is readable, and, where a program can stop tokio's clock, when a deadline
/// is due by that clock.
async fn make_turns(watched: AsyncFd<Descriptor>, end: EndWithRuntime) {
    // A destructor may block on the runtime while its thread panics.
    let follows_tokio = clock::can_be_paused() && !thread::panicking();
    let mut alarm = pin!(if follows_tokio { far_alarm() } else { None });
    loop {
        let woken = poll_fn(|cx| {
            if let Some(alarm) = alarm.as_mut().as_pin_mut()
                && alarm.poll(cx).is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            // Cleared before the turn: an event that comes during the turn sets it again.
            watched.poll_read_ready(cx).map_ok(|mut readable| readable.clear_ready())
        });
        if woken.await.is_err() {
            return;
        }
        match end.reactor.turn(Some(Duration::ZERO)) {
            // Another thread makes a turn.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
            Ok(()) => {}
        }
        if let Some(alarm) = alarm.as_mut().as_pin_mut() {
            let next = end.reactor.next_deadline().map(Instant::from_std);
            alarm.reset(next.unwrap_or_else(|| Instant::now() + FAR));
        }
    }
}

/// Beyond any test.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// `None` in a runtime without time.
fn far_alarm() -> Option<Sleep> {
    unless_disabled(|| sleep_until(Instant::now() + FAR))
}

/// The text by which `tokio::runtime::is_rt_shutdown_err` knows an error.
const SHUT_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";

/// Ends the reactor of a runtime with its task.
struct EndWithRuntime {
    reactor: Reactor,
    _forget: ForgetRuntime,
}

impl Drop for EndWithRuntime {
    fn drop(&mut self) {
        self.reactor.shutdown_because(SHUT_DOWN);
    }
}

/// Takes a runtime out of the list when it ends.
struct ForgetRuntime(Id);

impl Drop for ForgetRuntime {
    fn drop(&mut self) {
        if let Ok(mut reactors) = lock() {
            let ended = reactors.as_mut().and_then(|reactors| reactors.remove(&self.0));
            drop(reactors);
            drop(ended);
        }
    }
}

/// The reactor's descriptor, as a number.
struct Descriptor(Reactor);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

thread_local! {
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

/// Asks tokio for something that it refuses, by a panic, in a runtime without I/O or without time. tokio has no other
/// way to tell. The panic is caught, and its message is not printed: for this call, the hook ignores the panics of this
/// thread, which must not be panicking already. One thread asks at a time, since the process has one hook.
fn unless_disabled<R>(ask: impl FnOnce() -> R) -> Option<R> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = Arc::new(panic::take_hook());
    let others = before.clone();
    panic::set_hook(Box::new(move |panic| {
        if !ASKS.get() {
            others(panic);
        }
    }));
    ASKS.set(true);
    let answer = panic::catch_unwind(AssertUnwindSafe(ask));
    ASKS.set(false);
    drop(panic::take_hook());
    if let Ok(before) = Arc::try_unwrap(before) {
        panic::set_hook(before);
    }
    answer.ok()
}
