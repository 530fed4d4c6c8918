//! A program whose event loop turns the reactor. A process has one global reactor, so this is a suite of its own.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_io::{Async, Timer, os::unix::reactor_fd};
use futures_lite::AsyncReadExt;
use netpoll::{Checked, Direction, Interest, Reactor, Registration};

/// The event loop is a second reactor, which watches the descriptor of the first.
fn run<F: Future>(future: F, watched: &Registration<impl Sized>) -> io::Result<F::Output> {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(done);
        }
        watched.reactor().block_on(watched.ready(Checked(Direction::Read)))?;
        Reactor::global()?.turn(Some(Duration::ZERO))?;
    }
}

#[test]
fn an_event_loop_watches_the_descriptor_and_turns_the_reactor() -> io::Result<()> {
    let global = Reactor::builder().embedded().build_global()?;
    let reactor_fd = reactor_fd().expect("there is a global reactor");
    let event_loop = Reactor::builder().build()?;
    let watched = Registration::with(&event_loop, reactor_fd, Interest::Readable)?;

    let (receiver, mut sender) = UnixStream::pair()?;
    let mut receiver = Async::new(receiver)?;
    let sending = std::thread::spawn(move || {
        sender.write_all(b"hello")?;
        io::Result::Ok(sender)
    });
    let mut buffer = [0; 5];
    run(receiver.read_exact(&mut buffer), &watched)??;
    assert_eq!(&buffer, b"hello");
    let _sender = sending.join().expect("no panic")?;

    let began = Instant::now();
    run(Timer::after(Duration::from_millis(5)), &watched)?;
    assert!(began.elapsed() >= Duration::from_millis(5));
    assert!(global.metrics().turns > 0);
    Ok(())
}
