//! The other ends: blocking sockets of the standard library, in a process of their own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use crate::args::Args;

/// How long a message is.
pub(crate) const MESSAGE: usize = 64;

/// A listener for these clients, as a blocking socket of the standard library; prints its port.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // Once more, for a longer queue: a connect that does not fit into it is tried again after a second.
    netpoll_futures::sys::listen(listener.as_fd())?;
    println!("{}", listener.local_addr()?.port());
    Ok(listener)
}

/// Echoes over one or more connections: in each round a message to each server, then its echo.
pub(crate) fn echo(args: &Args) {
    let connections = args.number("--connections", 1);
    exchange(args.port(), connections, args.number("--rounds", 10_000));
}

/// Connects, and holds the connections until our input ends.
pub(crate) fn idle(args: &Args) {
    let streams = connect(args.port(), args.number("--connections", 1));
    io::copy(&mut io::stdin(), &mut io::sink()).expect("the parent holds a pipe to us");
    drop(streams);
}

/// Sends every connection a message of its own in each round, and checks that it comes back.
pub(crate) fn exchange(port: u16, connections: usize, rounds: usize) {
    let mut streams = connect(port, connections);
    for round in 0..rounds {
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&message(round, number)).expect("the server takes a message");
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let mut echo = [0; MESSAGE];
            stream.read_exact(&mut echo).expect("the server answers");
            assert_eq!(echo, message(round, number), "round {round}, connection {number}");
        }
    }
}

fn connect(port: u16, connections: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
    };
    (0..connections).map(connect).collect()
}

/// A message that no other round and no other connection sends.
fn message(round: usize, connection: usize) -> [u8; MESSAGE] {
    let mut message = [0; MESSAGE];
    message[..8].copy_from_slice(&(round as u64).to_le_bytes());
    message[8..16].copy_from_slice(&(connection as u64).to_le_bytes());
    message[16..].fill(round as u8 ^ connection as u8);
    message
}
