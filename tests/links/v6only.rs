//! A system where IPv6 sockets take IPv6 alone unless they say otherwise (`net.ipv6.bindv6only`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdTcpStream, UdpSocket as StdUdpSocket};

use futures::executor::block_on;

use crate::fixtures::Stage;

const ANY: &str = "[::]:0";

/// Whether IPv4 reaches the port.
fn takes_v4(address: io::Result<SocketAddr>) -> bool {
    let port = address.expect("an address").port();
    StdTcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The same for a socket that receives datagrams: where it does not, the port is free in IPv4.
fn receives_v4(address: io::Result<SocketAddr>) -> bool {
    let port = address.expect("an address").port();
    StdUdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}

/// Go says for each socket that it takes both. In the shapes of tokio and of smol, the system's default
/// stays, as theirs does.
pub(crate) fn both_families(_: &Stage) {
    std::fs::write("/proc/sys/net/ipv6/bindv6only", "1").expect("the sysctl of this namespace");

    let listener = block_on(netpoll_futures::TcpListener::bind(ANY)).expect("a port");
    assert!(takes_v4(listener.local_addr()), "as in Go");
    let socket = block_on(netpoll_futures::UdpSocket::bind(ANY)).expect("a port");
    assert!(receives_v4(socket.local_addr()), "as in Go");

    let listener = std::net::TcpListener::bind(ANY).expect("a port");
    assert!(!takes_v4(listener.local_addr()), "the sysctl is set");
    let listener = block_on(netpoll_tokio::net::TcpListener::bind(ANY)).expect("a port");
    assert!(!takes_v4(listener.local_addr()), "as in tokio");
    let listener = block_on(netpoll_smol::net::TcpListener::bind(ANY)).expect("a port");
    assert!(!takes_v4(listener.local_addr()), "as in async-net");
    let socket = block_on(netpoll_tokio::net::UdpSocket::bind(ANY)).expect("a port");
    assert!(!receives_v4(socket.local_addr()), "as in tokio");
    let socket = block_on(netpoll_smol::net::UdpSocket::bind(ANY)).expect("a port");
    assert!(!receives_v4(socket.local_addr()), "as in async-net");
}
