//! The main promises of the sockets, in seconds. The suites that show all of them are in `tests/` of the repository.

use std::io;
use std::time::{Duration, Instant};

use futures_util::future::join;
use netpoll_futures::{
    TcpListener, TcpStream, UdpSocket, UnixStream, block_on, is_closed, is_deadline_exceeded,
};

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (client, accepted) =
        join(TcpStream::connect(listener.local_addr()?), listener.accept()).await;
    Ok((client?, accepted?.0))
}

fn in_ms(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[test]
fn an_echo() -> io::Result<()> {
    block_on(async {
        let (client, server) = pair().await?;
        client.write_all(b"hello").await?;
        let mut buffer = [0; 16];
        let len = server.read(&mut buffer).await?;
        server.write_all(&buffer[..len]).await?;
        assert_eq!(client.read(&mut buffer).await?, 5);
        assert_eq!(&buffer[..5], b"hello");
        drop(server);
        assert_eq!(client.read(&mut buffer).await?, 0, "the end of the stream");
        Ok(())
    })
}

#[test]
fn a_deadline_fires_and_can_be_cleared() -> io::Result<()> {
    block_on(async {
        let (client, server) = pair().await?;
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
    block_on(async {
        let (client, _server) = pair().await?;
        let (read, closed) = join(client.read(&mut [0]), client.close()).await;
        closed?;
        assert!(is_closed(&read.expect_err("this side has closed")));

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (accepted, closed) = join(listener.accept(), listener.close()).await;
        closed?;
        assert!(is_closed(&accepted.expect_err("this side has closed")));
        Ok(())
    })
}

#[test]
fn an_accept_has_a_deadline() -> io::Result<()> {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.set_deadline(in_ms(5))?;
        let late = listener.accept().await.expect_err("no client connects");
        assert!(is_deadline_exceeded(&late), "{late:?}");
        listener.set_deadline(None)?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        assert_eq!(listener.accept().await?.1, client.local_addr()?);
        Ok(())
    })
}

#[test]
fn datagrams() -> io::Result<()> {
    block_on(async {
        let (near, far) =
            (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
        near.send_to(b"hello", far.local_addr()?).await?;
        let mut buffer = [0; 16];
        assert_eq!(far.recv_from(&mut buffer).await?, (5, near.local_addr()?));
        far.set_read_deadline(in_ms(5))?;
        assert!(is_deadline_exceeded(&far.recv(&mut buffer).await.expect_err("no more")));
        Ok(())
    })
}

#[test]
fn unix_sockets() -> io::Result<()> {
    block_on(async {
        let (near, far) = UnixStream::pair()?;
        near.write_all(b"hello").await?;
        assert_eq!(far.read(&mut [0; 16]).await?, 5);
        far.set_deadline(in_ms(5))?;
        assert!(is_deadline_exceeded(&far.read(&mut [0]).await.expect_err("no more")));
        Ok(())
    })
}
