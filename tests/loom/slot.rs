//! Events and closing, against tasks that wait.

use std::sync::Arc;

use loom::thread;

use super::fixtures::{Task, deliver, explore, explore_up_to};
use crate::ready::Direction::{Read, Write};
use crate::ready::Ready;
use crate::slot::{Slot, Status};
use crate::sync::{Mutex, lock};

fn is_ready(status: Status) -> bool {
    matches!(status, Status::Ready(_))
}

/// A task that waits while an event comes finds the readiness, or is woken for it. Whichever it
/// was, the slot keeps the readiness, and keeps no waker.
#[test]
fn event_against_waiter() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        deliver(&slot, Ready::READABLE);
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert!(is_ready(slot.status(Read)));
        assert!(task.is_forgotten());
    });
}

/// A task that waits while the socket is closed finds it closed, or is woken and finds it then.
#[test]
fn close_against_waiter() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        assert!(slot.close());
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert_eq!(slot.status(Read), Status::Closed);
        assert!(task.is_forgotten());
    });
}

/// Two tasks that wait in one direction while one event comes: both find the readiness or are woken.
#[test]
fn two_waiters() {
    explore_up_to(2, || {
        let slot = Arc::new(Slot::new(0));
        let future = Task::future().wait_on_a_thread(&slot, Read);
        let poll = Task::polling().wait_on_a_thread(&slot, Read);
        deliver(&slot, Ready::READABLE);
        for task in [future.join().unwrap(), poll.join().unwrap()] {
            assert!(task.is_served());
            assert!(task.is_forgotten());
        }
    });
}

/// A task begins to wait beside another one while an event comes: the event wakes both, or the second sees it.
#[test]
fn second_waiter_against_event() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let first = Task::future().seated(&slot, Read);
        let second = Task::future().wait_on_a_thread(&slot, Read);
        deliver(&slot, Ready::READABLE);
        let second = second.join().unwrap();
        assert!(first.was_woken() && second.is_served());
        assert!(first.is_forgotten() && second.is_forgotten());
    });
}

/// A task that waits for another event, on a direction that is ready, while that event comes: it sees it, or is
/// woken for it.
#[test]
fn event_against_waiter_for_an_event() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        deliver(&slot, Ready::READABLE);
        let before = slot.state();
        let waiter = Task::future().wait_after_on_a_thread(&slot, Read, before);
        deliver(&slot, Ready::READABLE);
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert!(task.is_forgotten());
    });
}

/// A task waits. Another one begins to wait while an event comes, and the readiness is cleared at once: the first
/// is woken all the same.
#[test]
fn second_waiter_against_event_that_is_cleared() {
    explore_up_to(3, || {
        let slot = Arc::new(Slot::new(0));
        let first = Task::future().seated(&slot, Read);
        let second = Task::future().wait_on_a_thread(&slot, Read);
        deliver(&slot, Ready::READABLE);
        slot.drained(Read, slot.state());
        let second = second.join().unwrap();
        assert!(first.was_woken());
        drop(second);
    });
}

/// The same with a task that leaves.
#[test]
fn leaving_against_event_that_is_cleared() {
    explore_up_to(3, || {
        let slot = Arc::new(Slot::new(0));
        let first = Task::future().seated(&slot, Read);
        let second = Task::future().seated(&slot, Read);
        let there = slot.clone();
        let leaves = thread::spawn(move || second.leave(&there, Read));
        deliver(&slot, Ready::READABLE);
        slot.drained(Read, slot.state());
        leaves.join().unwrap();
        assert!(first.was_woken());
    });
}

/// The two directions share the word: a reader and a writer wait while one event comes for both.
#[test]
fn reader_and_writer_against_event() {
    explore_up_to(2, || {
        let slot = Arc::new(Slot::new(0));
        let reader = Task::future().wait_on_a_thread(&slot, Read);
        let writer = Task::future().wait_on_a_thread(&slot, Write);
        let both = Ready::READABLE.union(Ready::WRITABLE);
        deliver(&slot, both);
        assert!(reader.join().unwrap().is_served());
        assert!(writer.join().unwrap().is_served());
        assert!(is_ready(slot.status(Read)) && is_ready(slot.status(Write)));
    });
}

/// The second of two futures that wait is dropped while an event comes: the first is woken.
#[test]
fn second_waiter_leaves() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let staying = Task::future().seated(&slot, Read);
        let leaving = Task::future().seated(&slot, Read);
        let gone = {
            let slot = slot.clone();
            thread::spawn(move || {
                leaving.leave(&slot, Read);
                leaving
            })
        };
        deliver(&slot, Ready::READABLE);
        assert!(gone.join().unwrap().is_forgotten());
        assert!(staying.was_woken() && staying.is_forgotten());
    });
}

/// The first waiter is dropped while an event comes and another task begins to wait.
#[test]
fn first_waiter_leaves() {
    explore_up_to(2, || {
        let slot = Arc::new(Slot::new(0));
        let leaving = Task::future().seated(&slot, Read);
        let staying = Task::future().wait_on_a_thread(&slot, Read);
        let gone = {
            let slot = slot.clone();
            thread::spawn(move || {
                leaving.leave(&slot, Read);
                leaving
            })
        };
        deliver(&slot, Ready::READABLE);
        let staying = staying.join().unwrap();
        assert!(gone.join().unwrap().is_forgotten());
        assert!(staying.is_served() && staying.is_forgotten());
    });
}

/// Data comes, with its event, while a read that began before finds nothing: the clearing that
/// follows the read leaves the new readiness alone. So a task that reads until it must wait has
/// read the data, or is woken and finds the readiness.
#[test]
fn event_between_operation_and_clear() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let data = Arc::new(Mutex::new(false));
        deliver(&slot, Ready::READABLE);
        let reader = {
            let (slot, data) = (slot.clone(), data.clone());
            thread::spawn(move || {
                let mut task = Task::future();
                while let Status::Ready(before) = task.wait(&slot, Read) {
                    let received = std::mem::take(&mut *lock(&data));
                    if received {
                        return (task, true);
                    }
                    slot.drained(Read, before);
                }
                (task, false)
            })
        };
        *lock(&data) = true;
        deliver(&slot, Ready::READABLE);
        let (task, received) = reader.join().unwrap();
        assert!(received || (task.was_woken() && is_ready(slot.status(Read))));
    });
}

/// A new write makes an attempt though the slot is not ready, finds no room, and waits. Room comes
/// meanwhile, as an event: the attempt clears no readiness that is newer, and the writer is woken or
/// finds it.
#[test]
fn event_against_attempt_without_readiness() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let room = Arc::new(Mutex::new(false));
        let writer = {
            let (slot, room) = (slot.clone(), room.clone());
            thread::spawn(move || {
                let mut task = Task::future();
                let mut before = slot.state();
                loop {
                    if std::mem::take(&mut *lock(&room)) {
                        return (task, true);
                    }
                    slot.drained(Write, before);
                    match task.wait(&slot, Write) {
                        Status::Ready(state) => before = state,
                        _ => return (task, false),
                    }
                }
            })
        };
        *lock(&room) = true;
        deliver(&slot, Ready::WRITABLE);
        let (task, wrote) = writer.join().unwrap();
        assert!(wrote || (task.was_woken() && is_ready(slot.status(Write))));
    });
}
