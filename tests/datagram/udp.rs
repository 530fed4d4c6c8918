//! The parts that only UDP has: addresses, names, errors of the network, groups and options.

use std::future::poll_fn;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures::FutureExt;
use netpoll_futures::UdpSocket;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{
    LOOPBACK, assert_closed, assert_kind, assert_pending, assert_timed_out, in_ms, run,
};

use crate::fixtures::{assert_says, take};

#[test]
fn the_sender_can_be_answered() {
    run(|| async {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let server = UdpSocket::bind(host).await?;
            let [first, second] = [UdpSocket::bind(host).await?, UdpSocket::bind(host).await?];
            let mut buffer = [0; 16];
            for client in [&first, &second] {
                assert_eq!(client.send_to(b"hello", server.local_addr()?).await?, 5);
                let (len, from) = server.recv_from(&mut buffer).await?;
                assert_eq!((&buffer[..len], from), (&b"hello"[..], client.local_addr()?));
                server.send_to(b"and back", from).await?;
                assert_eq!(client.recv_from(&mut buffer).await?, (8, server.local_addr()?));
            }
        }
        Ok(())
    });
}

#[test]
fn names_are_looked_up() {
    run(|| async {
        let server = UdpSocket::bind(("localhost", 0)).await?;
        let port = server.local_addr()?.port();
        let client = UdpSocket::bind(LOOPBACK).await?;
        if server.local_addr()?.is_ipv4() {
            client.send_to(b"hello", ("localhost", port)).await?;
            client.send_to(b"hello", format!("localhost:{port}")).await?;
            assert_eq!(take(&server).await?, b"hello");
            assert_eq!(take(&server).await?, b"hello");
        }
        client.connect("localhost:9").await?;
        assert_eq!(client.peer_addr()?.port(), 9);
        let error = client.send_to(b"hello", "name.invalid:9").await.expect_err("no such name");
        assert!(error.to_string().starts_with("resolve name.invalid:9: "), "{error}");
        let none: [SocketAddr; 0] = [];
        assert_kind(client.send_to(b"hello", none).await, io::ErrorKind::InvalidInput);
        assert_kind(UdpSocket::bind(none).await, io::ErrorKind::InvalidInput);
        Ok(())
    });
}

/// As where a name has addresses of both families.
#[test]
fn of_several_addresses_it_sends_to_one_of_its_family() {
    run(|| async {
        let server = UdpSocket::bind(LOOPBACK).await?;
        let at = server.local_addr()?;
        let elsewhere = SocketAddr::from((Ipv6Addr::LOCALHOST, at.port()));
        let client = UdpSocket::bind(LOOPBACK).await?;
        client.send_to(b"hello", [elsewhere, at]).await?;
        assert_eq!(take(&server).await?, b"hello");
        client.connect(&[elsewhere, at][..]).await?;
        assert_eq!(client.peer_addr()?, at);
        Ok(())
    });
}

#[test]
fn a_connected_socket_receives_only_from_its_peer() {
    run(|| async {
        let [near, far, stranger] = [
            UdpSocket::bind(LOOPBACK).await?,
            UdpSocket::bind(LOOPBACK).await?,
            UdpSocket::bind(LOOPBACK).await?,
        ];
        assert_kind(near.peer_addr(), io::ErrorKind::NotConnected);
        near.connect(far.local_addr()?).await?;
        assert_eq!(near.peer_addr()?, far.local_addr()?);
        stranger.send_to(b"from a stranger", near.local_addr()?).await?;
        far.send_to(b"from the peer", near.local_addr()?).await?;
        assert_eq!(take(&near).await?, b"from the peer");
        near.send(b"to the peer").await?;
        assert_eq!(take(&far).await?, b"to the peer");
        near.send_to(b"elsewhere", stranger.local_addr()?).await?;
        assert_eq!(take(&stranger).await?, b"elsewhere", "connected or not");
        near.connect(stranger.local_addr()?).await?;
        near.send(b"to the next").await?;
        assert_eq!(take(&stranger).await?, b"to the next");
        Ok(())
    });
}

#[test]
fn every_way_to_send_to_an_address() {
    run(|| async {
        let server = UdpSocket::bind(LOOPBACK).await?;
        let (at, client) = (server.local_addr()?, UdpSocket::bind(LOOPBACK).await?);
        client.send_to(b"hello", at).await?;
        client.send_to_addr(b"hello", &at).await?;
        client.try_send_to(b"hello", at)?;
        client.try_send_to_addr(b"hello", &at)?;
        poll_fn(|cx| client.poll_send_to(cx, b"hello", at)).await?;
        poll_fn(|cx| client.poll_send_to_addr(cx, b"hello", &at)).await?;
        for _ in 0..6 {
            assert_eq!(take(&server).await?, b"hello");
        }
        Ok(())
    });
}

/// An address without a receiver. No test binds there, as each caller has a host of
/// its own.
fn silent(host: u8) -> io::Result<SocketAddr> {
    net::UdpSocket::bind((Ipv4Addr::new(127, 67, 0, host), 0))?.local_addr()
}

/// The error is the answer to an earlier datagram. It is reported once, and the socket goes on.
#[test]
fn a_refusal_is_reported_once() {
    run(|| async {
        let nobody = silent(1)?;
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        client.connect(nobody).await?;
        let (on, refused) = (nobody.to_string(), libc::ECONNREFUSED);
        for _ in 0..10 {
            client.send(b"hello").await?;
            assert_says(take(&client).await, refused, "recv", &on);
            let waker = CountingWaker::new();
            let mut receive = take(&client).boxed();
            assert_pending(&mut receive, &waker);
            client.send(b"hello").await?;
            assert_says(receive.await, refused, "recv", &on);
            client.send(b"hello").await?;
            client.readable().await?;
            assert_says(client.send(b"not sent").await, refused, "send", &on);
            client.set_read_deadline(in_ms(1))?;
            assert_timed_out(take(&client).await);
            client.set_read_deadline(None)?;
        }
        let somebody = UdpSocket::bind(nobody).await?;
        client.send(b"hello").await?;
        assert_eq!(take(&somebody).await?, b"hello");
        somebody.send_to(b"and back", client.local_addr()?).await?;
        assert_eq!(take(&client).await?, b"and back");
        Ok(())
    });
}

/// One of many waiters gets it, and the others go on waiting.
#[test]
fn a_refusal_is_told_to_one() {
    run(|| async {
        let nobody = silent(2)?;
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        client.connect(nobody).await?;
        let mut receives = [take(&client).boxed(), take(&client).boxed(), take(&client).boxed()];
        for receive in &mut receives {
            assert_pending(receive, &CountingWaker::new());
        }
        client.send(b"hello").await?;
        let [first, mut second, mut third] = receives;
        assert_says(first.await, libc::ECONNREFUSED, "recv", &nobody.to_string());
        assert_pending(&mut second, &CountingWaker::new());
        assert_pending(&mut third, &CountingWaker::new());
        let somebody = UdpSocket::bind(nobody).await?;
        somebody.send_to(b"one", client.local_addr()?).await?;
        somebody.send_to(b"two", client.local_addr()?).await?;
        assert_eq!(second.await?, b"one");
        assert_eq!(third.await?, b"two");
        Ok(())
    });
}

#[test]
fn a_failed_send_names_cause_and_address() {
    run(|| async {
        let [near, far] = [UdpSocket::bind(LOOPBACK).await?, UdpSocket::bind(LOOPBACK).await?];
        let (at, own) = (far.local_addr()?, near.local_addr()?.to_string());
        let on = at.to_string();
        let too_long = vec![0; 65_536];
        assert_says(near.send_to(&too_long, at).await, libc::EMSGSIZE, "send", &on);
        assert_says(near.try_send_to(&too_long, at), libc::EMSGSIZE, "send", &on);
        assert_says(near.send(b"stray").await, libc::EDESTADDRREQ, "send", &own);
        near.connect(at).await?;
        assert_says(near.send(&too_long).await, libc::EMSGSIZE, "send", &on);
        let broadcast = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
        let on = broadcast.to_string();
        assert_says(near.send_to(b"to all", broadcast).await, libc::EACCES, "send", &on);
        near.send(b"and it goes on").await?;
        assert_eq!(take(&far).await?, b"and it goes on");
        Ok(())
    });
}

#[test]
fn the_longest_datagram_arrives() {
    run(|| async {
        let [near, far] = [UdpSocket::bind(LOOPBACK).await?, UdpSocket::bind(LOOPBACK).await?];
        let longest: Vec<u8> = (0..65_507).map(|index| (index % 251) as u8).collect();
        near.send_to(&longest, far.local_addr()?).await?;
        let mut buffer = Vec::with_capacity(65_536);
        assert_eq!(far.recv_buf_from(&mut buffer).await?, (65_507, near.local_addr()?));
        assert!(buffer == longest, "other bytes than were sent");
        Ok(())
    });
}

#[test]
fn a_failed_bind_names_cause_and_address() {
    run(|| async {
        let taken = UdpSocket::bind(LOOPBACK).await?;
        let at = taken.local_addr()?;
        assert_says(UdpSocket::bind(at).await, libc::EADDRINUSE, "bind", &at.to_string());
        let next = UdpSocket::bind(&[at, "127.0.0.1:0".parse().expect("an address")][..]).await?;
        assert_ne!(next.local_addr()?, at, "the first that can be bound");
        let elsewhere = "192.0.2.1:0";
        assert_says(UdpSocket::bind(elsewhere).await, libc::EADDRNOTAVAIL, "bind", elsewhere);
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
        let error = taken.connect(v6).await.expect_err("of another family");
        assert!(error.to_string().starts_with("connect [::1]:9: "), "{error}");
        taken.close().await?;
        assert_closed(taken.connect(at).await);
        Ok(())
    });
}

#[test]
fn options_are_as_they_are_set() {
    run(|| async {
        let socket = UdpSocket::bind(LOOPBACK).await?;
        assert!(!socket.broadcast()?);
        socket.set_broadcast(true)?;
        assert!(socket.broadcast()?);
        socket.set_ttl(42)?;
        assert_eq!(socket.ttl()?, 42);
        assert!(socket.multicast_loop_v4()?);
        socket.set_multicast_loop_v4(false)?;
        assert!(!socket.multicast_loop_v4()?);
        assert_eq!(socket.multicast_ttl_v4()?, 1);
        socket.set_multicast_ttl_v4(7)?;
        assert_eq!(socket.multicast_ttl_v4()?, 7);
        assert!(socket.take_error()?.is_none());
        let socket = UdpSocket::bind("[::1]:0").await?;
        assert!(socket.multicast_loop_v6()?);
        socket.set_multicast_loop_v6(false)?;
        assert!(!socket.multicast_loop_v6()?);
        socket.close().await?;
        assert_closed(socket.broadcast());
        assert_closed(socket.set_ttl(7));
        assert_closed(socket.take_error());
        assert_closed(socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 1));
        Ok(())
    });
}

#[test]
fn the_error_of_a_socket_can_be_taken() {
    run(|| async {
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        client.connect(silent(3)?).await?;
        client.send(b"hello").await?;
        client.readable().await?;
        let error = client.take_error()?.expect("there is no receiver");
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        assert!(client.take_error()?.is_none(), "taken");
        client.set_read_deadline(in_ms(1))?;
        assert_timed_out(take(&client).await);
        Ok(())
    });
}

/// Over the loopback interface, to a socket that is in the group, and not to it when it has left.
#[test]
fn groups_are_joined_and_left() {
    run(|| async {
        let (group, here) = (Ipv4Addr::new(239, 255, 67, 1), Ipv4Addr::LOCALHOST);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let at = SocketAddr::from((group, member.local_addr()?.port()));
        // Bound to loopback, it sends from there.
        let sender = net::UdpSocket::bind((here, 0))?;
        member.join_multicast_v4(group, here)?;
        assert_says(
            member.join_multicast_v4(group, here),
            libc::EADDRINUSE,
            "join",
            "239.255.67.1",
        );
        sender.send_to(b"to the group", at)?;
        assert_eq!(take(&member).await?, b"to the group");
        member.leave_multicast_v4(group, here)?;
        let left = member.leave_multicast_v4(group, here);
        assert_says(left, libc::EADDRNOTAVAIL, "leave", "239.255.67.1");
        let no_group = member.join_multicast_v4(here, here);
        assert_says(no_group, libc::EINVAL, "join", "127.0.0.1");
        Ok(())
    });
}

#[test]
fn groups_of_ipv6_are_joined_and_left() {
    run(|| async {
        let loopback = 1;
        let group: Ipv6Addr = "ff11::6701".parse().expect("an address");
        let member = UdpSocket::bind("[::]:0").await?;
        member.join_multicast_v6(&group, loopback)?;
        member.leave_multicast_v6(&group, loopback)?;
        let left = member.leave_multicast_v6(&group, loopback);
        assert_says(left, libc::EADDRNOTAVAIL, "leave", "ff11::6701");
        let no_group = member.join_multicast_v6(&Ipv6Addr::LOCALHOST, loopback);
        assert_says(no_group, libc::EINVAL, "join", "::1");
        Ok(())
    });
}
