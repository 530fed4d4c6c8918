//! An open loop: requests are sent at their times, whether or not the last ones were answered.
//!
//! It does not sleep, as no sleep is as exact as this has to be: it needs a processor to itself,
//! and its own processor time is not reported.

use std::io;
use std::time::{Duration, Instant};

use super::Plan;
use super::connection::Connection;
use super::meter::{Meter, Reading};
use super::source::Source;
use crate::measure::epoll::BareEpoll;

/// So many requests in a second, of all connections in turn. A latency counts from when the request
/// was to be sent: one that is sent late is as late for its client.
pub(super) fn run(plan: &Plan, rate: usize) -> io::Result<Reading> {
    let mut epoll = BareEpoll::new()?;
    let connect = |number| Connection::new(plan, &epoll, number, Source::default());
    let mut connections = (0..plan.connections).map(connect).collect::<io::Result<Vec<_>>>()?;
    let interval = Duration::from_secs(1) / rate as u32;
    let mut turn = 0;
    let mut next = Instant::now();
    let mut meter = Meter::start(plan);
    loop {
        let now = Instant::now();
        if meter.is_over(now)? {
            return meter.read();
        }
        while next <= now && ask(&mut connections[turn], next)? {
            turn = (turn + 1) % connections.len();
            next += interval;
        }
        for number in epoll.wait(0)? {
            connections[number].receive(|asked| meter.answered(asked, Instant::now()))?;
        }
    }
}

/// Whether it was sent. If the server takes no more, it is sent later, and counts from its time.
fn ask(connection: &mut Connection, at: Instant) -> io::Result<bool> {
    match connection.ask(at) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        sent => sent.map(|()| true),
    }
}
