//! The other ends: a loop over a bare epoll instance, on one thread of a process of its own.
//!
//! It also measures: every process may read how much processor time another has had, so that
//! the servers count nothing, and all of them are measured alike, whatever they are written in.

mod closed;
mod connection;
mod exchange;
mod meter;
mod paced;
mod quic;
mod source;
mod tls;

use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;

use crate::args::Args;
use crate::measure::sys;

pub(crate) use exchange::Exchange;
pub(crate) use meter::Reading;

/// How long a server may be silent before that is a failure, in milliseconds.
const SILENCE: i32 = 10_000;

/// The request that a server gets, and at which rate.
struct Plan {
    port: u16,
    /// The process that is measured.
    server: u32,
    exchange: Exchange,
    connections: usize,
    warm_up: Duration,
    counted: Duration,
    /// So many answers are enough, if they are there earlier.
    requests: usize,
}

impl Plan {
    fn of(args: &Args) -> Self {
        let millis = |name, usual| Duration::from_millis(args.number(name, usual) as u64);
        Self {
            port: args.port(),
            server: args.number("--server", std::process::id() as usize) as u32,
            exchange: Exchange::of(args),
            connections: args.number("--connections", 1),
            warm_up: millis("--warm-up", 100),
            counted: millis("--for", 400),
            requests: args.number("--requests", usize::MAX),
        }
    }
}

/// The load: prints its measurement, or its error.
pub(crate) fn run(args: &Args) {
    match measure(args) {
        Ok(reading) => println!("{reading}"),
        Err(error) => println!("failed: {error}"),
    }
}

fn measure(args: &Args) -> io::Result<Reading> {
    sys::end_with_parent()?;
    if let Some(processor) = args.word("--processor") {
        sys::pin(processor.parse().expect("--processor takes a number"))?;
    }
    let plan = Plan::of(args);
    match args.number("--rate", 0) {
        _ if plan.exchange == Exchange::Tls => tls::run(&plan, args.flag("--churn")),
        _ if plan.exchange == Exchange::Quic => quic::run(&plan),
        0 if args.flag("--churn") => closed::churn(&plan),
        0 => closed::run(&plan),
        rate => paced::run(&plan, rate),
    }
}

/// The address of a server's Unix socket, which is in no file system.
pub(crate) fn local_name(server: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("netpoll-bench-{server}"))
}

/// Lets a long message be sent at once, on this socket or on those that a listener accepts.
pub(crate) fn room_for(socket: &impl AsFd, exchange: Exchange) -> io::Result<()> {
    match exchange {
        Exchange::Large => SockRef::from(socket).set_send_buffer_size(8 * exchange.message()),
        _ => Ok(()),
    }
}
