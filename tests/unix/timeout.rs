//! Streams whose peers must not keep them waiting, by a clock that is moved by hand. A Unix socket
//! has its peer's acknowledgement at once.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::unix::net;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::executor::block_on;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use netpoll::{Interest, Reactor, Registration, is_deadline_exceeded};
use netpoll_futures::{Stream, TimeoutStream, Timeouts, bytes_written};
use netpoll_tests::fixtures::assert_timed_out;
use netpoll_tests::{CountingWaker, watched};

const SECOND: Duration = Duration::from_secs(1);

/// More than a tick of the reactor's wheel.
const TICK: Duration = Duration::from_millis(1);

const LIMITS: Timeouts =
    Timeouts { idle: Some(Duration::from_secs(10)), write_stall: Some(Duration::from_secs(100)) };

/// A stream with timeouts, its peer, and the reactor with its clock.
struct Scene {
    stream: TimeoutStream<net::UnixStream>,
    peer: net::UnixStream,
    reactor: Reactor,
    wakes: Arc<CountingWaker>,
}

/// Runs a test on a connection with these timeouts.
fn run(timeouts: Timeouts, test: impl FnOnce(Scene) -> io::Result<()> + Send + 'static) {
    watched(move || {
        let scene = Scene::new(timeouts).expect("a connection");
        test(scene).expect("no error but those that the test expects");
    });
}

impl Scene {
    fn new(timeouts: Timeouts) -> io::Result<Self> {
        let reactor = Reactor::builder().manual_clock().build()?;
        let (near, peer) = net::UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let stream: Stream<_> = Registration::with(&reactor, near, Interest::WriteOnDemand)?.into();
        let stream = TimeoutStream::new(stream, timeouts);
        Ok(Self { stream, peer, reactor, wakes: CountingWaker::new() })
    }

    fn poll_read(&self) -> Poll<io::Result<usize>> {
        let waker = Waker::from(self.wakes.clone());
        self.stream.poll_read(&mut Context::from_waker(&waker), &mut [0; 1024])
    }

    fn poll_write(&self) -> Poll<io::Result<usize>> {
        let waker = Waker::from(self.wakes.clone());
        self.stream.poll_write(&mut Context::from_waker(&waker), &[0x5a; 4096])
    }

    /// The result of it, which must be there by now, as soon as the reactor has noticed.
    fn soon<T>(&self, mut poll: impl FnMut(&Self) -> Poll<T>) -> T {
        loop {
            if let Poll::Ready(done) = poll(self) {
                return done;
            }
            std::thread::yield_now();
        }
    }

    /// Writes until there is no room, and is seen to wait.
    fn block(&self) {
        while self.poll_write().is_ready() {}
    }

    /// The peer takes up to so many bytes.
    fn take(&mut self, most: usize) -> io::Result<usize> {
        self.peer.set_nonblocking(true)?;
        match self.peer.read(&mut vec![0; most]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::yield_now();
                Ok(0)
            }
            taken => taken,
        }
    }

    /// The peer takes so much that there is room again.
    fn unblock(&mut self) -> io::Result<()> {
        while self.poll_write().is_pending() {
            self.take(4096)?;
        }
        Ok(())
    }

    /// Lets so much time pass that a deadline wakes the waiters.
    fn pass_until_woken(&self, time: Duration) {
        let before = self.wakes.wakes();
        self.reactor.advance(time);
        while self.wakes.wakes() == before {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_silent_peer_is_idle() {
    run(LIMITS, |scene| {
        assert!(scene.poll_read().is_pending());
        scene.reactor.advance(10 * SECOND - TICK);
        assert!(scene.poll_read().is_pending(), "and asking gave it no more time");
        scene.pass_until_woken(2 * TICK);
        assert_timed_out(scene.soon(Scene::poll_read));
        assert_timed_out(scene.soon(Scene::poll_read));
        Ok(())
    });
}

#[test]
fn a_peer_without_a_pending_read_is_not_idle() {
    run(LIMITS, |mut scene| {
        for _ in 0..3 {
            scene.reactor.advance(100 * SECOND);
            assert!(scene.poll_read().is_pending());
            scene.reactor.advance(9 * SECOND);
            scene.peer.write_all(b"x")?;
            assert_eq!(scene.soon(Scene::poll_read)?, 1);
        }
        Ok(())
    });
}

/// It has come in time, and only the reader was late: as late as a task that waits for many things
/// at once may be.
#[test]
fn bytes_that_have_come_are_read_however_late() {
    run(LIMITS, |mut scene| {
        assert!(scene.poll_read().is_pending());
        scene.peer.write_all(b"hello")?;
        scene.reactor.advance(100 * SECOND);
        // Until the socket itself is past its deadline.
        let mut context = Context::from_waker(Waker::noop());
        while !matches!(scene.stream.get_ref().poll_read_ready(&mut context), Poll::Ready(Err(_))) {
            std::thread::yield_now();
        }
        assert_eq!(scene.soon(Scene::poll_read)?, 5);
        assert!(scene.poll_read().is_pending(), "it has all its time again");
        Ok(())
    });
}

#[test]
fn the_end_is_no_silence() {
    run(LIMITS, |mut scene| {
        assert!(scene.poll_read().is_pending());
        scene.peer.write_all(b"x")?;
        drop(std::mem::replace(&mut scene.peer, net::UnixStream::pair()?.0));
        assert_eq!(scene.soon(Scene::poll_read)?, 1);
        for _ in 0..3 {
            assert_eq!(scene.soon(Scene::poll_read)?, 0);
            scene.reactor.advance(100 * SECOND);
        }
        Ok(())
    });
}

#[test]
fn a_write_keeps_it() {
    run(LIMITS, |mut scene| {
        assert!(scene.poll_read().is_pending());
        for _ in 0..5 {
            scene.reactor.advance(9 * SECOND);
            assert_eq!(scene.soon(Scene::poll_write)?, 4096);
            scene.peer.read_exact(&mut [0; 4096])?;
            assert!(scene.poll_read().is_pending());
        }
        scene.pass_until_woken(10 * SECOND + TICK);
        assert_timed_out(scene.soon(Scene::poll_read));
        assert_eq!(scene.soon(Scene::poll_write)?, 4096);
        assert!(scene.poll_read().is_pending(), "it is as good as before");
        Ok(())
    });
}

#[test]
fn a_peer_that_takes_nothing_is_stalled() {
    run(LIMITS, |mut scene| {
        scene.block();
        scene.reactor.advance(100 * SECOND - TICK);
        assert!(scene.poll_write().is_pending(), "and asking gave it no more time");
        scene.pass_until_woken(2 * TICK);
        assert_timed_out(scene.soon(Scene::poll_write));
        assert_timed_out(scene.soon(Scene::poll_write));
        scene.peer.read_exact(&mut [0; 4096])?;
        assert_eq!(scene.soon(Scene::poll_write)?, 4096, "it takes something again");
        Ok(())
    });
}

/// The kernel reports no room all the while. When the limit has passed, the write uses the room that there is.
#[test]
fn a_peer_that_takes_a_little_is_not_stalled() {
    run(LIMITS, |mut scene| {
        scene.block();
        for _ in 0..3 {
            scene.peer.read_exact(&mut [0; 4096])?;
            scene.pass_until_woken(100 * SECOND + TICK);
            assert_eq!(scene.soon(Scene::poll_write)?, 4096);
            scene.block();
        }
        scene.pass_until_woken(100 * SECOND + TICK);
        assert_timed_out(scene.soon(Scene::poll_write));
        Ok(())
    });
}

/// A write that waits for room has a limit of its own, and the limit of reading does not count then.
#[test]
fn a_peer_that_has_bytes_to_take_is_not_idle() {
    run(LIMITS, |mut scene| {
        assert!(scene.poll_read().is_pending());
        scene.block();
        scene.reactor.advance(99 * SECOND);
        assert!(scene.poll_read().is_pending());
        scene.unblock()?;
        scene.reactor.advance(9 * SECOND);
        assert!(scene.poll_read().is_pending(), "it counts from the last byte");
        scene.pass_until_woken(2 * SECOND);
        assert_timed_out(scene.soon(Scene::poll_read));
        Ok(())
    });
}

/// A future that is dropped and begun again has no more time for it.
#[test]
fn polling_again_does_not_restart_the_limit() {
    run(LIMITS, |scene| {
        for _ in 0..10 {
            assert!(scene.wakes.poll(pin!(scene.stream.read(&mut [0]))).is_pending());
            scene.reactor.advance(SECOND);
        }
        scene.reactor.advance(TICK);
        assert_timed_out(block_on(scene.stream.read(&mut [0])));
        assert_timed_out(block_on(scene.stream.read_vectored(&mut [IoSliceMut::new(&mut [0])])));
        Ok(())
    });
}

/// `write_all` may take longer than the timeout, while the peer takes something.
#[test]
fn a_long_write_is_no_stall() {
    const LEN: usize = 1 << 20;
    run(LIMITS, |mut scene| {
        let data = vec![0x5a; LEN];
        let (mut taken, stream) = (0, scene.stream.clone());
        let mut write = pin!(stream.write_all(&data));
        let wrote = loop {
            if let Poll::Ready(wrote) = scene.wakes.poll(write.as_mut()) {
                break wrote;
            }
            let more = scene.take(64 * 1024)?;
            taken += more;
            if more > 0 {
                scene.reactor.advance(60 * SECOND);
            }
        };
        wrote?;
        assert!(scene.reactor.metrics().expiries > 0, "it took more than the timeout");
        while taken < LEN {
            taken += scene.take(64 * 1024)?;
        }
        Ok(())
    });
}

#[test]
fn a_write_that_stalls_says_how_far_it_came() {
    run(LIMITS, |mut scene| {
        let data = vec![0x5a; 1 << 20];
        let error = {
            let mut write = pin!(scene.stream.write_all(&data));
            assert!(scene.wakes.poll(write.as_mut()).is_pending());
            scene.reactor.advance(100 * SECOND + TICK);
            block_on(write).expect_err("the peer takes nothing")
        };
        assert!(is_deadline_exceeded(&error));
        let written = bytes_written(&error);
        assert!(written > 0);
        assert_timed_out(block_on(scene.stream.write(b"x")));
        scene.peer.set_nonblocking(true)?;
        let mut all = Vec::new();
        let _ = scene.peer.read_to_end(&mut all);
        assert_eq!(all.len(), written);
        Ok(())
    });
}

#[test]
fn timeouts_may_be_set_anew() {
    run(LIMITS, |scene| {
        assert_eq!(scene.stream.timeouts(), LIMITS);
        scene.block();
        assert!(scene.poll_read().is_pending());
        scene.pass_until_woken(100 * SECOND + TICK);
        assert_timed_out(scene.soon(Scene::poll_write));
        scene.stream.set_timeouts(Timeouts::none());
        for _ in 0..3 {
            assert!(scene.poll_write().is_pending() && scene.poll_read().is_pending());
            scene.reactor.advance(1000 * SECOND);
        }
        let short = Timeouts { idle: None, write_stall: Some(SECOND) };
        scene.stream.set_timeouts(short);
        scene.pass_until_woken(SECOND + TICK);
        assert_timed_out(scene.soon(Scene::poll_write));
        Ok(())
    });
}

/// A limit that has passed already wakes the task that reads, inside the call that sets it: the waker may ask the
/// stream for its limits, as it may call anything.
#[test]
fn a_waker_may_use_the_stream() {
    struct Asks(Arc<TimeoutStream<net::UnixStream>>, Mutex<Option<Timeouts>>);

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            *self.1.lock().expect("one waker") = Some(self.0.timeouts());
        }
    }

    run(Timeouts::default(), |Scene { stream, .. }| {
        let stream = Arc::new(stream);
        let asks = Arc::new(Asks(stream.clone(), Mutex::new(None)));
        let waker = Waker::from(asks.clone());
        let cx = &mut Context::from_waker(&waker);
        assert!(stream.poll_read(cx, &mut [0; 8]).is_pending());
        let at_once = Timeouts { idle: Some(Duration::ZERO), ..Timeouts::default() };
        stream.set_timeouts(at_once);
        assert_eq!(*asks.1.lock().expect("one waker"), Some(at_once));
        Ok(())
    });
}

#[test]
fn a_time_that_no_clock_can_tell_is_no_limit() {
    let ever = Timeouts { idle: Some(Duration::MAX), write_stall: Some(Duration::MAX) };
    run(ever, |scene| {
        assert!(scene.poll_read().is_pending());
        scene.block();
        scene.reactor.advance(1_000_000 * SECOND);
        assert!(scene.poll_read().is_pending() && scene.poll_write().is_pending());
        Ok(())
    });
}

/// An operation that need not wait sets no deadline, and one that made progress leaves none.
#[test]
fn the_stream_inside_has_no_deadline_of_its_own() {
    run(LIMITS, |mut scene| {
        scene.peer.write_all(b"xy")?;
        assert_eq!(scene.soon(Scene::poll_read)?, 2);
        scene.block();
        scene.unblock()?;
        assert!(scene.poll_read().is_pending());
        let stream = scene.stream.clone().into_inner();
        scene.reactor.advance(1000 * SECOND);
        assert!(scene.wakes.poll(pin!(stream.readable())).is_pending());
        assert_eq!(scene.reactor.metrics().expiries, 0);
        Ok(())
    });
}

/// The timeouts are the deadlines of the socket, and the user sets none there.
#[test]
fn the_timeouts_replace_a_deadline_that_was_set_inside() {
    run(LIMITS, |scene| {
        let passed = Some(scene.reactor.now());
        scene.stream.get_ref().set_deadline(passed)?;
        block_on(scene.stream.write_all(b"x"))?;
        assert!(scene.poll_read().is_pending());
        scene.stream.get_ref().set_deadline(passed)?;
        assert!(scene.poll_read().is_pending());
        scene.pass_until_woken(10 * SECOND + TICK);
        assert_timed_out(scene.soon(Scene::poll_read));
        Ok(())
    });
}

#[test]
fn by_the_traits_of_futures_io() {
    run(LIMITS, |mut scene| {
        block_on(async {
            let mut stream = scene.stream.clone();
            AsyncWriteExt::write_all(&mut stream, b"hello").await?;
            let slices = [IoSlice::new(b", "), IoSlice::new(b"peer")];
            assert_eq!((&stream).write_vectored(&slices).await?, 6);
            AsyncWriteExt::flush(&mut stream).await?;
            AsyncWriteExt::close(&mut stream).await?;
            let mut heard = String::new();
            scene.peer.read_to_string(&mut heard)?;
            assert_eq!(heard, "hello, peer");
            assert!(
                scene.wakes.poll(pin!(AsyncReadExt::read(&mut &stream, &mut [0]))).is_pending()
            );
            scene.reactor.advance(10 * SECOND + TICK);
            assert_timed_out(AsyncReadExt::read(&mut stream, &mut [0]).await);
            stream.close().await
        })
    });
}
