//! The write lock of a descriptor, against tasks that wait for it and leave.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::fixtures::{Object, Polled, explore, explore_up_to, registered};
use crate::ready::Direction::Write;
use crate::registration::{Contiguous, Registration};
use crate::sync::{AtomicBool, Ordering};

type Writer = Polled<io::Result<usize>>;

/// A registration whose writes check that no other runs.
struct Stream {
    registration: Arc<Registration<Object>>,
    is_writing: Arc<AtomicBool>,
}

impl Stream {
    fn new() -> Self {
        Self { registration: registered(), is_writing: Arc::new(AtomicBool::new(false)) }
    }

    fn write(&self) -> impl FnMut(&Object) -> io::Result<usize> + Send + 'static {
        let is_writing = self.is_writing.clone();
        move |_| {
            assert!(!is_writing.swap(true, Ordering::Relaxed), "two write at once");
            is_writing.store(false, Ordering::Relaxed);
            Ok(1)
        }
    }

    /// A future that writes.
    fn writer(&self) -> Writer {
        let (registration, write) = (self.registration.clone(), self.write());
        Polled::new(async move { registration.io(Contiguous(1), write).await })
    }

    /// A task that writes by `poll_*` calls.
    fn polling_writer(&self) -> Writer {
        let (registration, mut write) = (self.registration.clone(), self.write());
        Polled::new(poll_fn(move |cx| registration.poll_io(cx, Contiguous(1), &mut write)))
    }

    /// A future that waits for room, and has the lock. Dropped, it unlocks.
    fn holder(&self) -> Writer {
        let registration = self.registration.clone();
        let mut holder = Polled::new(async move {
            registration.io(Contiguous(1), |_| Err(io::ErrorKind::WouldBlock.into())).await
        });
        assert!(holder.poll().is_pending());
        holder
    }

    /// A future that waits for the lock.
    fn waiter(&self) -> Writer {
        let mut waiter = self.writer();
        assert!(waiter.poll().is_pending());
        waiter
    }
}

fn has_written(writer: &Writer) -> bool {
    matches!(writer.last, Poll::Ready(Ok(1)))
}

/// A task asks for the lock while the task that has it gives it back: it gets it, or is woken.
#[test]
fn waiter_against_unlock() {
    explore_up_to(6, || {
        let stream = Stream::new();
        let holder = stream.holder();
        let writer = stream.writer().poll_on_a_thread();
        drop(holder);
        let writer = writer.join().unwrap();
        assert!(has_written(&writer) || writer.was_woken());
        assert!(writer.is_forgotten());
    });
}

/// The same for a `poll_*` call, which asks for the lock where the socket counts as ready.
#[test]
fn polling_waiter_against_unlock() {
    explore_up_to(6, || {
        let stream = Stream::new();
        let holder = stream.holder();
        stream.registration.assume_ready(Write);
        let writer = stream.polling_writer().poll_on_a_thread();
        drop(holder);
        let writer = writer.join().unwrap();
        assert!(has_written(&writer) || writer.was_woken());
    });
}

/// Two tasks ask for the lock while it is given back. Each gets it, or is woken; a task that is woken asks again
/// and passes the lock on.
#[test]
fn two_waiters_against_unlock() {
    explore_up_to(2, || {
        let stream = Stream::new();
        let holder = stream.holder();
        let writers = [(); 2].map(|()| stream.writer().poll_on_a_thread());
        drop(holder);
        let mut writers = writers.map(|writer| writer.join().unwrap());
        // Both orders of asking again: the task that was woken first is the first to write.
        for _ in 0..2 {
            for writer in &mut writers {
                if writer.was_woken() {
                    writer.poll();
                }
            }
        }
        assert!(writers.iter().all(has_written), "a task waits for ever");
    });
}

/// A task that waits is dropped while the lock is given back, which may have woken it: then it passes the wake-up
/// on to the other task that waits.
#[test]
fn waiter_leaves_against_unlock() {
    explore_up_to(6, || {
        let stream = Stream::new();
        let holder = stream.holder();
        let (leaves, stays) = (stream.waiter(), stream.waiter());
        let leaver = thread::spawn(move || drop(leaves));
        drop(holder);
        leaver.join().unwrap();
        assert!(stays.was_woken(), "the wake-up went with the task that left");
    });
}

/// A task takes the lock out of its turn while a waiter, which was woken, is dropped: the other waiter is woken by
/// one or the other.
#[test]
fn barging_writer_against_leaving_waiter() {
    explore_up_to(5, || {
        let stream = Stream::new();
        let holder = stream.holder();
        let (leaves, stays) = (stream.waiter(), stream.waiter());
        drop(holder);
        let barges = stream.writer().poll_on_a_thread();
        drop(leaves);
        assert!(has_written(&barges.join().unwrap()));
        assert!(stays.was_woken());
    });
}

/// A task asks for the lock while the socket is closed: it fails, or is woken.
#[test]
fn waiter_against_close() {
    explore_up_to(5, || {
        let stream = Stream::new();
        let _holder = stream.holder();
        let writer = stream.writer().poll_on_a_thread();
        assert!(stream.registration.begin_close().is_ok());
        let writer = writer.join().unwrap();
        assert!(matches!(writer.last, Poll::Ready(Err(_))) || writer.was_woken());
        assert!(writer.is_forgotten());
    });
}

/// The same where the write deadline passes.
#[test]
fn waiter_against_deadline() {
    explore_up_to(5, || {
        let stream = Stream::new();
        let _holder = stream.holder();
        let writer = stream.writer().poll_on_a_thread();
        let now = stream.registration.reactor().inner().now();
        stream.registration.set_write_deadline(now).unwrap();
        let writer = writer.join().unwrap();
        assert!(matches!(writer.last, Poll::Ready(Err(_))) || writer.was_woken());
        assert!(writer.is_forgotten());
    });
}

/// Room to write does not wake a task that waits for the lock.
#[test]
fn room_leaves_the_queue_alone() {
    explore(|| {
        let stream = Stream::new();
        let holder = stream.holder();
        let waiter = stream.waiter();
        stream.registration.assume_ready(Write);
        assert!(holder.was_woken() && !waiter.was_woken());
        drop(holder);
        assert!(waiter.was_woken());
    });
}

/// A task that waits is polled without having been woken, and finds the lock free. Its waker leaves the queue: a later unlock
/// does not wake it in vain.
#[test]
fn write_out_of_turn() {
    explore(|| {
        let stream = Stream::new();
        let holder = stream.holder();
        let (first, mut second) = (stream.waiter(), stream.waiter());
        drop(holder);
        assert!(first.was_woken() && !second.was_woken());
        second.poll();
        assert!(has_written(&second) && second.is_forgotten());
        assert!(!second.was_woken());
    });
}
