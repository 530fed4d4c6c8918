//! A limit of connections: an accept that finds no place, against a stream that gives one back.

use std::sync::{Arc, Weak};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::fixtures::{Task, explore};
use crate::limit::{Limit, LimitWaiter, Place};
use crate::ready::{Direction, Ready};
use crate::slot::{Slot, Status};

const READ: Direction = Direction::Read;

/// A listener, with connections waiting: only the place is missing.
struct Listener {
    slot: Slot,
}

impl LimitWaiter for Listener {
    fn retry(&self) {
        let _ = self.slot.deliver(self.slot.generation(), Ready::READABLE, crate::wake::wake);
    }
}

impl Listener {
    fn new() -> Arc<Self> {
        let listener = Arc::new(Self { slot: Slot::new(0) });
        listener.retry();
        listener
    }

    /// As `Registration::poll_io` does it: waits until it is ready, and takes a place; without one, it
    /// is not ready any more, and waits again.
    fn poll_accept(self: &Arc<Self>, limit: &Limit, task: &mut Task) -> Option<Place> {
        while let Status::Ready(before) = task.wait(&self.slot, READ) {
            let waiter = || -> Weak<dyn LimitWaiter> { Arc::<Self>::downgrade(self) };
            match limit.take(waiter) {
                Some(place) => return Some(place),
                None => self.slot.drained(READ, before),
            }
        }
        None
    }
}

/// A place is given back while an accept looks for one: it has the place, or is woken and finds it then.
#[test]
fn limit_and_a_waiter() {
    explore(|| {
        let (limit, listener) = (Limit::new(1), Listener::new());
        let place = limit.take(|| unreachable!("it is free")).expect("it is free");
        let accepting = {
            let (limit, listener) = (limit.clone(), listener.clone());
            thread::spawn(move || {
                let mut task = Task::polling();
                let place = listener.poll_accept(&limit, &mut task);
                (task, place)
            })
        };
        drop(place);
        let (mut task, place) = accepting.join().unwrap();
        assert!(place.is_some() || task.was_woken());
        let place = place.or_else(|| listener.poll_accept(&limit, &mut task));
        assert!(place.is_some() && limit.in_use() == 1);
        drop(place);
        assert_eq!(limit.in_use(), 0);
    });
}

/// Two listeners want the only place, and each gives it back at once: both have had it in the end, or
/// are woken for it, and never both at a time.
#[test]
fn limit_of_two_listeners() {
    explore(|| {
        let (limit, inside) = (Limit::new(1), Arc::new(AtomicUsize::new(0)));
        let accept = |limit: &Limit, inside: &AtomicUsize| {
            let (listener, mut task) = (Listener::new(), Task::polling());
            let place = listener.poll_accept(limit, &mut task);
            let had_it = place.is_some();
            if let Some(place) = place {
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "one has it at a time");
                inside.fetch_sub(1, Ordering::Relaxed);
                drop(place);
            }
            (listener, task, had_it)
        };
        let other = {
            let (limit, inside) = (limit.clone(), inside.clone());
            thread::spawn(move || accept(&limit, &inside))
        };
        let ends = [accept(&limit, &inside), other.join().unwrap()];
        for (listener, mut task, had_it) in ends {
            assert!(had_it || task.was_woken());
            assert!(had_it || listener.poll_accept(&limit, &mut task).is_some());
        }
        assert_eq!(limit.in_use(), 0);
    });
}
