//! A socket before it is bound, listens or is connected.

use std::io::ErrorKind;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use netpoll_tests::fixtures::{LOOPBACK, assert_kind, os};
use netpoll_tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::fixtures::{everywhere, pair};

fn loopback() -> SocketAddr {
    LOOPBACK.parse().unwrap()
}

#[test]
fn it_listens_and_connects() {
    everywhere(|| async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(loopback())?;
        let address = socket.local_addr()?;
        let listener = socket.listen(4)?;
        assert_eq!(listener.local_addr()?, address);
        let socket = TcpSocket::new_v4()?;
        socket.bind(loopback())?;
        let from = socket.local_addr()?;
        let client = socket.connect(address).await?;
        let (server, peer) = listener.accept().await?;
        assert_eq!((peer, client.local_addr()?), (from, from));
        client.get_ref().write_all(b"x").await?;
        assert_eq!(server.get_ref().read(&mut [0]).await?, 1);
        assert!(!client.nodelay()?, "no other option is set");
        Ok(())
    });
}

#[test]
fn over_ipv6_as_well() {
    everywhere(|| async {
        let socket = TcpSocket::new_v6()?;
        socket.set_tclass_v6(0x20)?;
        assert_eq!(socket.tclass_v6()?, 0x20);
        socket.bind("[::1]:0".parse().unwrap())?;
        let listener = socket.listen(4)?;
        let client = TcpSocket::new_v6()?.connect(listener.local_addr()?).await?;
        assert!(client.peer_addr()?.is_ipv6());
        Ok(())
    });
}

#[test]
fn options_have_the_values_they_were_set_to() {
    everywhere(|| async {
        let socket = TcpSocket::new_v4()?;
        for on in [true, false] {
            socket.set_keepalive(on)?;
            assert_eq!(socket.keepalive()?, on);
            socket.set_reuseaddr(on)?;
            assert_eq!(socket.reuseaddr()?, on);
            socket.set_reuseport(on)?;
            assert_eq!(socket.reuseport()?, on);
            socket.set_nodelay(on)?;
            assert_eq!(socket.nodelay()?, on);
        }
        socket.set_send_buffer_size(16 * 1024)?;
        assert_eq!(socket.send_buffer_size()?, 32 * 1024);
        socket.set_recv_buffer_size(16 * 1024)?;
        assert_eq!(socket.recv_buffer_size()?, 32 * 1024);
        socket.set_linger(Some(Duration::from_secs(3)))?;
        assert_eq!(socket.linger()?, Some(Duration::from_secs(3)));
        socket.set_zero_linger()?;
        assert_eq!(socket.linger()?, Some(Duration::ZERO));
        socket.set_tos_v4(0x10)?;
        assert_eq!(socket.tos_v4()?, 0x10);
        assert!(socket.take_error()?.is_none());
        Ok(())
    });
}

#[test]
fn options_of_a_connection() {
    everywhere(|| async {
        let (client, _server) = pair().await?;
        assert!(client.nodelay()?, "Go's default");
        client.set_nodelay(false)?;
        assert!(!client.nodelay()?);
        for on in [false, true] {
            client.set_quickack(on)?;
            assert_eq!(client.quickack()?, on);
        }
        client.set_ttl(7)?;
        assert_eq!(client.ttl()?, 7);
        client.set_linger(Some(Duration::from_secs(1)))?;
        assert_eq!(client.linger()?, Some(Duration::from_secs(1)));
        client.set_linger(None)?;
        assert_eq!(client.linger()?, None);
        assert!(client.take_error()?.is_none());
        let listener = TcpListener::bind(LOOPBACK).await?;
        listener.set_ttl(9)?;
        assert_eq!(listener.ttl()?, 9);
        Ok(())
    });
}

#[test]
fn two_may_share_a_port() {
    everywhere(|| async {
        let mut address = loopback();
        let mut listeners = Vec::new();
        for _ in 0..2 {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseport(true)?;
            socket.bind(address)?;
            address = socket.local_addr()?;
            listeners.push(socket.listen(4)?);
        }
        let socket = TcpSocket::new_v4()?;
        assert_kind(socket.bind(address), ErrorKind::AddrInUse);
        Ok(())
    });
}

#[test]
fn a_device_has_a_name() {
    everywhere(|| async {
        let socket = TcpSocket::new_v4()?;
        assert_eq!(socket.device()?, None);
        for name in [&b"a name of sixteen"[..], b"lo\0"] {
            let error = socket.bind_device(Some(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        match socket.bind_device(Some(b"lo")) {
            Ok(()) => assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..])),
            // Some systems keep it to themselves.
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
        Ok(())
    });
}

/// One that was made elsewhere, blocking, is made non-blocking when it comes into our care.
#[test]
fn one_that_was_made_elsewhere() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let fd = OwnedFd::from(TcpSocket::new_v4()?);
        let std = net::TcpStream::from(fd);
        std.set_nonblocking(false)?;
        let client: TcpStream =
            TcpSocket::from_std_stream(std).connect(listener.local_addr()?).await?;
        assert!(os::is_nonblocking(&client));
        listener.accept().await?;
        Ok(())
    });
}

/// The number is taken as it is; options that were set on the descriptor before are still set.
#[test]
fn a_number_becomes_a_socket_and_a_socket_a_number() {
    everywhere(|| async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        let number = socket.into_raw_fd();
        let socket: TcpSocket = os::take(number);
        assert_eq!((socket.as_raw_fd(), socket.as_fd().as_raw_fd()), (number, number));
        assert!(socket.reuseport()?);
        let number = socket.into_raw_fd();
        let theirs: tokio::net::TcpSocket = os::take(number);
        assert_eq!(theirs.as_raw_fd(), number);
        let socket: TcpSocket = os::take(theirs.into_raw_fd());
        socket.bind(loopback())?;
        let listener = socket.listen(4)?;
        assert_eq!(listener.as_raw_fd(), number);
        TcpSocket::new_v4()?.connect(listener.local_addr()?).await?;
        Ok(())
    });
}

/// As in tokio, which asks the caller for a descriptor that does not block; one that does is no fault here.
#[test]
fn a_blocking_number_is_made_non_blocking() {
    everywhere(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let std = net::TcpStream::from(OwnedFd::from(TcpSocket::new_v4()?));
        std.set_nonblocking(false)?;
        let socket: TcpSocket = os::take(std.into_raw_fd());
        assert!(os::is_nonblocking(&socket.connect(listener.local_addr()?).await?));
        Ok(())
    });
}
