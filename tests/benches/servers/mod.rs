//! The servers, each a process of its own, as its users would write it. They count nothing, and run
//! until they are ended.

pub(crate) mod echo;
mod executors;
pub(crate) mod go;
pub(crate) mod hello;
mod minimal;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;

use crate::args::Args;
use crate::measure::sys;

/// A server, under the name by which it is known on the command line and in the record.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    serve: fn(TcpListener, Deadlines) -> io::Result<()>,
}

/// Whether every read and every write is to be done within 30 seconds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadlines {
    None,
    Each,
}

/// All servers of a kind, those in hiding included.
fn servers(args: &Args) -> Vec<&'static Server> {
    if args.flag("--http") {
        hello::SERVERS.iter().collect()
    } else {
        echo::SERVERS.iter().chain(&echo::ON_TWO_THREADS).chain(&echo::APART).collect()
    }
}

/// The server: prints its port and its process, and serves.
pub(crate) fn run(args: &Args) {
    sys::end_with_parent().expect("a process may ask for a signal");
    if let Some(processor) = args.word("--processor") {
        sys::pin(processor.parse().expect("--processor takes a number")).expect("there is one");
    }
    let name = args.operand();
    let deadlines = if args.flag("--deadlines") { Deadlines::Each } else { Deadlines::None };
    if name == go::NAME {
        let error = go::become_it(deadlines);
        panic!("{}: {error}", go::NAME);
    }
    let server = servers(args).into_iter().find(|server| server.name == name).expect("a server");
    let listener = listen().expect("a free port");
    (server.serve)(listener, deadlines).expect("all connections are accepted");
}

/// A listener that does not block, with a queue as long as may be.
fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // Once more, for a longer queue: a connect that does not fit into it is tried again after a second.
    netpoll_futures::sys::listen(listener.as_fd())?;
    listener.set_nonblocking(true)?;
    // The connections of every server inherit it, and netpoll makes no call for each of them.
    netpoll_futures::sys::set_nodelay(listener.as_fd(), true)?;
    println!("{} {}", listener.local_addr()?.port(), std::process::id());
    Ok(listener)
}
