//! Go's network poller, for Rust futures and the executors that already exist.
//!
//! A [`Reactor`] waits in `epoll` and wakes the tasks that wait for a descriptor or a time.
//! A [`Registration`] adds a descriptor to it: readiness, a deadline and any number of waiters
//! for each direction. A [`Timer`] has a deadline and no descriptor. This crate has no sockets and
//! no executor; `netpoll-futures` has the sockets.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//! use std::time::Duration;
//! use netpoll::{Direction, Registration, is_deadline_exceeded};
//!
//! # fn main() -> std::io::Result<()> { netpoll::block_on(async {
//! let (socket, mut peer) = UnixStream::pair()?;
//! socket.set_nonblocking(true)?;
//! let socket = Registration::new(socket)?;
//! let mut buffer = [0; 8];
//!
//! // No byte arrives before the deadline.
//! socket.set_read_deadline(Duration::from_millis(5))?;
//! let read = socket.io(Direction::Read, |mut socket| socket.read(&mut buffer)).await;
//! assert!(is_deadline_exceeded(&read.unwrap_err()));
//!
//! // Without a deadline, the read waits for the bytes.
//! socket.set_read_deadline(None)?;
//! peer.write_all(b"hello")?;
//! assert_eq!(socket.io(Direction::Read, |mut socket| socket.read(&mut buffer)).await?, 5);
//! # Ok(()) }) }
//! ```
//!
//! # Contract
//!
//! The calls of a registration, as a grammar:
//!
//! ```text
//! life      = new  use*  ( close | into_inner | drop )
//! use       = operation | deadline | assume_ready
//! operation = try_io | poll_io | io | poll_io_mut | ReadinessWait::{poll_io, poll_write_all}
//!           | ( try_ready | poll_ready | ready )  system call  [ clear_ready ]
//! deadline  = set_deadline | set_read_deadline | set_write_deadline
//! ```
//!
//! Any number of uses may run at once, from any task. Each operation has a [`Rule`]: a [`Direction`]; a
//! [`Transfer`] for the bytes of a stream; [`Contiguous`] for writes under the write lock; [`Checked`] where
//! `WouldBlock` does not prove that the descriptor is drained; [`Eager`] where each poll makes an attempt. `clear_ready` is for a system call of the caller's
//! own that returned `WouldBlock`.
//!
//! Guaranteed:
//!
//! - An edge after the last `WouldBlock`, an expiry, a close or a shutdown wakes every task that waits
//!   in that direction. The exception is 65,536 events of one direction during one operation, which count as none.
//!   Tasks on one descriptor never wake each other in circles.
//! - A deadline is never early. Once it has passed, every operation of its direction fails until the deadline is set
//!   again; then the registration works as before. A deadline that was moved before it fired does not fire.
//! - Every operation checks in this order: closed, deadline passed, ready.
//! - A new write (`try_io`, `io`, a [`ReadinessWait`]) makes one attempt even where the descriptor is not
//!   ready: the kernel reports room from a third of the buffer on, and takes bytes before. A writer that waits
//!   makes no further attempt until an event reports room. A new read does so only after an error, urgent data
//!   or the peer's end was reported: there, a read of the error queue may succeed where an ordinary one did
//!   not.
//! - The kernel may go on flagging a descriptor on which operations find no data (a message is in its error queue, or
//!   it is a datagram socket that was shut down). Each event of such a descriptor ends one wait, so no wait spins.
//! - An operation that need not wait takes no lock and allocates nothing. An event for a descriptor without waiters
//!   takes no lock either.
//! - A reactor without events and due deadlines makes no turn, and its thread does
//!   not tick. The exception: before a deadline more than 100 ms away it wakes once more, because the kernel
//!   would end a sleep of that length late, by a thousandth of it.
//! - If a task keeps the thread of a driver busy, the reactor's thread takes over, within 12 ms where a processor is free
//!   (see [`block_on`]). A reactor without a thread has no such help.
//! - A task whose descriptors are always ready yields after 128 operations: the next ones wake the task and are
//!   pending, until the executor polls the task again. (Not under the rule [`Eager`].)
//! - A reactor ends by itself in two cases only: eight waits in a row have failed (other code has closed its epoll
//!   descriptor), or it cannot end its own sleep (it can neither write its eventfd nor change its interest in it). Then
//!   every operation fails with [`ReactorGone`], and standard error has the reason.
//! - A waker runs under no lock and may call any function of this crate, [`block_on`] included. A panic of a waker is caught, unless
//!   the program is built with `panic = "abort"`.
//!
//! Not guaranteed:
//!
//! - That an operation on a ready descriptor succeeds: readiness is a hint, and `WouldBlock` may follow.
//! - That a deadline fires at once: the wheel ticks every 65.5 microseconds, and the wake-up takes its
//!   time.
//! - That readiness wins over a deadline where both have come: the deadline wins. (In Go an
//!   operation that data woke tries once more.)
//! - The number of wake-ups: there may be more than needed, each harmless.
//! - That other tasks are served while a waker blocks its thread.
//! - That an event or a deadline of another thread is served at once while a driver is away: tasks that take
//!   5 ms delay it by 3 ms, measured, and longer tasks by 12 ms at most, as above. A driver whose thread is stopped
//!   inside its wait (a signal handler that takes 500 ms, a debugger) delays them until it goes on: it still has the lease.
//! - That a thread or a process which a waker begins is like any other: on the reactor's thread it
//!   inherits the blocked signals and `SCHED_BATCH` of that thread, and
//!   [`std::process::Command`] passes them on. Begin both in a task, not in a waker.
//!
//! For a program that hangs, [`debugging`] shows how to find the task and the socket. The promises under faults and their tests
//! are in [`reliability`]; the layers, the paths of events and deadlines, and the glossary are in [`architecture`].

mod arena;
mod budget;
mod driver;
mod error;
mod fd_mutex;
mod handle;
mod helper;
mod lease;
mod metrics;
mod parker;
mod reactor;
mod ready;
mod registration;
mod shards;
mod sleep;
mod slot;
mod snapshot;
mod sync;
mod sys;
mod thread;
mod time;
mod timer;
mod token;
mod wake;
mod wall;

#[cfg(doc)]
#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}

#[cfg(doc)]
#[doc = include_str!("../DEBUGGING.md")]
pub mod debugging {}

#[cfg(doc)]
#[doc = include_str!("../RELIABILITY.md")]
pub mod reliability {}

pub use budget::refill_budget_if;
pub use driver::{Driver, DriverWake};
pub use error::{
    Closed, DeadlineExceeded, OpError, ReactorGone, deadline_in, is_closed, is_deadline_exceeded,
    raw_os_error,
};
pub use handle::{Builder, Reactor, block_on};
pub use helper::{fork_generation, spawn_helper};
pub use metrics::Metrics;
pub use ready::{Direction, Interest, Ready};
pub use registration::{
    Checked, Closing, Contiguous, Deadline, Eager, OwnedReadinessWait, Readiness, ReadinessWait,
    Registration, Rule, Transfer,
};
pub use snapshot::{Snapshot, SnapshotDirection, SnapshotRow};
pub use sys::{DescriptorKind, OwnsFd};
pub use timer::Timer;
pub use wake::wake;

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../DEBUGGING.md")]
struct Debugging;

#[cfg(test)]
mod random_tests;
