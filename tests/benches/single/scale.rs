//! How cost grows with the number of slots: timers, which are slots without descriptors, in a reactor
//! that is turned by hand and whose clock is moved by hand. So a million of them need no million
//! sockets, and a minute of theirs passes in an instant.

use std::iter::successors;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use netpoll::{Reactor, Timer};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::args::Args;
use crate::measure::epoll::BareEpoll;
use crate::measure::procfs::resident_bytes;
use crate::measure::table::Table;

/// Deadlines lie anywhere in the first half of it, and are moved into the second.
const SPAN: Duration = Duration::from_secs(60);

/// The cost of one number of slots, each.
pub(crate) struct Cost {
    slots: usize,
    bytes: f64,
    make_ns: f64,
    arm_ns: f64,
    file_ns: f64,
    move_ns: f64,
    refile_ns: f64,
    fire_ns: f64,
}

pub(crate) fn run(args: &Args) {
    let most = args.number("--slots", 1_000_000);
    let numbers = successors(Some(most), |slots| Some(slots / 10).filter(|fewer| *fewer > 0));
    let mut numbers: Vec<usize> = numbers.take(4).collect();
    numbers.reverse();
    let head = ["slots", "bytes", "make", "arm", "file", "move away", "file again", "fire"];
    let mut table = Table::new(&head);
    for slots in numbers {
        eprintln!("{slots} slots");
        let cost = measure(slots);
        let ns =
            [cost.make_ns, cost.arm_ns, cost.file_ns, cost.move_ns, cost.refile_ns, cost.fire_ns];
        let mut row = vec![cost.slots.to_string(), format!("{:.0}", cost.bytes)];
        row.extend(ns.iter().map(|ns| format!("{ns:.1}")));
        table.row(row);
    }
    println!("Of each slot: bytes of memory, and nanoseconds.");
    println!();
    table.print();
}

/// Also checks that each fires once, and none of those that were moved.
pub(crate) fn measure(slots: usize) -> Cost {
    let reactor = Reactor::builder().embedded().manual_clock().build().expect("a reactor");
    let each = |began: Instant| began.elapsed().as_nanos() as f64 / slots as f64;
    let mut timers = Vec::with_capacity(slots);
    // The table of the timers themselves is their owner's.
    timers.extend((0..slots).map(|_| None));
    let before = resident_bytes();

    let began = Instant::now();
    for place in &mut timers {
        *place = Some(Timer::never(&reactor).expect("a slot"));
    }
    let make_ns = each(began);
    let timers: Vec<Timer> = timers.into_iter().flatten().collect();

    let start = reactor.now();
    let mut random = SmallRng::seed_from_u64(7);
    let mut within = |from: Duration| start + from + random.random_range(Duration::ZERO..SPAN / 2);
    let sooner: Vec<_> = timers.iter().map(|_| within(Duration::from_secs(1))).collect();
    let later: Vec<_> = timers.iter().map(|_| within(SPAN / 2)).collect();

    let arm_ns = set(&timers, &sooner, each);
    let file_ns = turn(&reactor, each);
    let bytes = (resident_bytes() - before) as f64 / slots as f64;
    let move_ns = set(&timers, &later, each);
    let mut timers: Vec<_> = timers.into_iter().map(Box::pin).collect();
    timers.iter_mut().for_each(|timer| wait(timer.as_mut()));

    // Every old time passes, and no new one.
    reactor.advance(SPAN / 2 - Duration::from_millis(1));
    let refile_ns = turn(&reactor, each);
    assert_eq!(reactor.metrics().expiries, 0, "they were moved in time");
    reactor.advance(SPAN);
    let fire_ns = turn(&reactor, each);
    assert_eq!(reactor.metrics().expiries, slots as u64, "each fires once");
    Cost { slots, bytes, make_ns, arm_ns, file_ns, move_ns, refile_ns, fire_ns }
}

fn set(timers: &[Timer], times: &[Instant], each: impl Fn(Instant) -> f64) -> f64 {
    let began = Instant::now();
    for (timer, at) in timers.iter().zip(times) {
        timer.set(Some(*at));
    }
    each(began)
}

/// Turns until the reactor has nothing to do. A turn takes a part of many slots, and its descriptor stays readable then.
fn turn(reactor: &Reactor, each: impl Fn(Instant) -> f64) -> f64 {
    let mut watching = BareEpoll::new().expect("an epoll instance");
    watching.add(reactor, 0).expect("a loop can watch it");
    let began = Instant::now();
    loop {
        reactor.turn(Some(Duration::ZERO)).expect("a turn");
        if watching.wait(0).expect("it is watched").count() == 0 {
            return each(began);
        }
    }
}

fn wait(timer: Pin<&mut Timer>) {
    let polled = timer.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "its time has not come");
}
