//! The loop of async-io: its reactor watches the descriptor, and a task of its `block_on` makes the turns.

use std::io;

use ::async_io::Async;
use ::netpoll::Reactor;

use super::{Tasks, turn};

pub(super) fn run(reactor: &Reactor, mut tasks: Tasks) -> io::Result<()> {
    let mut done = tasks.run();
    // The epoll descriptor is never read, so it may as well stay as it is.
    let watched = Async::new_nonblocking(reactor.clone())?;
    ::async_io::block_on(async {
        while !done {
            watched.readable().await?;
            done = turn(reactor, &mut tasks)?;
        }
        Ok(())
    })
}
