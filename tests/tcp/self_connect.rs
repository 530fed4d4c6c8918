//! A socket that connects to a port without a listener may be given that very port as its own, and TCP
//! then connects it to itself.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use netpoll_futures::sys;
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_tests::fixtures::{LOOPBACK, assert_kind, run};

/// How often the kernel is brought to the point where it is about to choose the port. One time in
/// five it does choose it.
const APPROACHES: usize = 100;

/// How many connections go off once it is there.
const SHOTS: usize = 20;

/// The most ports that the kernel moves on by between two connections.
const STEP: u16 = 16;

/// A port that the kernel gives to connecting sockets. No socket has it now.
async fn client_port() -> io::Result<u16> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let port = client.local_addr()?.port();
    // Otherwise it would not be free for a minute.
    client.set_linger(Some(Duration::ZERO))?;
    Ok(port)
}

/// Begins to connect, and says from which port.
fn call(target: &SocketAddr) -> io::Result<u16> {
    let socket = sys::stream(target)?;
    let _ = sys::connect(socket.as_fd(), target);
    Ok(net::TcpStream::from(socket).local_addr()?.port())
}

/// Calls until the port that the kernel chose is just below the target's.
fn approach(target: &SocketAddr) -> io::Result<()> {
    loop {
        let distance = target.port().wrapping_sub(call(target)?);
        if (1..=2 * STEP).contains(&distance) {
            return Ok(());
        }
    }
}

/// Whether a socket was connected to itself there and closed: such a one is remembered for a minute.
fn was_self_connected(target: &SocketAddr) -> bool {
    let end = format!("0100007F:{:04X}", target.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("procfs");
    table.contains(&format!("{end} {end}"))
}

fn is_self_connected(stream: &net::TcpStream) -> io::Result<bool> {
    Ok(stream.local_addr()? == stream.peer_addr()?)
}

/// The connection that the guard prevents.
#[test]
fn the_kernel_connects_a_socket_to_itself() {
    run(|| async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket: OwnedFd = sys::stream(&address)?;
        sys::bind(socket.as_fd(), &address)?;
        let own = net::TcpStream::from(socket.try_clone()?).local_addr()?;
        let begun = sys::connect(socket.as_fd(), &own);
        assert!(begun.is_ok() || begun.is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
        let stream = TcpStream::try_from(socket)?;
        stream.writable().await?;
        stream.set_linger(Some(Duration::ZERO))?;
        assert!(is_self_connected(&net::TcpStream::try_from(stream)?)?);
        Ok(())
    });
}

#[test]
fn no_socket_is_connected_to_itself() {
    run(|| async {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, client_port().await?));
        for _ in 0..APPROACHES {
            approach(&target)?;
            for _ in 0..SHOTS {
                let refused = TcpStream::connect(target).await;
                assert_kind(refused, ErrorKind::ConnectionRefused);
            }
            if was_self_connected(&target) {
                return Ok(());
            }
        }
        // This kernel chooses ports in another way, and has not connected it to itself.
        Ok(())
    });
}
