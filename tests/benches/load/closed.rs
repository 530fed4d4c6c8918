//! A closed loop: the next request of a connection is sent as soon as the last was answered.

use std::io;
use std::time::Instant;

use super::connection::Connection;
use super::meter::{Meter, Reading};
use super::source::Source;
use super::{Plan, SILENCE};
use crate::measure::epoll::BareEpoll;

/// All connections are kept.
pub(super) fn run(plan: &Plan) -> io::Result<Reading> {
    let mut epoll = BareEpoll::new()?;
    let connect = |number| Connection::new(plan, &epoll, number, Source::default());
    let mut connections = (0..plan.connections).map(connect).collect::<io::Result<Vec<_>>>()?;
    let mut meter = Meter::start(plan);
    for connection in &mut connections {
        connection.ask(Instant::now())?;
    }
    while !meter.is_over(Instant::now())? {
        let mut heard = false;
        for number in epoll.wait(SILENCE)? {
            heard = true;
            let mut again = false;
            let connection = &mut connections[number];
            connection.receive(|asked| {
                again = true;
                meter.answered(asked, Instant::now());
            })?;
            if again {
                connection.ask(Instant::now())?;
            }
        }
        complain_unless(heard)?;
    }
    meter.read()
}

/// A connection is made for each request, and closed when it is answered.
pub(super) fn churn(plan: &Plan) -> io::Result<Reading> {
    let mut epoll = BareEpoll::new()?;
    let mut sources = Source::all().cycle();
    let mut next = || sources.next().expect("it goes round");
    let mut places = Vec::new();
    let mut meter = Meter::start(plan);
    for number in 0..plan.connections {
        places.push(ask_once(plan, &epoll, number, next())?);
    }
    while !meter.is_over(Instant::now())? {
        let numbers: Vec<usize> = epoll.wait(SILENCE)?.collect();
        complain_unless(!numbers.is_empty())?;
        for number in numbers {
            let mut asked = None;
            places[number].receive(|at| asked = Some(at))?;
            if let Some(asked) = asked {
                meter.answered(asked, Instant::now());
                places[number] = ask_once(plan, &epoll, number, next())?;
            }
        }
    }
    meter.read()
}

/// The time begins before the connection.
fn ask_once(
    plan: &Plan,
    epoll: &BareEpoll,
    number: usize,
    source: Source,
) -> io::Result<Connection> {
    let began = Instant::now();
    let mut connection = Connection::new(plan, epoll, number, source)?;
    connection.ask(began)?;
    Ok(connection)
}

fn complain_unless(heard: bool) -> io::Result<()> {
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the server is silent");
    heard.then_some(()).ok_or_else(silent)
}
