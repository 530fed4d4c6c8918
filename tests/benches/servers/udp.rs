//! The echo server over UDP: one socket for all clients.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use tokio::runtime::Builder;

use super::{Server, Work, executors};
use crate::measure::epoll::BareEpoll;

/// The first is the baseline of the others.
pub(super) const SERVERS: [Server; 5] = [
    Server { name: "bare", title: "bare epoll", serve: bare },
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio },
    Server { name: "smol", title: "smol, inline", serve: smol },
    Server { name: "netpoll-inline", title: "netpoll, inline", serve: netpoll },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: netpoll_tokio },
];

/// Echoes each datagram, whatever library the socket is of.
macro_rules! echo {
    ($socket:expr, $work:expr) => {{
        let (socket, mut buffer) = ($socket, vec![0; $work.buffer]);
        loop {
            let (len, peer) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..len], peer).await?;
        }
    }};
}

fn bare(socket: OwnedFd, work: Work) -> io::Result<()> {
    let (socket, mut buffer) = (UdpSocket::from(socket), vec![0; work.buffer]);
    let mut epoll = BareEpoll::new()?;
    epoll.add(&socket, 0)?;
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, peer)) => drop(socket.send_to(&buffer[..len], peer)?),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop(epoll.wait(-1)?),
            Err(error) => return Err(error),
        }
    }
}

fn tokio(socket: OwnedFd, work: Work) -> io::Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async { echo!(tokio::net::UdpSocket::from_std(socket.into())?, work) })
}

fn netpoll_tokio(socket: OwnedFd, work: Work) -> io::Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async { echo!(netpoll_tokio::net::UdpSocket::from_std(socket.into())?, work) })
}

fn smol(socket: OwnedFd, work: Work) -> io::Result<()> {
    executors::smol(|_| async move {
        echo!(smol::net::UdpSocket::try_from(UdpSocket::from(socket))?, work)
    })
}

fn netpoll(socket: OwnedFd, work: Work) -> io::Result<()> {
    executors::inline(|_| async move {
        echo!(netpoll_futures::UdpSocket::try_from(UdpSocket::from(socket))?, work)
    })
}
