//! The kernel of the models, in place of the reactor's `sys`: an epoll instance whose events the models make,
//! and an eventfd in it. There is one in each execution of a model.
//!
//! Time does not pass: a wait ends by an event or by the eventfd, or at once where its timeout is zero. So a model
//! that [waits for the reactor to sleep](wait_until_it_sleeps_for) no longer than it may ends, or loom finds a
//! deadlock.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use loom::sync::Condvar;

use crate::ready::{Interest, Ready};
use crate::sync::{Mutex, lock};
use crate::token::Token;

loom::lazy_static! {
    static ref KERNEL: Kernel = Kernel { state: Mutex::new(State::default()), changed: Condvar::new() };
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

pub(crate) struct Events(Vec<(u64, Ready)>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Ready)> {
        self.0.iter().copied()
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

pub(crate) fn placeholder() -> io::Result<OwnedFd> {
    std::fs::File::open("/dev/null").map(OwnedFd::from)
}

pub(crate) fn end(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// No model forks.
pub(crate) fn count_forks() -> io::Result<()> {
    Ok(())
}

pub(crate) fn forks() -> u32 {
    0
}

pub(crate) fn batch_scheduling() {}
