//! The reactor's own thread: it makes turns when no driver does, and watches the lease when one does.
//!
//! The rules are in [`lease`](crate::lease).

use std::cell::Cell;
use std::io;
use std::thread::JoinHandle;

use crate::helper::{self, Affinity};
use crate::lease::{TICK, Watch, WatchAction};
use crate::parker::Parker;
use crate::reactor::Shared;
use crate::sync::Arc;
use crate::sys;

/// The scheduling of the reactor's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The thread waits for a free processor (`SCHED_BATCH`): otherwise it preempts the executor that it has just woken,
    /// after a few events.
    Patient,
    Preempting,
}

thread_local! {
    static IS_A_REACTORS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is the own thread of any reactor.
///
/// Such a thread waits for the end of no other thread: two of them could wait for each other.
pub(crate) fn is_a_reactors() -> bool {
    IS_A_REACTORS.get()
}

pub(crate) fn spawn(
    shared: Arc<Shared>,
    manner: Manner,
    affinity: Affinity,
) -> io::Result<JoinHandle<()>> {
    helper::spawn("netpoll", affinity, move || {
        IS_A_REACTORS.set(true);
        if manner == Manner::Patient {
            sys::batch_scheduling();
        }
        attend(&shared);
    })
}

/// Watches and makes turns until the reactor is gone. If a waker forks, the child has a copy of this thread and no
/// reactor: there it ends as well.
pub(crate) fn attend(shared: &Shared) {
    let mut watch = Watch::default();
    let thread = shared.lease.thread().expect("a reactor that has a thread");
    while shared.check_usable().is_ok() {
        match shared.lease.watch(&mut watch) {
            WatchAction::Turn => turn(shared),
            WatchAction::Tick => sleep(thread, |thread| thread.sleep_for(TICK)),
            WatchAction::Sleep => sleep(thread, Parker::sleep),
        }
    }
}

/// Makes turns until a driver takes the lease, or the reactor is gone.
fn turn(shared: &Shared) {
    loop {
        shared.counters.add_thread_turn();
        if shared.turn_or_end(None, None).is_none() || shared.lease.hand_over() {
            return;
        }
    }
}

fn sleep(thread: &Parker, sleep: impl FnOnce(&Parker)) {
    if thread.begin_sleep() {
        sleep(thread);
    }
    thread.end();
}
