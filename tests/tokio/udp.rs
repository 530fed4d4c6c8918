//! The parts that only UDP has: addresses, names, errors of the network, groups, options and conversions.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use netpoll_tests::fixtures::{
    LOOPBACK, assert_closed, assert_kind, assert_timed_out, in_ms, os, past,
};
use netpoll_tokio::net::UdpSocket;

use crate::fixtures::everywhere;

#[test]
fn the_sender_can_be_answered() {
    everywhere(|| async {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let (server, client) = (UdpSocket::bind(host).await?, UdpSocket::bind(host).await?);
            let mut buffer = [0; 16];
            client.send_to(b"hello", server.local_addr()?).await?;
            let (len, from) = server.recv_from(&mut buffer).await?;
            assert_eq!((&buffer[..len], from), (&b"hello"[..], client.local_addr()?));
            server.send_to(b"and back", from).await?;
            assert_eq!(client.recv_from(&mut buffer).await?, (8, server.local_addr()?));
        }
        Ok(())
    });
}

#[test]
fn every_way_to_send_to_an_address() {
    everywhere(|| async {
        let server = UdpSocket::bind(("127.0.0.1", 0)).await?;
        let (at, client) = (server.local_addr()?, UdpSocket::bind(LOOPBACK).await?);
        let elsewhere = SocketAddr::from((Ipv6Addr::LOCALHOST, at.port()));
        assert_eq!(client.send_to(b"hello", at).await?, 5);
        assert_eq!(client.send_to(b"hello", at.to_string()).await?, 5);
        assert_eq!(client.send_to(b"hello", &[elsewhere, at][..]).await?, 5);
        assert_eq!(client.try_send_to(b"hello", at)?, 5);
        assert_eq!(poll_fn(|cx| client.poll_send_to(cx, b"hello", at)).await?, 5);
        let mut buffer = [0; 8];
        for _ in 0..5 {
            assert_eq!(server.recv_from(&mut buffer).await?, (5, client.local_addr()?));
        }
        client.set_write_deadline(past())?;
        assert_timed_out(client.send_to(b"hello", at).await);
        assert_timed_out(client.try_send_to(b"hello", at));
        assert_timed_out(poll_fn(|cx| client.poll_send_to(cx, b"hello", at)).await);
        Ok(())
    });
}

#[test]
fn a_connected_socket_receives_only_from_its_peer() {
    everywhere(|| async {
        let near = UdpSocket::bind(LOOPBACK).await?;
        let (far, stranger) = (UdpSocket::bind(LOOPBACK).await?, UdpSocket::bind(LOOPBACK).await?);
        assert_kind(near.peer_addr(), ErrorKind::NotConnected);
        near.connect(far.local_addr()?).await?;
        assert_eq!(near.peer_addr()?, far.local_addr()?);
        stranger.send_to(b"from a stranger", near.local_addr()?).await?;
        far.send_to(b"from the peer", near.local_addr()?).await?;
        assert_eq!(near.recv(&mut [0; 64]).await?, 13);
        near.connect(stranger.local_addr()?).await?;
        near.send(b"to the next").await?;
        assert_eq!(stranger.recv(&mut [0; 64]).await?, 11);
        Ok(())
    });
}

fn assert_says<T: std::fmt::Debug>(result: io::Result<T>, errno: i32) {
    let error = result.expect_err("it fails");
    assert_eq!(error.raw_os_error(), Some(errno), "{error:?}");
}

/// The error is the answer to an earlier datagram; it is reported once, and the socket goes on.
#[test]
fn a_refusal_is_told_once() {
    everywhere(|| async {
        let unbound = net::UdpSocket::bind("127.78.0.1:0")?.local_addr()?;
        let client = UdpSocket::bind(LOOPBACK).await?;
        client.connect(unbound).await?;
        client.send(b"hello").await?;
        assert_says(client.recv(&mut [0; 8]).await, libc::ECONNREFUSED);
        client.set_read_deadline(in_ms(1))?;
        assert_timed_out(client.recv(&mut [0; 8]).await);
        client.set_read_deadline(None)?;
        client.send(b"hello").await?;
        let error = loop {
            client.readable().await?;
            if let Some(error) = client.take_error()? {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(client.take_error()?.is_none(), "taken");
        Ok(())
    });
}

#[test]
fn errors_are_the_systems() {
    everywhere(|| async {
        let socket = UdpSocket::bind(LOOPBACK).await?;
        let own = socket.local_addr()?;
        assert_says(UdpSocket::bind(own).await, libc::EADDRINUSE);
        assert_says(socket.send(b"stray").await, libc::EDESTADDRREQ);
        let too_long = vec![0; 65_536];
        assert_says(socket.send_to(&too_long, own).await, libc::EMSGSIZE);
        let broadcast = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
        assert_says(socket.try_send_to(b"to all", broadcast), libc::EACCES);
        assert_says(socket.connect("[::1]:9").await, libc::EAFNOSUPPORT);
        assert_kind(socket.send_to(b"x", "no port").await, ErrorKind::InvalidInput);
        Ok(())
    });
}

#[test]
fn options_are_as_they_are_set() {
    everywhere(|| async {
        let socket = UdpSocket::bind(LOOPBACK).await?;
        assert!(!socket.broadcast()? && socket.multicast_loop_v4()?);
        for on in [true, false] {
            socket.set_broadcast(on)?;
            assert_eq!(socket.broadcast()?, on);
            socket.set_multicast_loop_v4(on)?;
            assert_eq!(socket.multicast_loop_v4()?, on);
        }
        socket.set_ttl(42)?;
        assert_eq!(socket.ttl()?, 42);
        socket.set_multicast_ttl_v4(7)?;
        assert_eq!(socket.multicast_ttl_v4()?, 7);
        socket.set_tos_v4(0x10)?;
        assert_eq!(socket.tos_v4()?, 0x10);
        assert!(socket.take_error()?.is_none());
        let socket = UdpSocket::bind("[::1]:0").await?;
        assert!(socket.multicast_loop_v6()?);
        socket.set_multicast_loop_v6(false)?;
        assert!(!socket.multicast_loop_v6()?);
        socket.set_tclass_v6(0x20)?;
        assert_eq!(socket.tclass_v6()?, 0x20);
        socket.close().await?;
        assert_closed(socket.ttl());
        assert_closed(socket.set_broadcast(true));
        assert_closed(socket.set_tclass_v6(0));
        assert_closed(socket.device());
        assert_closed(socket.take_error());
        assert_closed(socket.connect(LOOPBACK).await);
        Ok(())
    });
}

#[test]
fn a_device_has_a_name() {
    everywhere(|| async {
        let socket = UdpSocket::bind(LOOPBACK).await?;
        assert_eq!(socket.device()?, None);
        assert_kind(socket.bind_device(Some(b"a name of sixteen")), ErrorKind::InvalidInput);
        match socket.bind_device(Some(b"lo")) {
            Ok(()) => assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..])),
            // Some systems keep it to themselves.
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
        Ok(())
    });
}

/// Over the loopback interface, to a member of the group.
#[test]
fn groups_are_joined_and_left() {
    everywhere(|| async {
        let (group, here) = (Ipv4Addr::new(239, 255, 78, 1), Ipv4Addr::LOCALHOST);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let sender = UdpSocket::bind((here, 0)).await?;
        member.join_multicast_v4(group, here)?;
        sender.send_to(b"to the group", (group, member.local_addr()?.port())).await?;
        assert_eq!(member.recv_from(&mut [0; 64]).await?, (12, sender.local_addr()?));
        member.leave_multicast_v4(group, here)?;
        let left = member.leave_multicast_v4(group, here);
        assert_says(left, libc::EADDRNOTAVAIL);
        let group: Ipv6Addr = "ff11::7801".parse().expect("an address");
        let member = UdpSocket::bind("[::]:0").await?;
        member.join_multicast_v6(&group, 1)?;
        member.leave_multicast_v6(&group, 1)?;
        let left = member.leave_multicast_v6(&group, 1);
        assert_says(left, libc::EADDRNOTAVAIL);
        Ok(())
    });
}

#[test]
fn sockets_come_in_blocking_and_go_out_as_they_are() {
    everywhere(|| async {
        let (std, peer) = (net::UdpSocket::bind(LOOPBACK)?, net::UdpSocket::bind(LOOPBACK)?);
        let (number, at) = (std.as_raw_fd(), std.local_addr()?);
        let socket = UdpSocket::from_std(std)?;
        assert!(os::is_nonblocking(&socket));
        peer.send_to(b"hello", at)?;
        assert_eq!(socket.recv_from(&mut [0; 8]).await?, (5, peer.local_addr()?));
        let std = socket.into_std()?;
        assert_eq!(std.as_raw_fd(), number);
        assert_kind(std.recv(&mut [0; 8]), ErrorKind::WouldBlock);
        let socket: UdpSocket = std.try_into()?;
        socket.close().await?;
        assert_closed(socket.into_std());
        let again = UdpSocket::bind(at).await?;
        assert_eq!(again.local_addr()?, at);
        Ok(())
    });
}
