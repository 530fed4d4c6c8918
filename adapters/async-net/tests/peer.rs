//! The behaviour that this crate shares with async-net. `.ci/dependents` runs this file with async-net as well.

use std::future::Future; // async-net is of an edition before it was in the prelude.
use std::io::{self, IoSlice, Read, Write};
use std::net;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_io::{Async, block_on};
use async_net::unix::{UnixDatagram, UnixListener, UnixStream};
use async_net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt, future};

const ANY: (net::Ipv4Addr, u16) = (net::Ipv4Addr::LOCALHOST, 0);

async fn tcp() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(ANY).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

/// A name in the file system that no other test uses.
fn path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("async-net-{}-{name}", std::process::id()))
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn bytes_of_tcp_in_both_directions() -> io::Result<()> {
    block_on(async {
        let (mut client, mut server) = tcp().await?;
        assert_eq!(client.peer_addr()?, server.local_addr()?);
        assert_eq!(client.local_addr()?, server.peer_addr()?);
        client.write_all(b"hello").await?;
        assert_eq!(server.peek(&mut [0; 8]).await?, 5);
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"hello");
        let sent = server.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"c")]).await?;
        assert_eq!(sent, 3);
        server.close().await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert_eq!(answer, "abc");
        Ok(())
    })
}

const LEN: usize = 8 << 20;

fn byte(at: usize) -> u8 {
    (at / 7 % 256) as u8
}

async fn send(mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let message: Vec<u8> = (0..LEN).map(byte).collect();
    to.write_all(&message).await?;
    to.close().await
}

/// Reads in pieces that leave bytes behind.
async fn receive(mut from: impl AsyncRead + Unpin) -> io::Result<usize> {
    let (mut buffer, mut len) = ([0; 1000], 0);
    loop {
        let count = from.read(&mut buffer).await?;
        let expected = (len..len + count).map(byte);
        assert!(expected.eq(buffer[..count].iter().copied()), "the bytes from {len} on");
        len += count;
        if count == 0 {
            return Ok(len);
        }
    }
}

/// More than the buffers of both sides hold.
#[test]
fn a_long_message_arrives_whole() -> io::Result<()> {
    block_on(async {
        let (near, far) = tcp().await?;
        assert_eq!(future::try_zip(send(near), receive(far)).await?.1, LEN);
        let (near, far) = UnixStream::pair()?;
        assert_eq!(future::try_zip(send(near), receive(far)).await?.1, LEN);
        Ok(())
    })
}

#[test]
fn a_connection_has_the_options_of_the_system() -> io::Result<()> {
    block_on(async {
        for stream in [tcp().await?.0, tcp().await?.1] {
            assert!(!stream.nodelay()?);
            stream.set_nodelay(true)?;
            stream.set_ttl(77)?;
            assert!(stream.nodelay()?);
            assert_eq!(stream.ttl()?, 77);
        }
        Ok(())
    })
}

#[test]
fn errors_are_those_of_the_system() -> io::Result<()> {
    block_on(async {
        let address = TcpListener::bind(ANY).await?.local_addr()?;
        let refused = TcpStream::connect(address).await.expect_err("no listener");
        assert_eq!(refused.raw_os_error(), Some(111), "ECONNREFUSED");
        let taken = TcpListener::bind(ANY).await?;
        let again = TcpListener::bind(taken.local_addr()?).await.expect_err("it is taken");
        assert_eq!(again.raw_os_error(), Some(98), "EADDRINUSE");
        let none: &[SocketAddr] = &[];
        let unknown = TcpStream::connect(none).await.expect_err("no address");
        assert_eq!(unknown.kind(), io::ErrorKind::InvalidInput);
        let unsent = UdpSocket::bind(ANY).await?.send_to(b"x", none).await;
        assert_eq!(unsent.expect_err("no address").kind(), io::ErrorKind::InvalidInput);
        assert!(async_net::resolve(none).await?.is_empty());
        let missing = UnixStream::connect(path("missing")).await.expect_err("no file");
        assert_eq!(missing.raw_os_error(), Some(2), "ENOENT");
        let unnamed = UdpSocket::bind(ANY).await?.peer_addr().expect_err("no peer");
        assert_eq!(unnamed.raw_os_error(), Some(107), "ENOTCONN");
        Ok(())
    })
}

#[test]
fn the_first_address_that_answers_is_taken() -> io::Result<()> {
    block_on(async {
        let closed = TcpListener::bind(ANY).await?.local_addr()?;
        let listener = TcpListener::bind(("localhost", 0)).await?;
        let addresses = [closed, listener.local_addr()?];
        let client = TcpStream::connect(&addresses[..]).await?;
        assert_eq!(client.peer_addr()?, addresses[1]);
        Ok(())
    })
}

/// The socket that async-net converts to is the same one, not a duplicate.
#[test]
fn conversions_share_the_socket() -> io::Result<()> {
    block_on(async {
        let (client, mut server) = tcp().await?;
        let number = client.as_raw_fd();
        let shared: Arc<Async<net::TcpStream>> = client.clone().into();
        assert_eq!(shared.as_raw_fd(), number);
        server.write_all(b"abcd").await?;
        // Each reads by a rule of its own, and neither takes the other's readiness.
        let mut bytes = [0; 2];
        (&mut &*shared).read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"ab");
        let mut again = client.clone();
        again.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"cd");
        server.write_all(b"e").await?;
        shared.readable().await?;
        shared.readable().await?;
        assert_eq!(again.read(&mut bytes).await?, 1);

        drop((client, again));
        let object = Arc::into_inner(shared).expect("the last clone");
        let mut back = TcpStream::from(object);
        assert_eq!(back.as_raw_fd(), number);
        back.write_all(b"f").await?;
        assert_eq!(server.read(&mut bytes).await?, 1);

        let std = net::TcpStream::connect(TcpListener::bind(ANY).await?.local_addr()?)?;
        let fd = OwnedFd::from(std);
        let number = fd.as_raw_fd();
        assert_eq!(TcpStream::try_from(fd)?.as_fd().as_raw_fd(), number);
        Ok(())
    })
}

/// The standard library reads, as a user of `Arc<Async<_>>` may, and the next read of the stream still ends.
#[test]
fn a_read_behind_the_back_loses_no_event() -> io::Result<()> {
    block_on(async {
        let (mut client, mut server) = tcp().await?;
        let object: Arc<Async<net::TcpStream>> = client.clone().into();
        for round in 0..100 {
            server.write_all(b"ab").await?;
            object.readable().await?;
            let mut buffer = [0; 2];
            let count = object.get_ref().read(&mut buffer[..=round % 2])?;
            let mut rest = vec![0; 2 - count];
            client.read_exact(&mut rest).await?;
            let reads = client.read(&mut buffer);
            assert_eq!(future::try_zip(reads, server.write_all(b"c")).await?.0, 1);
        }
        Ok(())
    })
}

#[test]
fn the_last_clone_closes() -> io::Result<()> {
    block_on(async {
        let (client, mut server) = tcp().await?;
        let clone = client.clone();
        drop(client);
        assert!(future::poll_once(server.read(&mut [0])).await.is_none());
        drop(clone);
        assert_eq!(server.read(&mut [0]).await?, 0);
        Ok(())
    })
}

#[test]
fn a_dropped_read_takes_no_byte() -> io::Result<()> {
    block_on(async {
        let (mut near, mut far) = tcp().await?;
        assert!(future::poll_once(near.read(&mut [0; 8])).await.is_none());
        far.write_all(b"x").await?;
        assert_eq!(near.read(&mut [0; 8]).await?, 1);
        Ok(())
    })
}

/// One task polls with a new waker each time. The event wakes it by the latest.
#[test]
fn a_read_wakes_its_latest_waker() -> io::Result<()> {
    let (near, mut far) = block_on(tcp())?;
    let mut near = near;
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut buffer = [0; 8];
    let mut read = pin!(near.read(&mut buffer));
    assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    block_on(far.write_all(b"x"))?;
    while wakes.0.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let read = read.poll(&mut Context::from_waker(&waker));
    assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
    Ok(())
}

#[test]
fn a_shutdown_ends_a_pending_read() -> io::Result<()> {
    block_on(async {
        let (mut client, _server) = tcp().await?;
        let clone = client.clone();
        let ends = async { clone.shutdown(Shutdown::Read) };
        assert_eq!(future::try_zip(client.read(&mut [0]), ends).await?.0, 0);
        let (mut one, mut other) = UnixStream::pair()?;
        let clone = one.clone();
        let ends = async { clone.shutdown(Shutdown::Both) };
        assert_eq!(future::try_zip(one.read(&mut [0]), ends).await?.0, 0);
        assert_eq!(other.read(&mut [0]).await?, 0);
        Ok(())
    })
}

#[test]
fn incoming_connections() -> io::Result<()> {
    block_on(async {
        let listener = TcpListener::bind(ANY).await?;
        let mut incoming = listener.incoming();
        for _ in 0..3 {
            let mut client = net::TcpStream::connect(listener.local_addr()?)?;
            client.write_all(b"x")?;
            let mut server = incoming.next().await.expect("it does not end")?;
            assert_eq!(server.read(&mut [0; 8]).await?, 1);
        }

        let path = path("incoming");
        let listener = UnixListener::bind(&path)?;
        let mut incoming = listener.incoming();
        let mut client = UnixStream::connect(&path).await?;
        let mut server = incoming.next().await.expect("it does not end")?;
        client.write_all(b"x").await?;
        assert_eq!(server.read(&mut [0; 8]).await?, 1);
        drop(incoming);
        drop(listener);
        std::fs::remove_file(path)
    })
}

#[test]
fn datagrams() -> io::Result<()> {
    block_on(async {
        let (one, other) = (UdpSocket::bind(ANY).await?, UdpSocket::bind(ANY).await?);
        let mut buffer = [0; 8];
        assert_eq!(one.send_to(b"hello", other.local_addr()?).await?, 5);
        assert_eq!(other.peek_from(&mut buffer).await?, (5, one.local_addr()?));
        assert_eq!(other.recv_from(&mut buffer).await?, (5, one.local_addr()?));
        one.connect(other.local_addr()?).await?;
        one.send(b"abc").await?;
        assert_eq!(one.peer_addr()?, other.local_addr()?);
        other.connect(one.local_addr()?).await?;
        assert_eq!(other.peek(&mut buffer).await?, 3);
        assert_eq!(other.recv(&mut buffer).await?, 3);

        let path = path("datagrams");
        let (bound, unbound) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
        unbound.send_to(b"ab", &path).await?;
        assert_eq!(bound.recv_from(&mut buffer).await?.0, 2);
        unbound.connect(&path)?;
        unbound.send(b"abc").await?;
        assert_eq!(bound.recv(&mut buffer).await?, 3);
        std::fs::remove_file(path)?;
        let (one, other) = UnixDatagram::pair()?;
        one.shutdown(Shutdown::Write)?;
        assert!(one.send(b"x").await.is_err());
        other.send(b"x").await?;
        assert_eq!(one.recv(&mut buffer).await?, 1);
        Ok(())
    })
}

#[test]
fn options_of_udp() -> io::Result<()> {
    block_on(async {
        let socket = UdpSocket::bind(ANY).await?;
        socket.set_broadcast(true)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_ttl_v4(7)?;
        socket.set_ttl(8)?;
        assert!(socket.broadcast()?);
        assert!(!socket.multicast_loop_v4()?);
        assert_eq!((socket.multicast_ttl_v4()?, socket.ttl()?), (7, 8));
        let group = net::Ipv4Addr::new(224, 0, 0, 123);
        socket.join_multicast_v4(group, net::Ipv4Addr::LOCALHOST)?;
        socket.leave_multicast_v4(group, net::Ipv4Addr::LOCALHOST)
    })
}
