//! The servers, each a process of its own, as its users would write it. They count nothing, and run
//! until they are ended.

mod axum;
pub(crate) mod echo;
mod executors;
pub(crate) mod go;
pub(crate) mod hello;
mod minimal;
pub(crate) mod quic;
pub(crate) mod tls;
mod udp;
mod unix;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use socket2::{Domain, Socket, Type};

use crate::args::Args;
use crate::load::{Exchange, local_name, room_for};
use crate::measure::sys;

/// A server, under the name by which it is known on the command line and in the record.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    serve: fn(OwnedFd, Work) -> io::Result<()>,
}

/// The work of an echo server.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    deadlines: Deadlines,
    /// The bytes of a buffer, of which there are more than of a message: a short read says that there is no more.
    buffer: usize,
}

/// Whether every read and every write is to be done within 30 seconds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadlines {
    None,
    Each,
}

/// The servers of an exchange, to be compared with the first of them.
pub(crate) fn servers_of(exchange: Exchange) -> &'static [Server] {
    match exchange {
        Exchange::Echo | Exchange::Large => &echo::SERVERS,
        Exchange::Unix => &unix::SERVERS,
        Exchange::Udp => &udp::SERVERS,
        Exchange::Http => &hello::SERVERS,
        Exchange::Axum => &axum::SERVERS,
        Exchange::Tls => &tls::SERVERS,
        Exchange::Quic => &quic::SERVERS,
    }
}

/// The server: prints its port and its process, and serves.
pub(crate) fn run(args: &Args) {
    sys::end_with_parent().expect("a process may ask for a signal");
    if let Some(processor) = args.word("--processor") {
        sys::pin(processor.parse().expect("--processor takes a number")).expect("there is one");
    }
    let name = args.operand();
    let exchange = Exchange::of(args);
    let deadlines = if args.flag("--deadlines") { Deadlines::Each } else { Deadlines::None };
    let work = Work { deadlines, buffer: (2 * exchange.message()).max(1024) };
    if name == go::NAME {
        let error = go::become_it(work);
        panic!("{}: {error}", go::NAME);
    }
    let mut servers = servers_of(exchange).iter().chain(&echo::ON_TWO_THREADS).chain(&echo::APART);
    let server = servers.find(|server| server.name == name).expect("a server");
    let (socket, port) = bind(exchange).expect("a free port");
    // That server first makes its second listener: the connections that came before would all go to the first one.
    if name != echo::OF_TWO_LISTENERS {
        announce(port);
    }
    (server.serve)(socket, work).expect("all connections are accepted");
}

/// A socket that does not block, and its port, or 0.
fn bind(exchange: Exchange) -> io::Result<(OwnedFd, u16)> {
    let (socket, port): (OwnedFd, u16) = match exchange {
        Exchange::Unix => {
            let listener = UnixListener::bind_addr(&local_name(std::process::id())?)?;
            listener.set_nonblocking(true)?;
            (listener.into(), 0)
        }
        Exchange::Udp | Exchange::Quic => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            let port = socket.local_addr()?.port();
            (socket.into(), port)
        }
        _ => {
            let listener = listen()?;
            room_for(&listener, exchange)?;
            let port = listener.local_addr()?.port();
            (listener.into(), port)
        }
    };
    if matches!(exchange, Exchange::Tls | Exchange::Quic) {
        tls::make_certificate()?;
    }
    Ok((socket, port))
}

/// Prints the port and this process: clients may come.
fn announce(port: u16) {
    println!("{port} {}", std::process::id());
}

/// A listener that does not block, with a queue as long as may be. Its connections inherit `TCP_NODELAY`, and netpoll makes
/// no call for each of them.
fn listen() -> io::Result<TcpListener> {
    listen_at((Ipv4Addr::LOCALHOST, 0).into())
}

/// Another listener at the same address: the kernel spreads the connections over both.
fn listen_beside(listener: &TcpListener) -> io::Result<TcpListener> {
    listen_at(listener.local_addr()?)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    // The kernel takes the limit of the system for a larger number. A connect that does not fit into the queue is tried
    // again after a second.
    socket.listen(i32::MAX)?;
    Ok(socket.into())
}
