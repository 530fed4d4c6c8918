//! The write lock of a descriptor, against tasks that wait for it and leave.

use std::sync::Arc;

use loom::thread;

use super::fixtures::{Task, deliver, explore, explore_up_to};
use crate::fd_mutex::{Entry, FdMutex};
use crate::ready::Direction::Write;
use crate::ready::Ready;
use crate::slot::state::Queue;
use crate::slot::{Slot, Status, WaiterId};
use crate::sync::{AtomicBool, Ordering};

/// A descriptor with its slot: the calls and their order are those of `registration::write`.
struct Descriptor {
    fd_mutex: FdMutex,
    slot: Slot,
    /// A task has the lock.
    is_writing: AtomicBool,
}

impl Descriptor {
    fn new() -> Arc<Self> {
        let (fd_mutex, slot) = (FdMutex::new(), Slot::new(0));
        Arc::new(Self { fd_mutex, slot, is_writing: AtomicBool::new(false) })
    }

    /// Polls a write once. True if it was made.
    fn poll_write(&self, task: &mut Task, has_waited: &mut bool) -> Result<bool, Status> {
        loop {
            match self.fd_mutex.lock_and_enter(*has_waited) {
                Entry::Entered => {
                    if *has_waited && let Some(id) = task.id {
                        self.slot.leave(Queue::WriteLock, id);
                    }
                    assert!(!self.is_writing.swap(true, Ordering::Relaxed), "two write at once");
                    self.is_writing.store(false, Ordering::Relaxed);
                    let _ = self.fd_mutex.leave_and_unlock(&self.slot);
                    return Ok(true);
                }
                Entry::Locked => {}
                Entry::Closing => return Err(Status::Closed),
            }
            match self.fd_mutex.wait_for_lock(&self.slot, task.id.as_mut(), &task.waker) {
                Status::Pending => {
                    *has_waited = task.id.is_some();
                    return Ok(false);
                }
                Status::Ready(_) => *has_waited = task.id.is_some(),
                over => return Err(over),
            }
        }
    }

    /// A thread that polls a write once. Returns the task and whether it has written.
    fn write_on_a_thread(
        self: &Arc<Self>,
        mut task: Task,
    ) -> thread::JoinHandle<(Task, Result<bool, Status>)> {
        let this = self.clone();
        thread::spawn(move || {
            let written = this.poll_write(&mut task, &mut false);
            (task, written)
        })
    }

    /// Another task takes the lock, and keeps it for now.
    fn locked() -> Arc<Self> {
        let this = Self::new();
        assert_eq!(this.fd_mutex.lock_and_enter(false), Entry::Entered);
        let _ = this.fd_mutex.leave();
        this
    }
}

/// A task asks for the lock while the task that has it gives it back: it gets it, or is woken.
#[test]
fn waiter_against_unlock() {
    explore(|| {
        let descriptor = Descriptor::locked();
        let writer = descriptor.write_on_a_thread(Task::future());
        descriptor.fd_mutex.unlock(&descriptor.slot);
        let (task, written) = writer.join().unwrap();
        assert!(written.unwrap() || task.was_woken());
        assert!(task.is_forgotten());
    });
}

/// The same for a `poll_*` call.
#[test]
fn polling_waiter_against_unlock() {
    explore(|| {
        let descriptor = Descriptor::locked();
        let writer = descriptor.write_on_a_thread(Task::polling());
        descriptor.fd_mutex.unlock(&descriptor.slot);
        let (task, written) = writer.join().unwrap();
        assert!(written.unwrap() || task.was_woken());
    });
}

/// Two tasks ask for the lock while it is given back. Each gets it, or is woken; a task that is woken asks again
/// and passes the lock on.
#[test]
fn two_waiters_against_unlock() {
    explore_up_to(3, || {
        let descriptor = Descriptor::locked();
        let writers = [(); 2].map(|()| descriptor.write_on_a_thread(Task::future()));
        descriptor.fd_mutex.unlock(&descriptor.slot);
        let mut tasks = writers.map(|writer| writer.join().unwrap());
        // Both orders of asking again: the task that was woken first is the first to write.
        for _ in 0..2 {
            for (task, written) in &mut tasks {
                if *written == Ok(false) && task.was_woken() {
                    *written = descriptor.poll_write(task, &mut true);
                }
            }
        }
        assert!(tasks.iter().all(|(_, written)| *written == Ok(true)), "a task waits for ever");
    });
}

/// A task that waits is dropped while the lock is given back, which may have woken it: then it passes the wake-up
/// on to the other task that waits.
#[test]
fn waiter_leaves_against_unlock() {
    explore(|| {
        let descriptor = Descriptor::locked();
        let (mut leaves, mut stays) = (Task::future(), Task::future());
        assert_eq!(descriptor.poll_write(&mut leaves, &mut false), Ok(false));
        assert_eq!(descriptor.poll_write(&mut stays, &mut false), Ok(false));
        let there = descriptor.clone();
        let leaver = thread::spawn(move || {
            there.fd_mutex.leave_queue(&there.slot, leaves.id.unwrap_or(WaiterId::NONE));
        });
        descriptor.fd_mutex.unlock(&descriptor.slot);
        leaver.join().unwrap();
        assert!(stays.was_woken(), "the wake-up went with the task that left");
    });
}

/// A task takes the lock out of its turn while a waiter, which was woken, is dropped: the other waiter is woken by
/// one or the other.
#[test]
fn barging_writer_against_leaving_waiter() {
    explore_up_to(3, || {
        let descriptor = Descriptor::locked();
        let (mut leaves, mut stays) = (Task::future(), Task::future());
        assert_eq!(descriptor.poll_write(&mut leaves, &mut false), Ok(false));
        assert_eq!(descriptor.poll_write(&mut stays, &mut false), Ok(false));
        descriptor.fd_mutex.unlock(&descriptor.slot);
        let barges = descriptor.write_on_a_thread(Task::future());
        descriptor.fd_mutex.leave_queue(&descriptor.slot, leaves.id.unwrap());
        let (_, written) = barges.join().unwrap();
        assert_eq!(written, Ok(true));
        assert!(stays.was_woken());
    });
}

/// A task asks for the lock while the socket is closed: it fails, or is woken.
#[test]
fn waiter_against_close() {
    explore(|| {
        let descriptor = Descriptor::locked();
        let writer = descriptor.write_on_a_thread(Task::future());
        assert!(descriptor.slot.close());
        let (task, written) = writer.join().unwrap();
        assert!(written == Err(Status::Closed) || task.was_woken());
        assert!(task.is_forgotten());
    });
}

/// The same where the write deadline passes.
#[test]
fn waiter_against_deadline() {
    explore(|| {
        let descriptor = Descriptor::locked();
        let _ = descriptor.slot.set_deadline(Write, 10);
        let writer = descriptor.write_on_a_thread(Task::future());
        descriptor.slot.expire(&[Write], 10);
        let (task, written) = writer.join().unwrap();
        assert!(written == Err(Status::Expired) || task.was_woken());
        assert!(task.is_forgotten());
    });
}

/// Room to write does not wake a task that waits for the lock.
#[test]
fn room_leaves_the_queue_alone() {
    explore(|| {
        let descriptor = Descriptor::locked();
        let mut task = Task::future();
        assert_eq!(descriptor.poll_write(&mut task, &mut false), Ok(false));
        deliver(&descriptor.slot, Ready::WRITABLE);
        assert!(!task.was_woken());
        descriptor.fd_mutex.unlock(&descriptor.slot);
        assert!(task.was_woken());
    });
}
