//! Another reactor of netpoll, the global one.

use std::io;

use ::netpoll::{Direction, Interest, Reactor, Registration};

use super::{Tasks, turn};

pub(super) fn run(reactor: &Reactor, mut tasks: Tasks) -> io::Result<()> {
    if tasks.run() {
        return Ok(());
    }
    let watched = Registration::with(Reactor::global()?, reactor.clone(), Interest::Readable)?;
    // A turn drains the descriptor, as a read would. An edge that comes meanwhile is another turn.
    ::netpoll::block_on(watched.io(Direction::Read, |reactor| {
        if turn(reactor, &mut tasks)? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }))
}
