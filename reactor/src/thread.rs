//! The reactor's own thread: it makes turns when no driver does, and watches the lease when one does.
//!
//! The rules are in [`lease`](crate::lease).

use std::cell::Cell;
use std::io;
use std::thread::JoinHandle;

use crate::helper::{self, Affinity};
use crate::lease::{TICK, Turn, Watch, WatchAction};
use crate::parker::Parker;
use crate::reactor::ReactorInner;
use crate::sync::Arc;
use crate::sys;

/// The scheduling policy of the reactor's thread (`sched(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchedPolicy {
    /// `SCHED_BATCH`: the thread waits for a free processor. Otherwise it preempts the executor that it has just
    /// woken, after a few events.
    Batch,
    /// The policy of the thread that builds the reactor.
    Inherit,
}

thread_local! {
    static IS_A_REACTORS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is the own thread of any reactor.
///
/// Such a thread must not join another thread: two of them could wait for each other.
pub(crate) fn is_a_reactors() -> bool {
    IS_A_REACTORS.get()
}

pub(crate) fn spawn(
    inner: Arc<ReactorInner>,
    sched_policy: SchedPolicy,
    affinity: Affinity,
) -> io::Result<JoinHandle<()>> {
    helper::spawn("netpoll", affinity, move || {
        IS_A_REACTORS.set(true);
        if sched_policy == SchedPolicy::Batch {
            sys::batch_scheduling();
        }
        attend(&inner);
    })
}

/// Watches and makes turns until the reactor is gone. If a waker forks, the child has a copy of this thread and no
/// reactor: there it ends as well.
pub(crate) fn attend(inner: &ReactorInner) {
    let mut watch = Watch::default();
    let thread = inner.lease.thread().expect("a reactor that has a thread");
    while inner.check_usable().is_ok() {
        match inner.lease.watch(&mut watch) {
            WatchAction::Turn => turn(inner),
            WatchAction::Tick => _ = thread.wait(|thread| thread.sleep_for(TICK)),
            WatchAction::Sleep => _ = thread.wait(Parker::sleep),
        }
    }
}

/// Makes turns until it has released the lease to a driver, or the reactor is gone.
fn turn(inner: &ReactorInner) {
    loop {
        inner.counters.thread_turns.add(1);
        if inner.turn_or_end(None, None) == Turn::Gone || inner.lease.release_if_requested() {
            return;
        }
    }
}
