//! Watching for writability: a waiter against a writer that may end the watching.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::fixtures::{Task, explore};
use crate::demand::Demand;
use crate::ready::Direction::Write;
use crate::slot::Slot;
use crate::slot::state::Queue;

/// The interest of epoll, as a flag.
struct Socket {
    slot: Slot,
    demand: Demand,
    asked: AtomicBool,
}

impl Socket {
    fn has_written(&self) {
        let somebody_waits = || self.slot.state().has_waiter(Queue::Write);
        self.demand.may_fall(somebody_waits, || self.asked.store(false, Ordering::Relaxed));
    }

    fn is_awaited(&self) {
        let ask = || {
            self.asked.store(true, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        self.demand.rises(ask).unwrap();
    }
}

/// One waits while two others have written: in the end epoll is asked for it.
#[test]
fn a_waiter_against_writers_that_are_done() {
    explore(|| {
        let slot = Slot::new(0);
        let socket = Socket { slot, demand: Demand::new(), asked: AtomicBool::new(false) };
        let socket = Arc::new(socket);
        let mut task = Task::future();
        let writers = [(); 2].map(|()| {
            let socket = socket.clone();
            thread::spawn(move || socket.has_written())
        });
        let _ = task.wait(&socket.slot, Write);
        socket.is_awaited();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert!(
            socket.slot.state().has_waiter(Queue::Write) && socket.asked.load(Ordering::Relaxed)
        );
    });
}
