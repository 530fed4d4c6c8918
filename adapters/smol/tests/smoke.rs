//! The main promises of smol's shape, in seconds. The suites that show all of them are in `tests/` of the repository.

use std::time::{Duration, Instant};

use netpoll_smol as smol;
use smol::net::{TcpListener, TcpStream, UdpSocket, unix};
use smol::{future, io, is_closed, is_deadline_exceeded, prelude::*};

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

fn in_ms(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[test]
fn an_echo_by_a_spawned_task() -> io::Result<()> {
    smol::block_on(async {
        let (mut client, mut server) = pair().await?;
        let echo = smol::spawn(async move {
            let mut buffer = [0; 5];
            server.read_exact(&mut buffer).await?;
            server.write_all(&buffer).await
        });
        client.write_all(b"hello").await?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await?;
        assert_eq!(answer, b"hello");
        echo.await
    })
}

#[test]
fn a_deadline_fires_and_can_be_cleared() -> io::Result<()> {
    smol::block_on(async {
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
fn close_fails_a_pending_accept() -> io::Result<()> {
    smol::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (accepted, closed) = future::zip(listener.accept(), listener.close_socket()).await;
        closed?;
        assert!(is_closed(&accepted.expect_err("this side has closed")));
        Ok(())
    })
}

#[test]
fn an_accept_has_a_deadline() -> io::Result<()> {
    smol::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.set_deadline(in_ms(5))?;
        assert!(is_deadline_exceeded(&listener.accept().await.expect_err("no client connects")));
        Ok(())
    })
}

#[test]
fn datagrams_and_unix_sockets() -> io::Result<()> {
    smol::block_on(async {
        let (near, far) =
            (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
        near.send_to(b"hello", far.local_addr()?).await?;
        assert_eq!(far.recv_from(&mut [0; 16]).await?, (5, near.local_addr()?));

        let (mut near, mut far) = unix::UnixStream::pair()?;
        near.write_all(b"hello").await?;
        assert_eq!(far.read(&mut [0; 16]).await?, 5);
        Ok(())
    })
}

#[test]
fn a_timer() {
    let began = Instant::now();
    smol::block_on(smol::Timer::after(Duration::from_millis(5)));
    assert!(began.elapsed() >= Duration::from_millis(5));
}
