//! A thread that says when to set the next deadline.
//!
//! A task that sets its next deadline as soon as it has noticed the last one does so always at the
//! same place between two ticks of the wheel that has woken it, and sees always the same lateness.
//! In a program a socket or another task causes a deadline to be set, at any time.

use std::thread;
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// So many ticks, at random: independent of one another, and on average one in each `interval`.
pub(super) fn ticks(count: usize, interval: Duration) -> UnboundedReceiver<()> {
    let (tick, ticks) = unbounded();
    let mut random = SmallRng::seed_from_u64(count as u64);
    thread::spawn(move || {
        let mut next = Instant::now();
        for _ in 0..count {
            next += interval.mul_f64(-(1.0 - random.random::<f64>()).ln());
            thread::sleep(next.saturating_duration_since(Instant::now()));
            tick.unbounded_send(()).expect("the receiver lives");
        }
    });
    ticks
}
