//! The gate of a descriptor: its end against the operations inside.
#![allow(unsafe_code)] // The cell stands for the descriptor: loom checks that the lock guards it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use loom::thread;
use netpoll_tests::CountingWaker;

use super::fixtures::{explore, explore_up_to};
use crate::fd_mutex::{CloseWaiter, FdMutex, Last};
use loom::cell::UnsafeCell;

/// The steps of a registration, with a cell for the descriptor: operations read it, the
/// end writes it. Loom fails the model if the one does not happen wholly before the other.
struct Descriptor {
    fd_mutex: FdMutex,
    closer: CloseWaiter,
    number: UnsafeCell<()>,
    ended: AtomicUsize,
}

// SAFETY: the models check that only one thread at a time writes `number`, and none reads it then;
// it has no contents, and no code makes a reference to it.
unsafe impl Sync for Descriptor {}

impl Descriptor {
    fn new() -> Arc<Self> {
        let (fd_mutex, closer, number) = (FdMutex::new(), CloseWaiter::new(), UnsafeCell::new(()));
        Arc::new(Self { fd_mutex, closer, number, ended: AtomicUsize::new(0) })
    }

    /// An operation; false if it was refused.
    fn operate(&self) -> bool {
        let entered = self.fd_mutex.enter();
        if entered {
            assert!(!self.is_ended(), "an operation on a descriptor that is gone");
            self.number.with(|_| ());
            self.leave();
        }
        entered
    }

    /// Closes; false if that had been done.
    fn close(&self) -> bool {
        let closed = self.fd_mutex.close();
        if closed {
            self.number.with(|_| ());
            self.leave();
        }
        closed
    }

    fn leave(&self) {
        if self.fd_mutex.leave() == Last::Yes {
            self.number.with_mut(|_| ());
            assert_eq!(self.ended.fetch_add(1, Ordering::SeqCst), 0, "it ended before");
            self.fd_mutex.ended(&self.closer, Ok(()));
        }
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst) > 0
    }

    fn poll_ended(&self, waker: &Waker) -> Poll<()> {
        self.fd_mutex
            .poll_ended(&self.closer, &mut Context::from_waker(waker))
            .map(|ended| ended.unwrap())
    }
}

/// A descriptor is closed while two operations come and go. It ends exactly once, when no operation is
/// inside, and none begins afterwards. The close waits for that, and is woken.
#[test]
fn close_against_operations() {
    explore_up_to(5, || {
        let descriptor = Descriptor::new();
        let operations = [(); 2].map(|()| {
            let descriptor = descriptor.clone();
            thread::spawn(move || descriptor.operate())
        });
        let closer = CountingWaker::new();
        let waker = Waker::from(closer.clone());
        assert!(descriptor.close());
        let polled = descriptor.poll_ended(&waker);
        assert!(polled.is_pending() || descriptor.is_ended(), "closed too early");
        for operation in operations {
            let _ = operation.join().unwrap();
        }
        assert!(descriptor.is_ended());
        assert!(polled.is_ready() || closer.wakes() > 0);
        assert!(descriptor.poll_ended(&waker).is_ready());
        assert!(!descriptor.operate() && !descriptor.close());
    });
}

/// Two threads close at once, with an operation inside: one of them does, and the descriptor ends
/// once.
#[test]
fn closed_twice() {
    explore(|| {
        let descriptor = Descriptor::new();
        let other = {
            let descriptor = descriptor.clone();
            thread::spawn(move || {
                let _ = descriptor.operate();
                descriptor.close()
            })
        };
        let closed = descriptor.close();
        assert!(closed != other.join().unwrap());
        assert!(descriptor.is_ended());
        assert!(descriptor.poll_ended(Waker::noop()).is_ready());
    });
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn hold(descriptor: &Descriptor) -> Arc<AtomicUsize> {
    let drops = Arc::default();
    descriptor.fd_mutex.hold(&descriptor.closer, Box::new(Dropped(Arc::clone(&drops))));
    drops
}

/// A value is to be held until the descriptor is gone, while another thread closes it: it is dropped once.
#[test]
fn held_value_against_close() {
    explore(|| {
        let descriptor = Descriptor::new();
        let closer = {
            let descriptor = descriptor.clone();
            thread::spawn(move || assert!(descriptor.close()))
        };
        let drops = hold(&descriptor);
        closer.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

/// An operation is the last one out, on another thread: a closer that sees the end finds the value dropped,
/// and one that does not is woken.
#[test]
fn held_value_until_the_end() {
    explore(|| {
        let descriptor = Descriptor::new();
        let drops = hold(&descriptor);
        let operation = {
            let descriptor = descriptor.clone();
            thread::spawn(move || descriptor.operate())
        };
        assert!(descriptor.close());
        let closer = CountingWaker::new();
        let polled = descriptor.poll_ended(&Waker::from(closer.clone()));
        assert!(polled.is_pending() || drops.load(Ordering::SeqCst) == 1);
        let _ = operation.join().unwrap();
        assert!(polled.is_ready() || closer.wakes() > 0);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}
