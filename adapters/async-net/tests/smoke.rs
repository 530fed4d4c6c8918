//! The promises beside async-net's interface. `tests/peer.rs` has those that it shares with async-net.

use std::io;
use std::net::{self, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::{Async, block_on};
use async_net::{Shutdown, TcpListener, TcpStream, UdpSocket, is_closed, is_deadline_exceeded};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use netpoll::Direction;

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

async fn tcp() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(ANY).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[test]
fn a_deadline_ends_each_wait() -> io::Result<()> {
    block_on(async {
        let (mut client, _server) = tcp().await?;
        let deadline = Instant::now() + Duration::from_millis(5);
        client.deadlines().set_read_deadline(deadline)?;
        let late = client.read(&mut [0]).await.expect_err("the server is silent");
        assert!(is_deadline_exceeded(&late), "{late:?}");
        assert!(Instant::now() >= deadline, "never early");
        client.write_all(b"x").await?;
        client.set_write_deadline(deadline)?;
        assert!(is_deadline_exceeded(&client.write(b"x").await.expect_err("it has passed")));
        client.set_deadline(None)?;
        assert!(future::poll_once(client.read(&mut [0])).await.is_none());

        let listener = TcpListener::bind(ANY).await?;
        listener.set_read_deadline(deadline)?;
        assert!(is_deadline_exceeded(&listener.accept().await.expect_err("it has passed")));
        Ok(())
    })
}

#[test]
fn a_close_ends_each_wait_of_each_clone() -> io::Result<()> {
    block_on(async {
        let (client, mut server) = tcp().await?;
        let (mut clone, deadlines) = (client.clone(), client.deadlines());
        let (read, closed) = future::zip(clone.read(&mut [0]), client.close_socket()).await;
        closed?;
        assert!(is_closed(&read.expect_err("this side has closed")));
        assert!(is_closed(&clone.local_addr().expect_err("it is closed")));
        assert!(is_closed(&clone.shutdown(Shutdown::Both).expect_err("it is closed")));
        assert!(is_closed(&deadlines.set_deadline(None).expect_err("it is closed")));
        assert_eq!(server.read(&mut [0]).await?, 0, "the peer sees the end");
        Ok(())
    })
}

#[test]
fn peek_from_waits() -> io::Result<()> {
    block_on(async {
        let (one, other) = (UdpSocket::bind(ANY).await?, UdpSocket::bind(ANY).await?);
        let (mut buffer, to) = ([0; 8], other.local_addr()?);
        let peeked = future::try_zip(other.peek_from(&mut buffer), one.send_to(b"hello", to));
        assert_eq!(peeked.await?, ((5, one.local_addr()?), 5));
        Ok(())
    })
}

/// So that the next read waits at once, without a system call that would find nothing.
#[test]
fn a_short_read_of_tcp_shows_that_it_is_drained() -> io::Result<()> {
    block_on(async {
        let (client, mut server) = tcp().await?;
        let object: Arc<Async<net::TcpStream>> = client.clone().into();
        let mut client = client;
        let is_ready = || object.registration().try_ready(Direction::Read).is_ok();
        let mut drained = 0;
        for _ in 0..10 {
            server.write_all(b"abc").await?;
            assert_eq!(client.read(&mut [0; 2]).await?, 2);
            assert!(is_ready(), "a byte may be left");
            assert_eq!(client.read(&mut [0; 2]).await?, 1);
            drained += usize::from(!is_ready());
        }
        assert!(drained > 0, "an event that comes meanwhile keeps it ready, but not each time");
        Ok(())
    })
}
