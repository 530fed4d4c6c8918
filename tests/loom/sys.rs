//! The kernel of the models, in place of the reactor's `sys`: an epoll instance whose events the models make,
//! with an eventfd and a timer in it. There is one in each execution of a model.
//!
//! Time does not pass: a wait ends by an event or by the eventfd, or at once where its timeout is zero. So a model
//! that [waits for the reactor to sleep](wait_until_it_sleeps_for) no longer than it may ends, or loom finds a
//! deadlock.

#![allow(unsafe_code)] // Of the cell that stands for a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::Condvar;

use crate::ready::{Interest, Ready};
use crate::sync::{Mutex, lock};
use crate::token::Token;

loom::lazy_static! {
    static ref KERNEL: Kernel = Kernel { state: Mutex::new(State::default()), changed: Condvar::new() };
    static ref DESCRIPTOR: Descriptor = Descriptor::default();
}

struct Kernel {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: Vec<(u64, Ready)>,
    /// How long the reactor sleeps, if it does.
    asleep: Option<Duration>,
    /// After how long the timer fires, if it does.
    alarm: Option<Duration>,
}

/// An event comes.
pub(crate) fn event(data: u64, ready: Ready) {
    lock(&KERNEL.state).ready.push((data, ready));
    KERNEL.changed.notify_all();
}

/// Waits until the reactor sleeps for no longer than this.
pub(crate) fn wait_until_it_sleeps_for(most: Duration) {
    let mut state = lock(&KERNEL.state);
    while state.asleep.is_none_or(|asleep| asleep > most) {
        state = KERNEL.changed.wait(state).expect("no poison");
    }
}

/// A loop sleeps until the epoll instance is readable.
pub(crate) fn wait_until_readable() {
    let mut state = lock(&KERNEL.state);
    while state.ready.is_empty() {
        state.asleep = Some(state.alarm.unwrap_or(Duration::MAX));
        KERNEL.changed.notify_all();
        state = KERNEL.changed.wait(state).expect("no poison");
    }
    state.asleep = None;
}

pub(crate) struct Epoll;

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn add(&self, _: BorrowedFd<'_>, _: u64, _: Interest) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn modify(&self, _: BorrowedFd<'_>, _: u64, _: Interest) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn delete(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let mut state = lock(&KERNEL.state);
        while state.ready.is_empty() && timeout != Some(Duration::ZERO) {
            state.asleep = Some(timeout.unwrap_or(Duration::MAX));
            KERNEL.changed.notify_all();
            state = KERNEL.changed.wait(state).expect("no poison");
        }
        state.asleep = None;
        events.0 = std::mem::take(&mut state.ready);
        Ok(())
    }
}

/// Any descriptor: no model watches it.
impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        unreachable!("the models watch by `wait_until_readable`")
    }
}

pub(crate) struct Events(Vec<(u64, Ready)>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Ready)> {
        self.0.iter().copied()
    }

    pub(crate) fn is_full(&self) -> bool {
        false
    }
}

pub(crate) struct EventFd(io::Stdin);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(io::stdin()))
    }

    pub(crate) fn signal(&self) -> io::Result<()> {
        event(Token::WAKE_UP, Ready::READABLE);
        Ok(())
    }
}

/// Any descriptor: this epoll does not ask.
impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// It never fires, since time does not pass.
pub(crate) struct TimerFd(EventFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        EventFd::new().map(Self)
    }

    pub(crate) fn set(&self, after: Option<Duration>) -> io::Result<()> {
        lock(&KERNEL.state).alarm = after;
        Ok(())
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(crate) fn placeholder() -> io::Result<OwnedFd> {
    std::fs::File::open("/dev/null").map(OwnedFd::from)
}

/// The descriptor of a model. An operation reads the cell and the end writes it: loom fails the model if the one does not
/// happen wholly before the other.
#[derive(Default)]
struct Descriptor {
    cell: UnsafeCell<()>,
    ends: AtomicUsize,
}

// SAFETY: the models check that one thread at a time writes the cell, and no thread reads it then; it has no contents, and
// no code makes a reference to it.
unsafe impl Sync for Descriptor {}

/// A system call on the descriptor.
pub(crate) fn operate() {
    assert!(!is_ended(), "an operation on a descriptor that is gone");
    DESCRIPTOR.cell.with(|_| ());
}

pub(crate) fn end(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> io::Result<()> {
    DESCRIPTOR.cell.with_mut(|_| ());
    assert_eq!(DESCRIPTOR.ends.fetch_add(1, Ordering::SeqCst), 0, "it ended before");
    Ok(())
}

/// Whether the descriptor was ended.
pub(crate) fn is_ended() -> bool {
    DESCRIPTOR.ends.load(Ordering::SeqCst) > 0
}

/// Time does not pass.
pub(crate) fn wall_second() -> u32 {
    1
}

pub(crate) fn wall_time() -> Duration {
    Duration::from_secs(1)
}

/// No model asks the kernel for readiness.
pub(crate) mod descriptor {
    use std::io;
    use std::os::fd::BorrowedFd;

    use crate::ready::{Direction, Ready};

    #[derive(PartialEq)]
    pub(crate) enum Polled {
        Ready,
        Flagged,
        NotReady,
        Unknown,
    }

    pub(crate) fn poll(_: BorrowedFd<'_>, _: Direction) -> io::Result<Polled> {
        Ok(Polled::Unknown)
    }

    pub(crate) fn poll_flags(_: BorrowedFd<'_>) -> io::Result<Ready> {
        Ok(Ready::EMPTY)
    }

    pub(crate) fn is_socket(_: BorrowedFd<'_>) -> bool {
        true
    }
}

/// No object of the models is asked to be closed in another way.
pub unsafe trait OwnsFd: AsFd {}

/// No model forks.
pub(crate) fn count_forks() -> io::Result<()> {
    Ok(())
}

pub(crate) fn forks() -> u32 {
    0
}

pub(crate) fn batch_scheduling() {}
