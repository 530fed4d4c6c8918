//! The main promises of tokio's shape, in seconds: each in a runtime, and without one. The suites that show all of
//! them are in `tests/` of the repository.

use std::io;
use std::time::{Duration, Instant};

use futures_util::future::join;
use netpoll_tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use netpoll_tokio::{is_closed, is_deadline_exceeded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs a test in a current-thread runtime, and under an executor that is none of tokio's.
fn run<F: Future<Output = io::Result<()>>>(test: impl Fn() -> F) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(test())?;
    netpoll::block_on(test())
}

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

fn in_ms(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[test]
fn an_echo() -> io::Result<()> {
    run(|| async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"hello").await?;
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await?;
        server.write_all(&buffer).await?;
        server.shutdown().await?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await?;
        assert_eq!(answer, b"hello");
        Ok(())
    })
}

#[test]
fn a_deadline_fires_and_can_be_cleared() -> io::Result<()> {
    run(|| async {
        let (mut client, mut server) = pair().await?;
        let deadline = in_ms(5);
        client.set_read_deadline(deadline)?;
        let late = client.read(&mut [0]).await.expect_err("the server is silent");
        assert!(is_deadline_exceeded(&late), "{late:?}");
        assert!(Some(Instant::now()) >= deadline, "never early");

        client.set_read_deadline(None)?;
        server.write_all(b"x").await?;
        assert_eq!(client.read(&mut [0]).await?, 1);
        Ok(())
    })
}

#[test]
fn close_fails_pending_operations() -> io::Result<()> {
    run(|| async {
        let (client, _server) = pair().await?;
        let (readable, closed) = join(client.readable(), client.close()).await;
        closed?;
        assert!(is_closed(&readable.expect_err("this side has closed")));
        Ok(())
    })
}

#[test]
fn an_accept_has_a_deadline() -> io::Result<()> {
    run(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.set_deadline(in_ms(5))?;
        assert!(is_deadline_exceeded(&listener.accept().await.expect_err("no client connects")));
        Ok(())
    })
}

#[test]
fn datagrams_and_unix_sockets() -> io::Result<()> {
    run(|| async {
        let (near, far) =
            (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
        near.send_to(b"hello", far.local_addr()?).await?;
        assert_eq!(far.recv_from(&mut [0; 16]).await?, (5, near.local_addr()?));

        let (mut near, mut far) = UnixStream::pair()?;
        near.write_all(b"hello").await?;
        assert_eq!(far.read(&mut [0; 16]).await?, 5);
        Ok(())
    })
}
