//! Reactors of one's own: made, turned by their threads and by hand, and shut down.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::join;
use netpoll::{Checked, Direction, Interest, Reactor, Registration, Timer};
use netpoll_futures::sys;
use netpoll_tests::CountingWaker;

use super::{During, Failure, Played, SOON, Script, block_on, ends_late, is_gone};

pub(super) fn play(script: &Script<'_>) -> Played {
    script.start()?;
    let several = Reactor::builder().reactors(2).build().during("start")?;
    let played = block_on(with_threads(script, &several));
    several.shutdown();
    played?;
    by_hand()
}

async fn with_threads(script: &Script<'_>, reactor: &Reactor) -> Played {
    for _ in 0..3 {
        let soon = Instant::now() + SOON;
        Timer::at(reactor, soon).during("timer")?.await.during("timer")?;
        assert!(Instant::now() >= soon, "a timer was early");
    }
    let (near, far) = registered(reactor)?;
    let soon = Instant::now() + SOON;
    near.set_read_deadline(Some(soon)).during("set_read_deadline")?;
    ends_late(near.io(Direction::Read, read), "read", soon).await?;
    near.set_deadline(script.deadline()).during("set_deadline")?;
    near.ready(Checked(Direction::Write)).await.during("ready_level_triggered")?;
    drop(far);
    assert_eq!(near.io(Direction::Read, read).await.during("read")?, 0, "the end");
    let (again, _far) = registered(reactor)?;
    let again = again.into_inner().during("into_inner")?;
    let again = Registration::with(reactor, again, Interest::Both).during("register")?;
    waits_for_the_end(reactor, &again).await
}

fn read(near: &UnixStream) -> io::Result<usize> {
    sys::recv(near.as_fd(), &mut [0])
}

/// A waiter gets an error when the reactor is shut down.
async fn waits_for_the_end(reactor: &Reactor, near: &Registration<UnixStream>) -> Played {
    let ends = async { reactor.shutdown() };
    match join(near.ready(Direction::Read), ends).await.0 {
        Ok(_) => panic!("nothing came but the end"),
        Err(error) if is_gone(&error) => Ok(()),
        other => other.map(drop).during("readable"),
    }
}

fn by_hand() -> Played {
    let reactor = Reactor::builder().embedded().build().during("start")?;
    let (near, far) = registered(&reactor)?;
    drop(far);
    let waker = CountingWaker::new();
    while waker.poll(pin!(near.ready(Direction::Read))).is_pending() {
        reactor.turn(Some(SOON)).during("turn")?;
    }
    let soon = Instant::now() + SOON;
    let mut timer = pin!(Timer::at(&reactor, soon).during("timer")?);
    while waker.poll(timer.as_mut()).is_pending() {
        reactor.turn(None).during("turn")?;
    }
    assert!(Instant::now() >= soon, "a timer was early");
    reactor.notify();
    reactor.turn(None).during("turn")?;
    reactor.turn(Some(Duration::ZERO)).during("turn")?;
    block_on(near.close()).during("close")
}

fn registered(reactor: &Reactor) -> Result<(Registration<UnixStream>, UnixStream), Failure> {
    let (near, far) = UnixStream::pair().during("pair")?;
    near.set_nonblocking(true).during("set_nonblocking")?;
    let near = Registration::with(reactor, near, Interest::WriteOnDemand).during("register")?;
    Ok((near, far))
}
