//! The behaviour of a stream with Go's deadlines, as a library: one function for each behaviour, for any
//! socket type, under any executor.
//!
//! The idea is that of Go's `nettest`, and so are its eleven subtests (`nettest`); the others hold
//! the numbered facts about Go's `net` that a user can observe. The names of those begin with the
//! number: `d11_expiry_is_sticky_until_set_again`.
//!
//! - A socket type is plugged in by implementing [`Stream`] for it and [`Transport`] for the way to
//!   make a pair, and [`Listening`] if it has listeners; then it is one line of the matrix.
//! - An executor is a function that runs a [`Body`], and one line of [`EXECUTORS`].
//! - A behaviour is a function that is given a [`Stage`], in the list of its module.
#![doc = include_str!("facts.md")]

mod accept;
mod async_io;
mod async_net;
mod close;
mod connect;
mod deadlines;
mod executors;
mod half_close;
mod hyper;
mod nettest;
mod peers;
mod readiness;
mod sharing;
mod smol;
mod stage;
mod stream;
mod tcp;
mod tokio;
mod transfer;
mod unix;

pub use async_io::{AsyncIoTcp, AsyncIoUnixPair};
pub use async_net::{AsyncNetTcp, AsyncNetUnixPair};
pub use executors::{Body, EXECUTORS, Executor};
pub use hyper::{HyperTcp, HyperUnixPair};
pub use smol::{SmolTcp, SmolUnixPair};
pub use stage::{Spawn, Stage, Task};
pub use stream::{Listener, Listening, Stream, Transport};
pub use tcp::{Tcp, TcpV4, TcpV6};
pub use tokio::{TokioTcp, TokioUnixPair};
pub use unix::{Unix, UnixAbstract, UnixPair, UnixPath};

use std::future::Future;
use std::io;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::watch;
use stage::Props;

/// Something that a socket must do, or must not.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// Its name.
    pub name: &'static str,
    /// Shows it, on a stage of its own, or panics. An error is one that it did not expect.
    pub show: fn(Stage) -> BoxFuture<'static, io::Result<()>>,
}

/// The behaviours of every pair of streams.
#[must_use]
pub fn of_streams<T: Transport>() -> Vec<Behaviour> {
    [
        nettest::all::<T>(),
        readiness::all::<T>(),
        deadlines::all::<T>(),
        close::all::<T>(),
        sharing::all::<T>(),
        transfer::all::<T>(),
        half_close::all::<T>(),
    ]
    .concat()
}

/// The count in the error of a `write_all` that fails.
const COUNTS: [&str; 2] =
    ["e6_bytes_written_before_closing_arrive", "g4_a_write_cut_short_says_how_much_was_written"];

/// The behaviours of streams that one task polls, and that have no `write_all` of their own: all of
/// the above but those of several tasks on one socket, or of the count of such a `write_all`.
#[must_use]
pub fn of_polled_streams<T: Transport>() -> Vec<Behaviour> {
    let behaviours = [
        nettest::all::<T>(),
        readiness::all::<T>(),
        deadlines::all::<T>(),
        close::all::<T>(),
        transfer::all::<T>(),
        half_close::all::<T>(),
    ]
    .concat();
    without(&COUNTS, behaviours)
}

/// The behaviours that need a `read`, an address or a `shutdown` of our own. An object of async-io has those of the object in it,
/// which asks neither for a close nor for the deadline, and wakes no task.
const OF_OUR_OWN_CALLS: [&str; 7] = [
    "a8_a_handle_of_the_old_does_nothing_to_the_new",
    "c5_closed_comes_before_everything",
    "e7_everything_fails_on_a_closed_stream",
    "g1_reading_nothing_takes_nothing_and_has_no_deadline",
    "g5_writing_all_of_nothing_asks_for_the_deadline",
    "j1_ending_a_half_that_races_closing_is_done_or_closed",
    "j1_ending_writing_breaks_pending_writes",
];

/// The behaviours of async-io's objects: those of [polled streams](of_polled_streams) that need no call of ours.
#[must_use]
pub fn of_objects<T: Transport>() -> Vec<Behaviour> {
    without(&OF_OUR_OWN_CALLS, of_polled_streams::<T>())
}

/// The behaviours of async-net's streams: those of [polled streams](of_polled_streams), except that a read into an empty
/// buffer is a system call, which waits for bytes.
#[must_use]
pub fn of_nets<T: Transport>() -> Vec<Behaviour> {
    let of_nothing = ["g1_reading_nothing_takes_nothing_and_has_no_deadline"];
    without(&of_nothing, of_polled_streams::<T>())
}

/// The behaviours of listeners to which one connects without a deadline.
#[must_use]
pub fn of_acceptors<T: Listening>() -> Vec<Behaviour> {
    accept::all::<T>()
}

fn without(names: &[&str], mut behaviours: Vec<Behaviour>) -> Vec<Behaviour> {
    let all = behaviours.len();
    behaviours.retain(|behaviour| !names.contains(&behaviour.name));
    assert_eq!(behaviours.len(), all - names.len(), "a name has changed");
    behaviours
}

/// The behaviours of listeners, besides.
#[must_use]
pub fn of_listeners<T: Listening>() -> Vec<Behaviour> {
    [of_acceptors::<T>(), connect::all::<T>()].concat()
}

/// Shows a behaviour under an executor, and a watchdog: a hang is a failure by its name, and the
/// sockets that hang are closed.
///
/// # Panics
///
/// If the behaviour is not there, or hangs.
pub fn show(name: &str, behaviour: Behaviour, executor: Executor) {
    let props = Props::default();
    let hung = props.clone();
    let run = move || {
        (executor.run)(Box::new(move |spawn, own_reactor| {
            let shown = (behaviour.show)(Stage::new(spawn, own_reactor, props));
            shown.map(|shown| shown.expect("no error but those that it expects")).boxed()
        }));
    };
    watch(name, run, move || hung.close_all());
}

fn boxed<F>(shown: F) -> BoxFuture<'static, io::Result<()>>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    shown.boxed()
}

/// The list of a module's behaviours, by the names of their functions.
macro_rules! behaviours {
    ($transport:ty: $($name:ident),+ $(,)?) => {
        vec![$($crate::conformance::Behaviour {
            name: stringify!($name),
            show: |stage| $crate::conformance::boxed($name::<$transport>(stage)),
        }),+]
    };
}
use behaviours;
