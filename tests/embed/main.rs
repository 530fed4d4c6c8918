//! A reactor embedded in the loops of others: each loop serves sockets, deadlines and notifications by the descriptor
//! alone, and makes no turn while nothing is due.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::future::{join, join_all};
use netpoll::{Direction, Interest, Reactor, Registration, Timer, Transfer, is_deadline_exceeded};
use netpoll_tests::fixtures::os::{is_ready, thread_id, wait_for, wait_until_parked};
use netpoll_tests::fixtures::tcp::connection;
use netpoll_tests::loops::{LOOPS, Loop, Tasks};
use netpoll_tests::watched;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn embedded() -> Reactor {
    Reactor::builder().embedded().build().expect("a reactor")
}

/// Runs a test under each loop.
fn under_each(test: fn(Loop)) {
    for (name, run) in LOOPS {
        println!("{name}");
        watched(move || test(*run));
    }
}

/// Runs tasks in a loop to their end.
fn run_in<F: Future + 'static>(run: Loop, reactor: &Reactor, tasks: F) -> F::Output
where
    F::Output: 'static,
{
    let output = Rc::new(RefCell::new(None));
    let result = output.clone();
    let tasks = Tasks::new(reactor, async move { *result.borrow_mut() = Some(tasks.await) });
    run(reactor, tasks).expect("the reactor lives");
    output.take().expect("the tasks are done")
}

fn registered(reactor: &Reactor) -> (Registration<TcpStream>, TcpStream) {
    let (near, far) = connection();
    far.set_nonblocking(false).expect("an option");
    (Registration::with(reactor, near, Interest::Both).expect("a registration"), far)
}

async fn write(near: &Registration<TcpStream>, bytes: &[u8]) -> io::Result<usize> {
    near.io(Transfer(Direction::Write, bytes.len()), |mut near| near.write(bytes)).await
}

async fn read(near: &Registration<TcpStream>, buffer: &mut [u8]) -> io::Result<usize> {
    near.io(Transfer(Direction::Read, buffer.len()), |mut near| near.read(buffer)).await
}

#[test]
fn echoes() {
    under_each(|run| {
        let reactor = embedded();
        let (near, mut far) = registered(&reactor);
        let client = thread::spawn(move || {
            for byte in 0..200 {
                far.write_all(&[byte]).expect("room");
                let mut back = [0];
                far.read_exact(&mut back).expect("an echo");
                assert_eq!(back, [byte]);
            }
        });
        let echoed = run_in(run, &reactor, async move {
            let (mut echoed, mut buffer) = (0, [0; 64]);
            loop {
                match read(&near, &mut buffer).await.expect("open") {
                    0 => return echoed,
                    count => assert_eq!(write(&near, &buffer[..count]).await.expect("room"), count),
                }
                echoed += 1;
            }
        });
        client.join().expect("echoes");
        assert_eq!(echoed, 200);
    });
}

/// Another thread sets a deadline, and then an earlier one, while the loop sleeps.
#[test]
fn a_deadline_of_another_thread() {
    under_each(|run| {
        let reactor = embedded();
        let (near, _far) = registered(&reactor);
        let near = std::sync::Arc::new(near);
        let (here, setter) = (near.clone(), thread_id());
        let set = thread::spawn(move || {
            wait_until_parked(setter);
            here.set_read_deadline(HOUR).expect("open");
            wait_until_parked(setter);
            let at = Instant::now() + 5 * MS;
            here.set_read_deadline(at).expect("open");
            at
        });
        let error = run_in(run, &reactor, async move { read(&near, &mut [0]).await });
        let now = Instant::now();
        assert!(is_deadline_exceeded(&error.expect_err("no byte comes")));
        assert!(set.join().expect("no panic") <= now, "it is not early");
    });
}

/// Each timer fires, and none early.
#[test]
fn timers() {
    under_each(|run| {
        let reactor = embedded();
        let began = Instant::now();
        let fire = [3, 1, 20, 2, 1].map(|ms| {
            let timer = Timer::at(&reactor, began + ms * MS).expect("a timer");
            async move {
                timer.await.expect("it fires");
                assert!(began.elapsed() >= ms * MS);
            }
        });
        run_in(run, &reactor, join_all(fire));
    });
}

/// A task that waits for no descriptor is woken by another thread.
#[test]
fn a_notification() {
    under_each(|run| {
        let reactor = embedded();
        let (sender, receiver) = oneshot::channel();
        let asleep = thread_id();
        let other = thread::spawn(move || {
            wait_until_parked(asleep);
            sender.send(7).expect("it waits");
        });
        assert_eq!(run_in(run, &reactor, receiver), Ok(7));
        other.join().expect("no panic");
    });
}

/// More events and deadlines than a turn takes: the descriptor stays readable, and a loop that watches by edges is
/// told again.
#[test]
fn more_than_a_turn_takes() {
    under_each(|run| {
        let reactor = embedded();
        let pairs: Vec<_> = (0..600).map(|_| registered(&reactor)).collect();
        let timers: Vec<_> = (0..5000)
            .map(|_| Timer::at(&reactor, Instant::now() + 5 * MS).expect("a timer"))
            .collect();
        let (near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let writer = thread::spawn(move || {
            far.iter().for_each(|mut far| far.write_all(b"x").expect("room"));
            far
        });
        run_in(run, &reactor, async move {
            let reads = join_all(near.iter().map(async |near| read(near, &mut [0]).await));
            let (read, fired) = join(reads, join_all(timers)).await;
            assert!(read.iter().all(|read| matches!(read, Ok(1))));
            assert!(fired.iter().all(Result::is_ok));
        });
        writer.join().expect("room");
    });
}

/// A loop that waits makes no turn, whether it waits for an event or for a far deadline; a deadline that is moved later
/// or cleared causes none, and an equal one neither.
#[test]
fn an_idle_loop_makes_no_turn() {
    under_each(|run| {
        let reactor = embedded();
        let (near, mut far) = registered(&reactor);
        let (other, _other_far) = registered(&reactor);
        let near = std::sync::Arc::new(near);
        let (setting, counting, asleep) = (near.clone(), reactor.clone(), thread_id());
        let watcher = thread::spawn(move || {
            let at = Instant::now() + HOUR;
            wait_until_parked(asleep);
            setting.set_read_deadline(at).expect("open");
            // The turn for it has ended when the descriptor is silent again and the alarm is set.
            while is_readable(&counting) || counting.next_deadline().is_none_or(|next| next < at) {
                thread::yield_now();
            }
            wait_until_parked(asleep);
            let turns = counting.metrics().turns;
            for step in 0..100 {
                setting.set_read_deadline(at + step * MS).expect("open");
                other.set_read_deadline(at).expect("open");
                setting.set_read_deadline(None).expect("open");
                wait_until_parked(asleep);
            }
            assert_eq!(counting.metrics().turns, turns);
            far.write_all(b"x").expect("room");
            far
        });
        let count = run_in(run, &reactor, async move { read(&near, &mut [0]).await });
        assert_eq!(count.expect("a byte"), 1);
        watcher.join().expect("it has made none");
    });
}

/// After a shutdown by another thread the tasks fail, and the loop learns of it.
#[test]
fn a_shutdown() {
    under_each(|run| {
        let reactor = embedded();
        let (near, _far) = registered(&reactor);
        let (ending, asleep) = (reactor.clone(), thread_id());
        let other = thread::spawn(move || {
            wait_until_parked(asleep);
            ending.shutdown();
        });
        let (told, result): (Sender<_>, Receiver<io::Result<usize>>) = channel();
        let tasks = async move {
            told.send(read(&near, &mut [0]).await).expect("the test waits");
            // The tasks are not done: the loop ends by the error of the turn.
            poll_fn(|_| std::task::Poll::<()>::Pending).await;
        };
        let gone = |error: &io::Error| {
            error
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<netpoll::ReactorGone>)
        };
        let ended = run(&reactor, Tasks::new(&reactor, tasks)).expect_err("it is gone");
        assert!(format!("{ended}").contains("reactor"), "{ended}");
        assert!(gone(&result.recv().expect("a result").expect_err("it is gone")));
        other.join().expect("no panic");
    });
}

fn is_readable(reactor: &Reactor) -> bool {
    is_ready(&reactor.as_fd(), libc::POLLIN)
}

/// A turn wakes a part of the tasks of many deadlines, so that a task that an event wakes does not wait for all. The descriptor
/// is readable until the last of them has expired.
#[test]
fn many_deadlines_of_one_time_take_several_turns() {
    watched(|| {
        const TIMERS: u64 = 1000;
        let reactor = Reactor::builder().embedded().manual_clock().build().expect("a reactor");
        let turn = || reactor.turn(Some(Duration::ZERO)).expect("a turn");
        let at = reactor.now() + MS;
        let timer = |_| Timer::at(&reactor, at).expect("a timer");
        let timers: Vec<Timer> = (0..TIMERS).map(timer).collect();
        for timer in &timers {
            let mut cx = std::task::Context::from_waker(Waker::noop());
            assert!(timer.poll_fired(&mut cx).is_pending());
        }
        turn();
        assert!(!is_readable(&reactor), "they are to come");
        reactor.advance(2 * MS);
        let mut expired = 0;
        while is_readable(&reactor) {
            turn();
            let before = std::mem::replace(&mut expired, reactor.metrics().expiries);
            assert!(expired - before <= 128, "{expired} after {before}");
        }
        assert_eq!(expired, TIMERS);
    });
}

/// The descriptor itself, step by step.
#[test]
fn the_descriptor_is_readable_when_a_turn_has_something_to_do() {
    watched(|| {
        let reactor = embedded();
        let turn = || reactor.turn(Some(Duration::ZERO)).expect("a turn");
        assert!(!is_readable(&reactor), "nothing has come yet");
        assert_eq!(reactor.next_deadline(), None);

        let (near, mut far) = registered(&reactor);
        turn();
        assert!(!is_readable(&reactor), "the first event has been taken");
        far.write_all(b"x").expect("room");
        assert!(is_readable(&reactor));
        turn();
        assert!(!is_readable(&reactor), "though the byte has not been read");

        let at = Instant::now() + HOUR;
        near.set_read_deadline(at).expect("open");
        assert!(is_readable(&reactor), "the alarm is to be set");
        turn();
        assert!(!is_readable(&reactor));
        let next = reactor.next_deadline().expect("one");
        assert!(next >= at && next <= at + MS, "by ticks of the wheel");
        near.set_read_deadline(2 * HOUR).expect("open");
        assert!(!is_readable(&reactor), "a later one waits for the alarm");

        let timer = Timer::at(&reactor, Instant::now() + MS).expect("a timer");
        turn();
        wait_for(&reactor, libc::POLLIN);
        assert!(reactor.next_deadline().expect("one") <= Instant::now());
        turn();
        assert!(timer.poll_fired(&mut std::task::Context::from_waker(Waker::noop())).is_ready());
        assert!(!is_readable(&reactor));
        assert!(reactor.next_deadline().expect("one") > Instant::now() + HOUR / 2);

        reactor.notify();
        reactor.notify();
        assert!(is_readable(&reactor));
        turn();
        assert!(!is_readable(&reactor));
        reactor.shutdown();
        assert!(is_readable(&reactor));
        assert!(reactor.turn(Some(Duration::ZERO)).is_err());
        assert!(Reactor::global().expect("one").next_deadline().is_none(), "it has a thread");
    });
}
