//! Go's network poller, for Rust futures and the executors that already exist.
//!
//! A [`Reactor`] waits in `epoll` and wakes the wakers of those who wait for a descriptor or a time.
//! A [`Registration`] is a descriptor in its care: readiness, a deadline and any number of waiters
//! for each direction. A [`Timer`] is the same without a descriptor. There are no sockets here, and
//! no executor; `netpoll-futures` has the sockets.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//! use std::time::Duration;
//! use netpoll::{Direction, Reactor, Registration, is_deadline_exceeded};
//!
//! # fn main() -> std::io::Result<()> { netpoll::block_on(async {
//! let (socket, mut peer) = UnixStream::pair()?;
//! socket.set_nonblocking(true)?;
//! let socket = Registration::new(socket)?;
//! let mut buffer = [0; 8];
//!
//! // Nothing comes before the deadline.
//! let reactor = Reactor::global()?;
//! socket.set_read_deadline(Some(reactor.now() + Duration::from_millis(5)))?;
//! let read = socket.io(Direction::Read, |mut socket| socket.read(&mut buffer)).await;
//! assert!(is_deadline_exceeded(&read.unwrap_err()));
//!
//! // Without one, it waits for what comes.
//! socket.set_read_deadline(None)?;
//! peer.write_all(b"hello")?;
//! assert_eq!(socket.io(Direction::Read, |mut socket| socket.read(&mut buffer)).await?, 5);
//! # Ok(()) }) }
//! ```
//!
//! # Contract
//!
//! What a registration allows, as a grammar:
//!
//! ```text
//! life      = new  use*  ( close | into_inner | drop )
//! use       = operation | deadline | assume_ready          any number at once, from any task
//! operation = try_io | attempt_io | poll_io | io           or, for a stream's bytes, try_transfer ...
//!           | try_write | poll_write | Waiting::{poll_write, poll_write_all}    one writer at a time
//!           | ( poll_ready | ready )  system call  [ clear_ready if it said WouldBlock ]
//!           | try_io_checked | poll_io_checked | io_checked    if its WouldBlock is no proof
//!           | ( poll_level | level )  system call
//! deadline  = set_deadline | set_read_deadline | set_write_deadline
//! ```
//!
//! Guaranteed:
//!
//! - An edge after the last `WouldBlock`, an expiry, a close or a shutdown wakes everybody who waits
//!   in that direction. Two tasks on one descriptor never wake each other in circles.
//! - Deadlines are never early, sticky once they have passed, and revived by the next setting; a
//!   deadline that was moved before it fired does not fire.
//! - Every operation asks, in this order: closed? deadline passed? ready?
//! - A new write (`io`, `transfer`, a [`Waiting`], `attempt_io`) makes one attempt even where the answer to
//!   the last is no: the kernel reports room from a third of the buffer on, and takes bytes before. A
//!   writer that waits, and is woken by room, makes no attempt more than it needs. A new read makes one where
//!   an error or the peer's end was seen: it may find a message of the error queue that another read did not.
//! - What stays flagged while an operation finds nothing (a message in the error queue, a shutdown of a
//!   datagram socket) makes no wait spin: it counts once for each event.
//! - Between the ready descriptor and the woken task there is no lock and no allocation, and on the
//!   path of an operation that need not wait there is one load, the gate, and the system call.
//!   (Only where two wait in one direction there is a list, with a lock of its own.)
//! - A reactor without events and without deadlines that are due makes no turn, and its thread does
//!   not tick. The one exception: before a deadline more than 100 ms away it wakes once, because the kernel
//!   would end a sleep of that length late, by a thousandth of it.
//! - A task that keeps its thread, while that thread is the one that turns, keeps nobody else from
//!   their events for more than 12 ms (see [`block_on`]); a reactor without a thread has nobody who
//!   could take over.
//! - A task that never has to wait lets the others of its thread run after 128 operations ([`budget`]).
//! - A reactor ends by itself only when the system lets it wait no more: its epoll instance was closed
//!   behind its back, or it can neither write its eventfd nor ask epoll for it. One wait that fails is
//!   made again; after eight in a row, everybody who waits is told
//!   ([`ReactorGone`]), and standard error why.
//! - A waker runs under no lock and may call any of these functions, [`block_on`] included. Its panic is caught.
//!
//! Not guaranteed:
//!
//! - That a ready descriptor is ready: it is a hint, and an operation may still say `WouldBlock`.
//! - That a deadline fires at once: the wheel ticks every 65.5 microseconds, and a wake-up takes its
//!   time.
//! - That readiness wins over a deadline where both have come: here the deadline does. (In Go an
//!   operation that was woken for data tries once more.)
//! - The number of wake-ups: there may be more than needed, each harmless.
//!
//! - That a thread or a process which a waker begins is as any other: on the reactor's own thread it
//!   inherits the blocked signals and `SCHED_BATCH` of that thread, and
//!   [`std::process::Command`] hands them on. Wakers are to begin neither; the tasks that they wake may.
//!
//! What is promised where things fail, and how that was tried, is in [`reliability`].
//!
//! # Architecture
//!
//! ```text
//!   Registration, Timer                what a socket holds
//!        |       \
//!        |        handle               Reactor, Builder, block_on
//!        |       /      \
//!        |    shards     \             the reactors behind one handle
//!        |      |         \
//!        |    thread     driver        who turns: the reactor's own thread, or one that waits
//!        |       \       /
//!      reactor                         a turn: file, wait, dispatch, expire
//!     /   |   \    \      \
//! arena  arm  sys  sleep  lease        slots; who wants a look; the kernel; the elision; whose turn
//!    |    |                 |
//!    |    |               parker       how a thread waits
//!    \   /
//!     slot                             readiness, deadlines and waiters of one descriptor
//!      |
//!     time                             deadline word, wheel, clock
//!      |
//! token, ready, error, sync, wake,     words and types
//! budget
//! ```
//!
//! Dependencies point down. What is absent on purpose: `slot` and `time` make no system call and know
//! no descriptor, `sys` knows no waker and no slot, and only `time::clock` reads a clock. `unsafe` is
//! in `sys` (foreign calls), `slot::waiters` (the cell that a flag guards) and `arena` (the pointer to
//! a slot that never moves), and nowhere else but in `adapters/hyper/src/read_buf.rs` and
//! `adapters/tokio/src/uninit.rs` (the buffers that hyper and tokio lend uninitialised) and in
//! `adapters/tokio/src/raw_fd.rs` (a socket from a number); the socket calls are in `netpoll-futures`, under
//! `adapters/futures/src/sys`. A test holds all of this (`tests/tidy/`).
//!
//! Where this differs from the drawing board, and why:
//!
//! - A waker lies in a cell of our own, guarded by two flags of the state word, and not in an
//!   `AtomicWaker`: that one loses a waker when two tasks register at once, and its own handshake
//!   would come on top of ours.
//! - Moving a deadline away is one compare-and-swap and not one store: a store would overwrite an
//!   expiry that had just taken the slot out of the wheel (loom shows it), and the new deadline would
//!   never fire.
//! - The wheel ticks at 65.5 microseconds and not at a millisecond: a deadline of 100 microseconds
//!   would otherwise be ten times late.
//! - The lease is not a handle that one holds while running tasks, but the turn itself: who goes off
//!   to run tasks leaves it, wakes nobody, and finds it again or not. The thread that watches does so
//!   every 4 ms and not every 10: it takes two looks to know that nobody has come.
//! - A fork is found out by a fork handler and not by the process id, which is a system call.
//!
//! # Invariants
//!
//! Each handshake is told once, from both sides, where its word lives: `slot` (events, expiry and
//! close against waiters), `time::deadline` (setters against the wheel), `arm` (setters against the
//! reactor), `sleep` (who must write the eventfd), `lease` (who turns), `parker` (a thread that waits
//! against who wakes it), `gate` (close against operations), `demand` (who
//! waits to write against who has written). The table
//! of invariants and of the tests that hold them is at the head of `slot`.

mod arena;
mod arm;
pub mod budget;
mod demand;
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
mod sync;
mod sys;
mod thread;
mod time;
mod timer;
mod token;
mod wake;

#[cfg(doc)]
#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}

#[cfg(doc)]
#[doc = include_str!("../RELIABILITY.md")]
pub mod reliability {}

pub use driver::{Driver, Relay};
pub use error::{
    Closed, DeadlineExceeded, OpError, ReactorGone, is_closed, is_deadline_exceeded, raw_os_error,
};
pub use handle::{Builder, Reactor, block_on};
pub use helper::{fork_generation, spawn_helper};
pub use metrics::Metrics;
pub use ready::{Direction, Interest, Ready};
pub use registration::{Closing, Deadline, OwnedWait, Readiness, Registration, Waiting};
pub use sys::OwnsFd;
pub use timer::Timer;
pub use wake::wake;

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod random_tests;
