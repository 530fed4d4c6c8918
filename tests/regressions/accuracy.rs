//! How exact deadlines are: as much of it as is true on a machine however busy.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use libc::{EACCES, EBADF, EINTR, EINVAL, ENOSYS, ENOTTY, EPERM, SYS_epoll_pwait2};
use netpoll::{Direction, Reactor, Registration, Timer, is_deadline_exceeded};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::filter::{epoll_pwait2, refuse};
use netpoll_tests::{CountingWaker, watched};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::fixtures::{LOOK, by_hand, by_hand_with_clock, registered, settled};

const MICROSECOND: Duration = Duration::from_micros(1);
const MS: Duration = Duration::from_millis(1);

/// The wheel's tick, in nanoseconds.
const TICK: u64 = 1 << 16;

/// The setters of deadlines, each sets one after another, all at once.
const TIMERS: u64 = 150;
const SOCKETS: u64 = 50;

/// The deadlines that one of them sets.
type Delays = fn(u64) -> Vec<Duration>;

/// From 50 microseconds to 10 milliseconds, each magnitude as often as any other.
fn of_all_magnitudes(seed: u64) -> Vec<Duration> {
    let mut random = SmallRng::seed_from_u64(seed);
    (0..25).map(|_| (50 * MICROSECOND).mul_f64(200_f64.powf(random.random()))).collect()
}

/// Times that a wait in whole milliseconds cannot tell apart, or must round.
fn fractions(_: u64) -> Vec<Duration> {
    [100 * MICROSECOND, MS, 2500 * MICROSECOND].repeat(3)
}

fn assert_not_early(at: Instant, delay: Duration) {
    let early = at.saturating_duration_since(Instant::now());
    assert!(early.is_zero(), "{delay:?}: early by {early:?}");
}

async fn fire_timer(timer: &Timer, delays: Vec<Duration>, fired: &Cell<usize>) {
    for delay in delays {
        let at = Instant::now() + delay;
        timer.set(Some(at));
        poll_fn(|cx| timer.poll_fired(cx)).await.expect("a reactor");
        assert_not_early(at, delay);
        fired.set(fired.get() + 1);
    }
}

async fn fire_deadline(
    (near, _far): (Registration<TcpStream>, TcpStream),
    delays: Vec<Duration>,
    fired: &Cell<usize>,
) {
    for delay in delays {
        let at = Instant::now() + delay;
        near.set_read_deadline(Some(at)).expect("open");
        let error = near.ready(Direction::Read).await.expect_err("nothing comes");
        assert!(is_deadline_exceeded(&error), "{error}");
        assert_not_early(at, delay);
        fired.set(fired.get() + 1);
    }
}

/// Has all of them fire. A deadline that does not is a hang. `drive` runs the pool until it is told
/// that all is done.
fn fire_all(
    reactor: &Reactor,
    delays: Delays,
    drive: impl FnOnce(&mut LocalPool, &dyn Fn() -> bool),
) {
    let mut pool = LocalPool::new();
    let fired = Rc::new(Cell::new(0));
    let mut expected = 0;
    for number in 0..TIMERS + SOCKETS {
        let (reactor, delays, fired) = (reactor.clone(), delays(number), fired.clone());
        expected += delays.len();
        let task = async move {
            if number < TIMERS {
                let timer = Timer::never(&reactor).expect("a timer");
                fire_timer(&timer, delays, &fired).await;
            } else {
                fire_deadline(registered(&reactor), delays, &fired).await;
            }
        };
        pool.spawner().spawn_local(task).expect("the pool lives");
    }
    drive(&mut pool, &|| fired.get() == expected);
    assert_eq!(fired.get(), expected);
}

fn fire_all_with_a_thread(delays: Delays) {
    let reactor = Reactor::builder().build().expect("a reactor");
    fire_all(&reactor, delays, |pool, _| pool.run());
    reactor.shutdown();
}

/// Whenever all tasks wait, so does the reactor: until a deadline, as there is nothing else.
fn fire_all_by_hand(delays: Delays) {
    let reactor = by_hand();
    fire_all(&reactor, delays, |pool, is_done| {
        pool.run_until_stalled();
        while !is_done() {
            reactor.turn(None).expect("a turn");
            pool.run_until_stalled();
        }
    });
}

/// golang/go#53824 on the system's clock: a timer that rounds down, or trusts a clock that is coarse, is early
/// now and then. Thousands, many at once: none is early by a nanosecond, and none is forgotten.
#[test]
fn thousands_and_none_early() {
    watched(|| fire_all_with_a_thread(of_all_magnitudes));
}

/// The same without a thread: a caller that waits in `turn` is woken for each.
#[test]
fn thousands_and_none_early_by_hand() {
    watched(|| fire_all_by_hand(of_all_magnitudes));
}

/// A task that waits for a time, on a clock that is moved by hand.
struct Waiting {
    at_ns: u64,
    waker: Arc<CountingWaker>,
    task: Pin<Box<dyn Future<Output = ()>>>,
}

impl Waiting {
    fn new(at_ns: u64, task: impl Future<Output = ()> + 'static) -> Self {
        let mut waiting = Self { at_ns, waker: CountingWaker::new(), task: Box::pin(task) };
        assert!(!waiting.is_over());
        waiting
    }

    fn on_a_timer(reactor: &Reactor, began: Instant, at_ns: u64) -> Self {
        let timer = Timer::at(reactor, began + Duration::from_nanos(at_ns)).expect("a timer");
        Self::new(at_ns, async { timer.await.expect("a reactor") })
    }

    fn on_a_socket(reactor: &Reactor, began: Instant, at_ns: u64) -> Self {
        let (near, far) = settled(reactor);
        near.set_read_deadline(Some(began + Duration::from_nanos(at_ns))).expect("open");
        Self::new(at_ns, async move {
            let error = near.ready(Direction::Read).await.expect_err("nothing comes");
            assert!(is_deadline_exceeded(&error), "{error}");
            drop(far);
        })
    }

    fn assert_in_time(&self, now: u64) {
        let Self { at_ns, waker, .. } = self;
        assert!(now >= *at_ns || waker.wakes() == 0, "{at_ns}: early, at {now}");
        assert!(now < due(*at_ns) || waker.wakes() == 1, "{at_ns}: late, at {now}");
    }

    fn is_over(&mut self) -> bool {
        self.waker.poll(self.task.as_mut()).is_ready()
    }
}

/// The start of the first tick at which `at_ns` has come: less than a tick later.
fn due(at_ns: u64) -> u64 {
    at_ns.next_multiple_of(TICK)
}

/// Moves the clock, and turns once.
fn turn_at(reactor: &Reactor, began: Instant, at_ns: u64) {
    reactor.advance(began + Duration::from_nanos(at_ns) - reactor.now());
    reactor.turn(LOOK).expect("a turn");
}

/// Timers and reads that wait for some time after `start_ns`, near and far alike.
fn some_of_both(reactor: &Reactor, began: Instant, start_ns: u64) -> Vec<Waiting> {
    let mut random = SmallRng::seed_from_u64(start_ns);
    let waiting = |number| {
        let below = 1_u64 << random.random_range(0..42);
        let at_ns = start_ns + random.random_range(1..=below);
        let new = if number < 90 { Waiting::on_a_timer } else { Waiting::on_a_socket };
        new(reactor, began, at_ns)
    };
    (0..120).map(waiting).collect()
}

/// golang/go#44343 for all that is in the wheel, near and far: each fires by the one turn that is
/// made when its tick begins, and by none that is made before its time, be it by a nanosecond.
#[test]
fn by_the_turn_of_its_tick() {
    watched(|| {
        for start in [0, 1, TICK - 1, TICK, 1_234_567_890] {
            let reactor = by_hand_with_clock();
            let began = reactor.now();
            turn_at(&reactor, began, start);
            let mut all = some_of_both(&reactor, began, start);
            reactor.turn(LOOK).expect("a turn");
            let times = all.iter().map(|one| one.at_ns);
            let times = times.flat_map(|at| [at - 1, at, due(at) - 1, due(at)]);
            for now in times.collect::<BTreeSet<_>>() {
                turn_at(&reactor, began, now);
                all.iter().for_each(|one| one.assert_in_time(now));
            }
            assert!(all.iter_mut().all(Waiting::is_over));
        }
    });
}

/// A deadline set since the last turn is not in the wheel yet, and knows no ticks: the first turn at
/// its time or later ends it.
#[test]
fn by_the_first_turn_after_it_was_set() {
    watched(|| {
        for wait in [1, 1000, TICK - 1, TICK, TICK + 1, 100_000, 10_000_000] {
            for (passed, wakes) in [(wait - 1, 0), (wait, 1)] {
                let reactor = by_hand_with_clock();
                let began = reactor.now();
                let start = 12_345;
                // A socket takes turns before it is ready.
                let new = [Waiting::on_a_socket, Waiting::on_a_timer];
                turn_at(&reactor, began, start);
                let all = new.map(|new| new(&reactor, began, start + wait));
                turn_at(&reactor, began, start + passed);
                for one in &all {
                    assert_eq!(one.waker.wakes(), wakes, "{wait} ns, after {passed} ns");
                }
            }
        }
    });
}

/// Whether one of many waits of 100 microseconds takes less than a millisecond. One is enough:
/// others may have the processor meanwhile.
fn is_fine(mut wait: impl FnMut(Duration) -> io::Result<()>) -> bool {
    (0..1000).any(|_| {
        let began = Instant::now();
        wait(100 * MICROSECOND).is_ok() && began.elapsed() < MS
    })
}

/// golang/go#44343 again: there, `epoll_wait` and its milliseconds made it. Where the kernel can
/// wait for less, so does the reactor.
#[test]
fn waits_for_less_than_a_millisecond() {
    watched(|| {
        let reactor = by_hand();
        assert!(!is_fine(epoll_pwait2) || is_fine(|wait| reactor.turn(Some(wait))));
    });
}

/// Waits for one timer that is this far away, on a reactor of this thread. Returns how late it fired,
/// and how many turns that took.
fn lateness(wait: Duration) -> (Duration, u64) {
    let reactor = by_hand();
    let at = Instant::now() + wait;
    let mut timer = pin!(Timer::at(&reactor, at).expect("a timer"));
    let waker = CountingWaker::new();
    while waker.poll(timer.as_mut()).is_pending() {
        reactor.turn(None).expect("a turn");
    }
    (at.elapsed(), reactor.metrics().turns)
}

/// The kernel widens a sleep of `epoll_wait` by a thousandth of its length (`select_estimate_accuracy` in
/// `fs/select.c`), whatever the slack of the thread: 5 seconds by 5 ms, in tokio 2.5. The reactor
/// wakes once before a far deadline, and sleeps again for the short rest.
///
/// The best of several is looked at: another program may have the processor when one fires. Where the
/// sleep is widened, all are late.
#[test]
fn a_far_deadline_is_not_late_by_a_thousandth() {
    watched(|| {
        let mut late = Vec::new();
        for _ in 0..3 {
            let threads = [5000 * MS; 4].map(|wait| std::thread::spawn(move || lateness(wait)));
            for (lateness, turns) in threads.map(|thread| thread.join().expect("a timer")) {
                // The setter's wake-up, the two parts of the sleep, and the alarm of an embedded reactor.
                assert!((1..=4).contains(&turns), "{turns} turns for one deadline");
                late.push(lateness);
            }
            if late.iter().any(|late| *late < 3 * MS) {
                return;
            }
        }
        panic!("each is late: {late:?}");
    });
}

/// Every wait that ends by itself is an `epoll_pwait2`, be it for a deadline or for the caller, and no
/// other wait is. Here each such call is interrupted at once, which ends its turn at once.
#[test]
fn asks_epoll_pwait2() {
    const HOUR: Duration = Duration::from_secs(3600);
    let body = || {
        let reactor = by_hand();
        reactor.turn(LOOK).expect("the first turn");
        refuse(&[SYS_epoll_pwait2], EINTR);
        reactor.turn(LOOK).expect("a look is no wait");
        reactor.notify();
        reactor.turn(None).expect("nor is this one");
        for _ in 0..3 {
            reactor.turn(Some(HOUR)).expect("an interrupted wait");
        }
        let _timer = Timer::at(&reactor, reactor.now() + HOUR).expect("a timer");
        for _ in 0..3 {
            reactor.turn(None).expect("an interrupted wait");
        }
    };
    alone("accuracy::asks_epoll_pwait2", body);
}

/// socketry/io-event#57: built where the kernel has `epoll_pwait2`, it failed where it has not, which
/// is before Linux 5.11.
#[test]
fn without_epoll_pwait2() {
    alone("accuracy::without_epoll_pwait2", || in_whole_milliseconds(&[ENOSYS]));
}

/// buytenh/ivykis#33 and opencontainers/runc#2151: sandboxes that do not know a call forbid it, and a
/// program that expects only `ENOSYS` fails there. The filter's author chooses the error: `EACCES` ended
/// the reactor, as any but `ENOSYS` and `EPERM` did. 4095 is the largest that a filter can choose, and
/// it has no name.
#[test]
fn where_epoll_pwait2_is_forbidden() {
    let body = || in_whole_milliseconds(&[EPERM, EACCES, EINVAL, EBADF, ENOTTY, 4095]);
    alone("accuracy::where_epoll_pwait2_is_forbidden", body);
}

/// A deadline still fires, and is not early; waits are rounded up. Rounded down, a wait of less than
/// a millisecond would be none, and the reactor would turn and turn until it is over.
///
/// A filter is for good. So each error has a thread of its own, and the threads which that one starts.
fn in_whole_milliseconds(errors: &'static [i32]) {
    for &errno in errors {
        let thread = std::thread::spawn(move || in_whole_milliseconds_for(errno));
        assert!(thread.join().is_ok(), "failed where the call fails with {errno}");
    }
}

fn in_whole_milliseconds_for(errno: i32) {
    refuse(&[SYS_epoll_pwait2], errno);
    let failed = epoll_pwait2(MS).expect_err("it is forbidden");
    assert_eq!(failed.raw_os_error(), Some(errno));
    fire_all_with_a_thread(fractions);
    fire_all_by_hand(fractions);

    let reactor = by_hand();
    for (wait, at_least) in [(100 * MICROSECOND, MS), (MS, MS), (2500 * MICROSECOND, 3 * MS)] {
        let began = Instant::now();
        reactor.turn(Some(wait)).expect("a turn");
        assert!(began.elapsed() >= at_least, "{wait:?} took {:?}", began.elapsed());

        let timer = Timer::at(&reactor, Instant::now() + wait).expect("a timer");
        let mut timer = pin!(timer);
        let turns = reactor.metrics().turns;
        while CountingWaker::new().poll(timer.as_mut()).is_pending() {
            reactor.turn(None).expect("a turn");
        }
        let turns = reactor.metrics().turns - turns;
        assert!(turns <= 2, "{wait:?} takes one turn, after the one that finds the deadline");
    }
}
