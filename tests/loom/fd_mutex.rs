//! The end of a descriptor against the operations inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;

use super::fixtures::{Object, Polled, explore, explore_up_to, registered};
use crate::registration::{Contiguous, Registration};
use crate::sys::{is_ended, operate};

/// Makes an operation. False if it was refused.
fn try_operate(registration: &Registration<Object>) -> bool {
    registration.while_open(|_| Ok(operate())).is_ok()
}

/// A task that closes.
fn closer(registration: &Arc<Registration<Object>>) -> Polled<bool> {
    let registration = registration.clone();
    Polled::new(async move { registration.close().await.is_ok() })
}

/// A descriptor is closed while two operations come and go. It ends exactly once, when no operation is
/// inside, and none begins afterwards. The close waits for that, and is woken.
#[test]
fn close_against_operations() {
    explore_up_to(5, || {
        let registration = registered();
        let operations = [(); 2].map(|()| {
            let registration = registration.clone();
            thread::spawn(move || try_operate(&registration))
        });
        let mut closer = closer(&registration);
        assert!(closer.poll().is_pending() || is_ended(), "closed too early");
        for operation in operations {
            let _ = operation.join().unwrap();
        }
        assert!(is_ended());
        assert!(closer.is_served());
        assert!(matches!(closer.poll(), std::task::Poll::Ready(true)));
        assert!(!try_operate(&registration));
        assert!(registration.begin_close().is_err());
    });
}

/// Two threads close at once, with an operation inside: one of them does, and the descriptor ends
/// once.
#[test]
fn closed_twice() {
    explore(|| {
        let registration = registered();
        let other = {
            let registration = registration.clone();
            thread::spawn(move || {
                let _ = try_operate(&registration);
                registration.begin_close().is_ok()
            })
        };
        let closed = registration.begin_close().is_ok();
        assert!(closed != other.join().unwrap());
        assert!(is_ended());
    });
}

/// A write under the write lock is the last operation out, on another thread: it ends the descriptor, and wakes the
/// closer.
#[test]
fn close_against_write() {
    explore(|| {
        let registration = registered();
        let write = {
            let registration = registration.clone();
            thread::spawn(move || {
                let _ = registration.try_io(Contiguous(1), |_| {
                    operate();
                    Ok(1)
                });
            })
        };
        let mut closer = closer(&registration);
        assert!(closer.poll().is_pending() || is_ended(), "closed too early");
        write.join().unwrap();
        assert!(is_ended() && closer.is_served());
    });
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn hold(registration: &Registration<Object>) -> Arc<AtomicUsize> {
    let drops = Arc::default();
    registration.hold_until_closed(Dropped(Arc::clone(&drops)));
    drops
}

/// A value is to be held until the descriptor is gone, while another thread closes it: it is dropped once.
#[test]
fn held_value_against_close() {
    explore(|| {
        let registration = registered();
        let closer = {
            let registration = registration.clone();
            thread::spawn(move || assert!(registration.begin_close().is_ok()))
        };
        let drops = hold(&registration);
        closer.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

/// An operation is the last one out, on another thread: a closer that sees the end finds the value dropped,
/// and one that does not is woken.
#[test]
fn held_value_until_the_end() {
    explore(|| {
        let registration = registered();
        let drops = hold(&registration);
        let operation = {
            let registration = registration.clone();
            thread::spawn(move || try_operate(&registration))
        };
        let mut closer = closer(&registration);
        assert!(closer.poll().is_pending() || drops.load(Ordering::SeqCst) == 1);
        let _ = operation.join().unwrap();
        assert!(closer.is_served());
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}
