//! The reactor's own thread: it turns when nobody else does, and watches over those who do.
//!
//! When it does which is in [`lease`](crate::lease).

use std::cell::Cell;
use std::io;
use std::thread::JoinHandle;

use crate::helper::{self, Affinity};
use crate::lease::{Duty, TICK, Watch};
use crate::parker::Parker;
use crate::reactor::Shared;
use crate::sync::Arc;
use crate::sys;

/// What the thread does to others when it has something to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It waits until a processor is free: otherwise it interrupts the executor it has just woken,
    /// after a handful of events.
    Patient,
    Preempting,
}

thread_local! {
    static IS_A_REACTORS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is a reactor's own, of whichever reactor.
///
/// Such a thread waits for the end of no other: two of them could wait for each other.
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

/// Looks after the reactor until it is gone. A child that a waker forks has a copy of this thread and no
/// reactor: there it ends as well.
fn attend(shared: &Shared) {
    let mut watch = Watch::default();
    let thread = shared.lease.thread().expect("a reactor that has a thread");
    while shared.check_usable().is_ok() {
        match shared.lease.watch(&mut watch) {
            Duty::Turn => turn(shared),
            Duty::Tick => sleep(thread, |thread| thread.sleep_for(TICK)),
            Duty::Sleep => sleep(thread, Parker::sleep),
        }
    }
}

/// Turns until a driver wants to.
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
