//! async-io's interface over the netpoll reactor.
//!
//! A program that depends on async-io, directly or through smol, async-net, async-process, zbus or others, runs on
//! netpoll's global reactor after one change of its `Cargo.toml`:
//!
//! ```toml
//! [patch.crates-io]
//! async-io = { path = "netpoll/adapters/async-io" }
//! ```
//!
//! Its code stays as it is. Every object then also has Go's deadlines:
//!
//! ```
//! use std::io::Write;
//! use std::time::Duration;
//! use async_io::{Async, is_deadline_exceeded};
//! use futures_lite::AsyncReadExt;
//!
//! # fn main() -> std::io::Result<()> { async_io::block_on(async {
//! let (receiver, mut sender) = std::io::pipe()?;
//! let mut receiver = Async::new(receiver)?;
//!
//! // No byte arrives, so the read fails after 10 ms.
//! receiver.set_read_deadline(Duration::from_millis(10))?;
//! let late = receiver.read(&mut [0]).await.unwrap_err();
//! assert!(is_deadline_exceeded(&late));
//!
//! receiver.set_read_deadline(None)?;
//! sender.write_all(b"x")?;
//! assert_eq!(receiver.read(&mut [0]).await?, 1);
//! # Ok(()) }) }
//! ```
//!
//! # As in async-io
//!
//! - An operation makes its attempt first, whatever the readiness of the descriptor. After `WouldBlock` the task waits, and
//!   each poll makes another attempt. So an object may have a buffer of its own.
//! - `WouldBlock` need not mean that the descriptor is drained: the reactor asks `poll(2)`. (Not after a short read of a
//!   TCP stream by value: that has drained it.)
//! - Code that makes its own system calls and then waits for readiness, as async-net does, costs one `poll(2)` for each wait:
//!   the reactor sees no such call, and a wait must end as long as bytes are left. `adapters/async-net` has the reactor make
//!   these calls.
//! - Each future has its own place among the waiters. One that is kept and not polled holds up no other.
//! - An operation that can succeed is ready at its first poll, however many came before it. A due [`Timer`] is as well.
//! - Errors are those of the system, unchanged.
//! - A connection has the options that the system gives it: no `TCP_NODELAY`, no keep-alive probes.
//! - [`AsyncWriteExt::close`](futures_util::AsyncWriteExt::close) flushes.
//!
//! # Differences from async-io
//!
//! | | in async-io | here |
//! | --- | --- | --- |
//! | systems | many | Linux |
//! | oldest Rust | 1.71 | 1.88 |
//! | deadlines and close | | [`Async::set_deadline`] and its kin, [`Async::close`] |
//! | a wait for readiness ([`Async::readable`]) | is pending at its first poll | is ready at its first poll if the descriptor is |
//! | a condition that stays, such as a message in the error queue | ends each wait | ends one wait for each event |
//! | two tasks that call [`Async::poll_readable`] | wake each other in circles | each waits for the event |
//! | a task that polls a [`Timer`] without a time | is not woken when the timer is set | is woken |
//! | a connection that ended before it was accepted | `accept` fails with `ECONNABORTED` | `accept` skips it |
//! | lifetimes in `T` | `Async<&'static T>` is an `Async<&'a T>` | each is a type of its own |
//! | a forked child | shares its parent's epoll | an operation that would wait fails with `ReactorGone` |
//! | a process without descriptors for a reactor | panics | each operation returns the error, and timers work |
//! | the feature `tracing` | traces | has no effect |

mod io_safe;
mod io_traits;
mod net;
mod object;
pub mod os;
mod timer;

pub use io_safe::IoSafe;
pub use netpoll_futures::{
    Closed, Deadline, DeadlineExceeded, Deadlines, Readable, ReadableOwned, Writable,
    WritableOwned, deadline_in, is_closed, is_deadline_exceeded,
};
pub use object::Async;
pub use timer::Timer;

/// Runs a future to its end on this thread, which turns the reactor while it has nothing else to do. See
/// [`netpoll::block_on`].
///
/// # Panics
///
/// If the future does.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    netpoll::block_on(future)
}

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
