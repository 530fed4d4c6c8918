//! `EPOLLOUT` on demand: a waiter against writers that may disable it.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::fixtures::{Task, explore};
use crate::ready::Direction::Write;
use crate::slot::Slot;
use crate::slot::state::Queue;

/// A flag stands for epoll's interest in writability.
struct Socket {
    slot: Slot,
    is_enabled: AtomicBool,
}

impl Socket {
    fn has_written(&self) {
        if self.slot.reports_room() {
            self.report_room_on_demand();
        }
    }

    fn report_room_on_demand(&self) {
        let change = |is_enabled| {
            self.is_enabled.store(is_enabled, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        self.slot.report_room_on_demand(change).unwrap();
    }
}

/// One task waits, for which `EPOLLOUT` may be enabled already, while two others have written: in the end it is
/// enabled.
#[test]
fn a_waiter_against_writers_that_are_done() {
    for was_enabled in [false, true] {
        explore(move || {
            let socket = Socket { slot: Slot::new(0), is_enabled: AtomicBool::new(false) };
            if was_enabled {
                // An earlier waiter had it enabled, and left.
                let mut earlier = Task::future();
                let _ = earlier.wait(&socket.slot, Write);
                socket.report_room_on_demand();
                earlier.leave(&socket.slot, Write);
            }
            let socket = Arc::new(socket);
            let mut task = Task::future();
            let writers = [(); 2].map(|()| {
                let socket = socket.clone();
                thread::spawn(move || socket.has_written())
            });
            let _ = task.wait(&socket.slot, Write);
            socket.report_room_on_demand();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            assert!(
                socket.slot.state().has_waiter(Queue::Write)
                    && socket.is_enabled.load(Ordering::Relaxed)
            );
        });
    }
}
