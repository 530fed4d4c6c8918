//! `EPOLLOUT` on demand: a waiter against writers that may disable it.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::fixtures::{Task, explore};
use crate::ready::Direction::Write;
use crate::slot::Slot;
use crate::slot::state::Queue;
use crate::write_interest::WriteInterest;

/// A flag stands for epoll's interest in writability.
struct Socket {
    slot: Slot,
    write_interest: WriteInterest,
    is_enabled: AtomicBool,
}

impl Socket {
    fn has_written(&self) {
        let has_waiter = || self.slot.state().has_waiter(Queue::Write);
        let disable = || self.is_enabled.store(false, Ordering::Relaxed);
        self.write_interest.disable_if_idle(has_waiter, disable);
    }

    fn is_awaited(&self) {
        let enable = || {
            self.is_enabled.store(true, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        self.write_interest.enable(enable).unwrap();
    }
}

/// One task waits while two others have written: in the end `EPOLLOUT` is enabled.
#[test]
fn a_waiter_against_writers_that_are_done() {
    explore(|| {
        let slot = Slot::new(0);
        let socket = Socket {
            slot,
            write_interest: WriteInterest::new(),
            is_enabled: AtomicBool::new(false),
        };
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
            socket.slot.state().has_waiter(Queue::Write)
                && socket.is_enabled.load(Ordering::Relaxed)
        );
    });
}
