//! The sockets of std.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::pin::pin;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::{StreamExt, TryStreamExt};
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{Folder, assert_closed, assert_timed_out, past, run};

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

#[test]
fn tcp() {
    run(|| async {
        let listener = Async::<TcpListener>::bind(LOOPBACK)?;
        let address = listener.get_ref().local_addr()?;
        let waker = CountingWaker::new();
        let mut accept = pin!(listener.accept());
        assert!(waker.poll(accept.as_mut()).is_pending());
        let client = Async::<TcpStream>::connect(address).await?;
        let (server, peer) = accept.await?;
        assert_eq!(peer, client.get_ref().local_addr()?);
        server.write_with(|mut io| io.write(b"hello")).await?;
        let mut buffer = [0; 8];
        assert_eq!(client.peek(&mut buffer).await?, 5);
        assert_eq!(client.read_with(|mut io| io.read(&mut buffer)).await?, 5);
        assert_eq!(&buffer[..5], b"hello");
        client.set_read_deadline(past())?;
        assert_timed_out(client.peek(&mut buffer).await);
        listener.set_deadline(past())?;
        assert_timed_out(listener.accept().await);
        listener.close().await?;
        assert_closed(listener.accept().await);
        Ok(())
    });
}

#[test]
fn connections_as_a_stream() {
    run(|| async {
        const CLIENTS: usize = 5;
        let listener: Async<TcpListener> = TcpListener::bind(LOOPBACK)?.try_into()?;
        let address = listener.get_ref().local_addr()?;
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| TcpStream::connect(address)).collect::<io::Result<_>>()?;
        let accepted: Vec<_> = listener.incoming().take(CLIENTS).try_collect().await?;
        let peers: Vec<SocketAddr> =
            accepted.iter().map(|io| io.get_ref().peer_addr()).collect::<io::Result<_>>()?;
        for client in clients {
            assert!(peers.contains(&client.local_addr()?));
        }
        Ok(())
    });
}

#[test]
fn udp() {
    run(|| async {
        let one = Async::<UdpSocket>::bind(LOOPBACK)?;
        let other = Async::<UdpSocket>::bind(LOOPBACK)?;
        let (here, there) = (one.get_ref().local_addr()?, other.get_ref().local_addr()?);
        assert_eq!(one.send_to(b"hello", there).await?, 5);
        let mut buffer = [0; 8];
        assert_eq!(other.peek_from(&mut buffer).await?, (5, here));
        assert_eq!(other.recv_from(&mut buffer).await?, (5, here));
        assert_eq!(&buffer[..5], b"hello");
        one.get_ref().connect(there)?;
        other.get_ref().connect(here)?;
        assert_eq!(other.send(b"a longer one").await?, 12);
        assert_eq!(one.peek(&mut buffer).await?, 8, "cut off");
        assert_eq!(one.recv(&mut buffer).await?, 8);
        one.set_deadline(past())?;
        assert_timed_out(one.recv(&mut buffer).await);
        assert_timed_out(one.send(b"x").await);
        Ok(())
    });
}

#[test]
fn unix_streams() {
    run(|| async {
        let folder = Folder::new()?;
        let path = folder.join("socket");
        let listener = Async::<UnixListener>::bind(&path)?;
        let mut client = Async::<UnixStream>::connect(&path).await?;
        let (mut server, _) = listener.accept().await?;
        client.write_all(b"hello").await?;
        let mut buffer = [0; 5];
        assert_eq!(server.peek(&mut buffer).await?, 5);
        server.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"hello");
        drop(client);
        assert_eq!(server.read(&mut buffer).await?, 0);
        let _client = UnixStream::connect(&path)?;
        assert!(listener.incoming().next().await.expect("it does not end").is_ok());
        Ok(())
    });
}

#[test]
fn unix_datagrams() {
    run(|| async {
        let folder = Folder::new()?;
        let path = folder.join("socket");
        let bound = Async::<UnixDatagram>::bind(&path)?;
        let unbound = Async::<UnixDatagram>::unbound()?;
        assert_eq!(unbound.send_to(b"hello", &path).await?, 5);
        let mut buffer = [0; 8];
        assert_eq!(bound.peek_from(&mut buffer).await?.0, 5);
        let (len, peer) = bound.recv_from(&mut buffer).await?;
        assert_eq!(&buffer[..len], b"hello");
        assert!(peer.is_unnamed());

        let (one, other) = Async::<UnixDatagram>::pair()?;
        assert_eq!(one.send(b"hello").await?, 5);
        assert_eq!(other.peek(&mut buffer).await?, 5);
        assert_eq!(other.recv(&mut buffer).await?, 5);
        let waker = CountingWaker::new();
        while one.get_ref().send(b"x").is_ok() {}
        let mut send = pin!(one.send(b"x"));
        assert!(waker.poll(send.as_mut()).is_pending(), "our part of the buffer is full");
        // The kernel reports room when most of it is free.
        while other.get_ref().recv(&mut buffer).is_ok() {}
        send.await.map(drop)
    });
}

/// The receiver's queue is full, of which epoll tells a socket nothing that is not connected to it.
#[test]
fn an_unconnected_datagram_waits_for_the_receiver() {
    run(|| async {
        let folder = Folder::new()?;
        let path = folder.join("socket");
        let receiver = Async::<UnixDatagram>::bind(&path)?;
        let sender = Async::<UnixDatagram>::unbound()?;
        let waker = CountingWaker::new();
        while waker.poll(pin!(sender.send_to(b"x", &path))).is_ready() {}
        let mut send = pin!(sender.send_to(b"x", &path));
        assert!(waker.poll(send.as_mut()).is_pending());
        assert_eq!(receiver.recv(&mut [0; 8]).await?, 1);
        send.await?;
        while waker.poll(pin!(sender.send_to(b"x", &path))).is_ready() {}
        sender.set_write_deadline(netpoll_tests::fixtures::in_ms(3))?;
        assert_timed_out(sender.send_to(b"x", &path).await);
        Ok(())
    });
}
