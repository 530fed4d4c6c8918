//! Event loops that know nothing of netpoll. Each watches the descriptor of an embedded reactor, makes a turn when it is
//! readable, and then runs the tasks that the turn has woken.

mod async_io;
mod calloop;
#[cfg(feature = "glib")]
mod glib;
mod netpoll;
mod poll;
mod tasks;

use std::io;
use std::time::Duration;

use ::netpoll::Reactor;

pub use tasks::Tasks;

/// Runs an event loop on this thread until the tasks are done or the reactor is gone.
pub type Loop = fn(&Reactor, Tasks) -> io::Result<()>;

/// The loops by their names.
pub const LOOPS: &[(&str, Loop)] = &[
    ("poll", poll::run),
    ("calloop", calloop::run),
    ("calloop-edge", calloop::run_by_edges),
    #[cfg(feature = "glib")]
    ("glib", glib::run),
    ("async-io", async_io::run),
    ("netpoll", netpoll::run),
];

/// One turn and the tasks that it has woken, for a loop whose descriptor is readable. True if the tasks are done.
fn turn(reactor: &Reactor, tasks: &mut Tasks) -> io::Result<bool> {
    let turned = match reactor.turn(Some(Duration::ZERO)) {
        // Another thread makes a turn.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        turned => turned,
    };
    // If the reactor is gone, its tasks learn of it now.
    let done = tasks.run();
    turned.map(|()| done)
}
