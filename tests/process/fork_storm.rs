//! A process whose threads are at work in every part of the crates forks a thousand times. The child has
//! the locks as they were at that instant, some of them held by threads that it does not have. Each call in
//! the child returns at once, and tells that the reactor is the parent's.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::io;
use std::net::TcpStream as StdStream;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use hyper::Response;
use hyper::service::service_fn;
use netpoll::{Checked, Direction, Interest, Reactor, ReactorGone, Registration, Timer};
use netpoll_futures::{
    Limit, TcpListener, TcpStream, TimeoutStream, Timeouts, UnixDatagram, UnixStream,
};
use netpoll_hyper::{End, Executor, Server};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::fixtures::os::{Forked, Steps, end_child, fork_here, in_a_child_with_steps};
use netpoll_tokio::io::Interest as TokioInterest;
use netpoll_tokio::io::unix::AsyncFd;

const FORKS: usize = 1000;

fn is_gone<T>(result: &io::Result<T>) -> bool {
    let payload = |error: &io::Error| {
        error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ReactorGone>)
    };
    result.as_ref().is_err_and(payload)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether a future that is begun here ends at once, with that error.
fn ends<T>(future: impl Future<Output = io::Result<T>>) -> bool {
    matches!(poll_once(pin!(future)), Poll::Ready(result) if is_gone(&result))
}

/// Forks a thousand times while the threads do their work again and again.
fn fork_while(work: &[Box<dyn Fn() + Send + Sync>], mut child: impl FnMut(&mut Steps)) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for work in work {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    work();
                }
            });
        }
        // Whatever comes of the children, the threads end.
        let forked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..FORKS).for_each(|_| in_a_child_with_steps(&mut child));
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = forked {
            std::panic::resume_unwind(panic);
        }
    });
}

type Near = Arc<Registration<StdUnixStream>>;

fn registered(reactor: &Reactor, interest: Interest) -> (Near, StdUnixStream) {
    let (near, far) = StdUnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("an option");
    let near = Registration::with(reactor, near, interest).expect("a registration");
    (Arc::new(near), far)
}

/// Waits that begin and end, several on one socket at once, so that the list of those that wait is locked
/// now and then.
fn waits(near: &Near) -> impl Fn() + Send + Sync + use<> {
    let near = near.clone();
    move || {
        let wakers = [CountingWaker::new(), CountingWaker::new()];
        for direction in Direction::BOTH {
            let mut futures: Vec<_> = (0..3).map(|_| Box::pin(near.ready(direction))).collect();
            for future in &mut futures {
                let _ = poll_once(future.as_mut());
            }
            for waker in &wakers {
                let waker = Waker::from(waker.clone());
                let _ = near.poll_ready(&mut Context::from_waker(&waker), direction);
            }
        }
    }
}

/// Registrations, waits, deadlines and timers.
#[test]
fn a_child_of_threads_that_wait() {
    alone("fork_storm::a_child_of_threads_that_wait", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let (near, _far) = registered(&reactor, Interest::Both);
        let (on_demand, _far) = registered(&reactor, Interest::WriteOnDemand);
        let mut work: Vec<Box<dyn Fn() + Send + Sync>> =
            vec![Box::new(waits(&near)), Box::new(waits(&near)), Box::new(waits(&on_demand))];
        let (timing, socket) = (reactor.clone(), near.clone());
        work.push(Box::new(move || {
            let timers: Vec<_> = (0..8).map(|_| Timer::never(&timing).expect("a timer")).collect();
            let now = timing.now();
            for timer in &timers {
                timer.set(Some(now + Duration::from_secs(60)));
                timer.set(Some(now + Duration::from_millis(1)));
            }
            socket.set_deadline(Some(now + Duration::from_secs(60))).expect("open");
            socket.set_read_deadline(None).expect("open");
            let _ = timing.metrics();
        }));
        let registering = reactor.clone();
        work.push(Box::new(move || drop(registered(&registering, Interest::WriteOnDemand))));
        let writing = on_demand.clone();
        work.push(Box::new(move || {
            let _ = writing.try_io(Direction::Write, |_| Ok(()));
        }));

        // Two that wait already: one in the cell, and one in the list.
        let mut waiting: Vec<_> =
            (0..2).map(|_| Some(Box::pin(near.ready(Direction::Read)))).collect();
        for waiting in waiting.iter_mut().flatten() {
            assert!(poll_once(waiting.as_mut()).is_pending());
        }
        let mut timer =
            Some(Timer::at(&reactor, reactor.now() + Duration::from_secs(3600)).expect("one"));
        let (socket, demanding) = (near.clone(), on_demand.clone());
        fork_while(&work, |step| {
            let soon = Some(reactor.now());
            for waiting in &mut waiting {
                step.report(1, true);
                drop(waiting.take());
            }
            let cx = &mut Context::from_waker(Waker::noop());
            for direction in Direction::BOTH {
                let on_demand = direction == Direction::Write;
                let near = if on_demand { &demanding } else { &socket };
                if near.try_ready(direction).is_ok() {
                    continue;
                }
                step.report(2, ends(near.ready(direction)));
                step.report(3, ends(near.ready(Checked(direction))));
                let poll = near.poll_ready(cx, direction);
                step.report(4, matches!(poll, Poll::Ready(result) if is_gone(&result)));
            }
            step.report(5, demanding.try_io(Direction::Write, |_| Ok(())).is_ok_or_blocks());
            step.report(6, is_gone(&socket.set_deadline(soon)));
            step.report(7, is_gone(&socket.set_read_deadline(None)));
            step.report(8, is_gone(&socket.set_write_deadline(soon)));
            let inherited = timer.take().expect("the parent has it");
            inherited.set(soon);
            step.report(
                9,
                matches!(inherited.poll_fired(cx), Poll::Ready(result) if is_gone(&result)),
            );
            step.report(10, is_gone(&Timer::never(&reactor)));
            step.report(
                11,
                is_gone(&Registration::with(&reactor, io::stdin(), Interest::Readable)),
            );
            step.report(12, reactor.metrics().registrations == 0);
            step.report(13, is_gone(&reactor.turn(Some(Duration::ZERO))));
            socket.assume_ready(Direction::Write);
            reactor.notify();
            step.report(14, reactor.is_gone());
            let close = poll_once(pin!(socket.close()));
            step.report(15, matches!(close, Poll::Ready(Ok(()))));
            let close = poll_once(pin!(demanding.close()));
            step.report(16, matches!(close, Poll::Ready(Ok(()))));
            drop(inherited);
            step.report(17, true);
            reactor.shutdown();
            step.report(18, true);
        });
    });
}

trait IsOkOrBlocks {
    fn is_ok_or_blocks(&self) -> bool;
}

impl<T> IsOkOrBlocks for io::Result<T> {
    fn is_ok_or_blocks(&self) -> bool {
        self.as_ref().map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true)
    }
}

/// Threads in `block_on`, drivers, reactors that come and go, and shutdowns.
#[test]
fn a_child_of_threads_that_drive() {
    alone("fork_storm::a_child_of_threads_that_drive", || {
        let reactor = Reactor::global().expect("a reactor");
        let driving = || {
            for _ in 0..10 {
                netpoll::block_on(async {
                    let timer =
                        Timer::at(Reactor::global()?, Instant::now() + Duration::from_micros(50))?;
                    timer.await
                })
                .expect("it fires");
            }
        };
        let parking = || {
            let mut driver = Reactor::global().expect("a reactor").driver();
            let waker = driver.waker();
            thread::scope(|scope| {
                scope.spawn(move || waker.wake());
                driver.park();
            });
        };
        let coming = || {
            let several = Reactor::builder().reactors(2).build().expect("reactors");
            thread::scope(|scope| {
                scope.spawn(|| several.shutdown());
                scope.spawn(|| several.shutdown());
            });
        };
        let mut inherited = Some(reactor.driver());
        let other = Reactor::builder().build().expect("a reactor");
        let shared = other.clone();
        let looking = move || {
            let _ = shared.metrics();
            shared.block_on(async {});
        };
        let work: Vec<Box<dyn Fn() + Send + Sync>> = vec![
            Box::new(driving),
            Box::new(driving),
            Box::new(parking),
            Box::new(coming),
            Box::new(looking),
        ];
        fork_while(&work, |step| {
            netpoll::block_on(async {});
            step.report(1, true);
            other.block_on(async {});
            step.report(2, true);
            let ended =
                netpoll::block_on(async { Timer::at(Reactor::global()?, Instant::now())?.await });
            step.report(3, is_gone(&ended));
            let mut driver = reactor.driver();
            driver.waker().wake();
            driver.park();
            driver.poll_now();
            step.report(4, true);
            drop(driver);
            step.report(5, true);
            drop(inherited.take());
            step.report(6, true);
            let _ = other.metrics();
            step.report(7, true);
            other.shutdown();
            step.report(8, true);
            reactor.shutdown();
            step.report(9, true);
            // Without a thread: the standard library takes a lock of its own when a thread begins, which a
            // thread of the parent may have held.
            let own = Reactor::builder().embedded().build().expect("the child's own");
            let fired = own.block_on(async { Timer::at(&own, Instant::now())?.await });
            step.report(10, fired.is_ok());
            own.shutdown();
            step.report(11, true);
        });
    });
}

/// A waker that forks. Both processes return from it.
#[derive(Default)]
struct Forking(Mutex<Option<Forked>>);

impl Wake for Forking {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("no panic") = fork_here();
    }
}

/// A waker forks in a turn of a driver. In the child, the driver returns as well: it takes no lock of the reactor
/// after the turn.
#[test]
fn a_child_made_by_a_waker_leaves_the_turn() {
    alone("fork_storm::a_child_made_by_a_waker_leaves_the_turn", || {
        let builder = Reactor::builder().embedded().manual_clock();
        let reactor = builder.build().expect("a reactor");
        let second = Duration::from_secs(1);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        drop(reactor.driver());
                    }
                });
            }
            let forked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut driver = reactor.driver();
                for round in 0..FORKS {
                    let timer = Timer::at(&reactor, reactor.now() + second).expect("a timer");
                    let forking = Arc::new(Forking::default());
                    let waker = Waker::from(forking.clone());
                    assert!(timer.poll_fired(&mut Context::from_waker(&waker)).is_pending());
                    reactor.advance(2 * second);
                    let parent = std::process::id();
                    match round % 2 {
                        0 => driver.park(),
                        _ => drop(reactor.turn(None)),
                    }
                    if std::process::id() != parent {
                        end_child();
                    }
                    let child = forking.0.lock().expect("no panic").take();
                    child.expect("the timer was due").wait();
                }
            }));
            over.store(true, Ordering::Relaxed);
            if let Err(panic) = forked {
                std::panic::resume_unwind(panic);
            }
        });
    });
}

/// The global reactor is being made on another thread. A child that asks for it gets one, the parent's or
/// its own.
#[test]
fn a_child_of_threads_that_make_the_global_reactor() {
    // Each attempt has a process of its own, as there is one global reactor in each.
    alone("fork_storm::a_child_of_threads_that_make_the_global_reactor", || {
        // A reactor of one's own, so that forks are counted.
        let _counting = Reactor::builder().build().expect("a reactor");
        for _ in 0..200 {
            in_a_child_with_steps(|step| {
                let begin = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        while !begin.load(Ordering::Relaxed) {
                            std::hint::spin_loop();
                        }
                        Reactor::global().expect("a reactor");
                    });
                    begin.store(true, Ordering::Relaxed);
                    in_a_child_with_steps(|step| {
                        let global = Reactor::global().expect("one or the other");
                        let timer = Timer::at(global, Instant::now());
                        let fired = timer.and_then(netpoll::block_on);
                        step.report(1, fired.is_ok() || is_gone(&fired));
                    });
                });
                step.report(1, true);
            });
        }
    });
}

/// Sockets of netpoll-futures, on which several tasks read, write and accept at once.
#[test]
fn a_child_of_threads_that_use_sockets() {
    alone("fork_storm::a_child_of_threads_that_use_sockets", || {
        let (near, far) = UnixStream::pair().expect("a pair");
        let (one, other) = UnixDatagram::pair().expect("a pair");
        let limit = Limit::new(3);
        let listener = block_on(TcpListener::bind(LOOPBACK)).expect("a port");
        listener.set_limit(Some(&limit)).expect("open");
        let address = listener.local_addr().expect("bound");
        let (timed, _peer) = UnixStream::pair().expect("a pair");
        let timed = Arc::new(TimeoutStream::new(timed, Timeouts::default()));

        let reading = near.clone();
        let reads = move || {
            let mut buffers = [[0]; 3];
            let mut futures: Vec<_> =
                buffers.iter_mut().map(|buffer| Box::pin(reading.read(buffer))).collect();
            for future in &mut futures {
                let _ = poll_once(future.as_mut());
            }
        };
        let writing = far.clone();
        let writes = move || {
            let _ = writing.write_all(b"xyz").now_or_never();
        };
        let sending = one.clone();
        let sends = move || {
            let _ = sending.send(b"x").now_or_never();
            let _ = other.recv(&mut [0; 8]).now_or_never();
            let _ = other.recv(&mut [0; 8]).now_or_never();
        };
        let accepting = listener.clone();
        let accepts = move || {
            let client = StdStream::connect(address).expect("it listens");
            let _ = accepting.accept().now_or_never();
            drop(client);
            block_on(async {
                let timer = netpoll_futures::Timer::after(Duration::from_millis(1)).fuse();
                futures::pin_mut!(timer);
                let accept = accepting.accept().fuse();
                futures::pin_mut!(accept);
                futures::select! { _ = timer => (), _ = accept => () }
            });
        };
        let idle = timed.clone();
        let times = move || {
            idle.set_timeouts(Timeouts::default());
            let _ = idle.timeouts();
        };
        let work: Vec<Box<dyn Fn() + Send + Sync>> = vec![
            Box::new(reads.clone()),
            Box::new(reads),
            Box::new(writes),
            Box::new(sends.clone()),
            Box::new(sends),
            Box::new(accepts),
            Box::new(times),
        ];

        let mut buffer = [0];
        let mut queued = Some(Box::pin(timed.get_ref().read(&mut buffer)));
        assert!(poll_once(queued.as_mut().expect("it is there").as_mut()).is_pending());
        fork_while(&work, |step| {
            drop(queued.take());
            step.report(1, true);
            step.report(2, ends_or_done(near.read(&mut [0; 64])));
            step.report(3, ends_or_done(near.write_all(b"x")));
            step.report(4, ends_or_done(one.send(b"x")));
            step.report(5, ends(listener.accept()));
            let polled = poll_once(pin!(poll_fn(|cx| listener.poll_accept(cx))));
            step.report(6, matches!(polled, Poll::Ready(result) if is_gone(&result)));
            let _ = listener.set_limit(None);
            step.report(7, limit.in_use() == 0);
            let _ = (timed.timeouts(), timed.set_timeouts(Timeouts::default()));
            step.report(8, true);
            let connected = TcpStream::connect(address).now_or_never();
            step.report(9, connected.is_none_or(|connected| connected.is_err()));
            step.report(10, matches!(poll_once(pin!(near.close())), Poll::Ready(Ok(()))));
            step.report(11, matches!(poll_once(pin!(far.close())), Poll::Ready(Ok(()))));
            step.report(12, matches!(poll_once(pin!(listener.close())), Poll::Ready(Ok(()))));
            step.report(13, matches!(poll_once(pin!(one.close())), Poll::Ready(Ok(()))));
        });
    });
}

/// Whether it is over at once, with a reactor that is gone or because it need not wait.
fn ends_or_done<T>(future: impl Future<Output = io::Result<T>>) -> bool {
    match poll_once(pin!(future)) {
        Poll::Ready(Ok(_)) => true,
        Poll::Ready(result) => is_gone(&result),
        Poll::Pending => false,
    }
}

/// A server of netpoll-hyper, on which several threads begin and end connections and shut down.
#[test]
fn a_child_of_threads_that_serve() {
    alone("fork_storm::a_child_of_threads_that_serve", || {
        let executor = Executor::new(|task| {
            let _ = task.now_or_never();
        });
        let server = Server::new(executor.clone());
        let ending = Server::new(executor);
        let hello = || service_fn(|_| ready(Ok::<_, Infallible>(Response::new(String::new()))));
        let serves = |server: &Server| {
            let server = server.clone();
            move || {
                let (near, _far) = UnixStream::pair().expect("a pair");
                let _ = server.serve_connection(near, hello()).now_or_never();
                let _ = (server.connections(), server.finished().now_or_never());
            }
        };
        let shuts_down = {
            let ending = ending.clone();
            move || ending.shutdown()
        };
        let work: Vec<Box<dyn Fn() + Send + Sync>> = vec![
            Box::new(serves(&server)),
            Box::new(serves(&server)),
            Box::new(serves(&ending)),
            Box::new(shuts_down),
        ];
        let listener = block_on(TcpListener::bind(LOOPBACK)).expect("a port");
        let mut serving = Some(Box::pin(server.serve(&listener, |_| hello())));
        assert!(poll_once(serving.as_mut().expect("it is there").as_mut()).is_pending());
        let (near, _far) = UnixStream::pair().expect("a pair");
        let mut connection = Some(Box::pin(server.serve_connection(near.clone(), hello())));
        assert!(poll_once(connection.as_mut().expect("it is there").as_mut()).is_pending());
        fork_while(&work, |step| {
            step.report(1, server.connections() == 0);
            step.report(2, ends(server.serve(&listener, |_| hello())));
            let mut inherited = serving.take().expect("the parent has it");
            let served = poll_once(inherited.as_mut());
            step.report(3, matches!(served, Poll::Ready(result) if is_gone(&result)));
            drop(inherited);
            step.report(4, true);
            let end = server.serve_connection(near.clone(), hello()).now_or_never();
            step.report(5, matches!(end, Some(End::Failed(error)) if error.is::<io::Error>()));
            let mut inherited = connection.take().expect("the parent has it");
            let end = poll_once(inherited.as_mut());
            step.report(6, matches!(end, Poll::Ready(End::Closed)));
            drop(inherited);
            step.report(7, true);
            server.shutdown();
            ending.close();
            step.report(8, server.finished().now_or_never().is_some());
        });
    });
}

/// The first tasks of netpoll-smol's global executor are spawned on other threads, and it is being made.
#[test]
fn a_child_of_threads_that_spawn_for_the_first_time() {
    // Each attempt has a process of its own, as there is one global executor in each.
    alone("fork_storm::a_child_of_threads_that_spawn_for_the_first_time", || {
        // The reactor is there, and forks are counted.
        let _counting = Reactor::global().expect("a reactor");
        for attempt in 0..200 {
            in_a_child_with_steps(|step| {
                let begin = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        while !begin.load(Ordering::Relaxed) {
                            std::hint::spin_loop();
                        }
                        netpoll_smol::spawn(async {}).detach();
                    });
                    begin.store(true, Ordering::Relaxed);
                    // Each attempt forks a little later.
                    (0..attempt * 50).for_each(|_| std::hint::spin_loop());
                    in_a_child_with_steps(|step| {
                        netpoll_smol::spawn(async {}).detach();
                        step.report(1, true);
                    });
                });
                step.report(1, true);
            });
        }
    });
}

/// A child has none of the threads that run the parent's tasks, and runs its own.
#[test]
fn a_child_runs_the_tasks_that_it_spawns() {
    alone("fork_storm::a_child_runs_the_tasks_that_it_spawns", || {
        assert_eq!(block_on(netpoll_smol::spawn(async { 1 })), 1);
        in_a_child_with_steps(|step| {
            step.report(1, block_on(netpoll_smol::spawn(async { 2 })) == 2);
            in_a_child_with_steps(|step| {
                step.report(1, block_on(netpoll_smol::spawn(async { 3 })) == 3);
            });
        });
        assert_eq!(block_on(netpoll_smol::spawn(async { 4 })), 4);
    });
}

/// An `AsyncFd` of netpoll-tokio, on which several tasks wait for urgent data and errors, and clear them.
#[test]
fn a_child_of_threads_that_wait_for_flags() {
    alone("fork_storm::a_child_of_threads_that_wait_for_flags", || {
        let (near, _far) = StdUnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("an option");
        let socket = Arc::new(AsyncFd::new(near).expect("a registration"));
        let flags = TokioInterest::PRIORITY | TokioInterest::ERROR;
        let waits = {
            let socket = socket.clone();
            move || {
                let _ = socket.ready(flags).now_or_never();
                let _ = socket.try_io(flags, |_| Ok(()));
            }
        };
        let work: Vec<Box<dyn Fn() + Send + Sync>> =
            vec![Box::new(waits.clone()), Box::new(waits.clone()), Box::new(waits)];
        fork_while(&work, |step| {
            step.report(1, ends(socket.ready(flags)));
            step.report(2, is_gone(&socket.try_io(flags, |_| Ok(()))));
        });
    });
}
