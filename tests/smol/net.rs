//! TCP, UDP and Unix sockets, as smol's programs use them.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use netpoll_smol as smol;
use netpoll_tests::watched;
use smol::net::unix::{UnixDatagram, UnixListener, UnixStream};
use smol::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use smol::{Async, io, is_deadline_exceeded, prelude::*};

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("localhost:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

fn run<F: Future<Output = io::Result<()>>>(test: impl FnOnce() -> F + Send + 'static) {
    watched(|| smol::block_on(test()).expect("no error but those that the test expects"));
}

/// A client and a server that copies, both through smol's traits, each byte coming back.
#[test]
fn an_echo_server_echoes() {
    run(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = smol::spawn(async move {
            let mut incoming = listener.incoming();
            while let Some(stream) = incoming.next().await {
                let stream = stream?;
                smol::spawn(async move { io::copy(stream.clone(), stream).await }).detach();
            }
            io::Result::Ok(())
        });
        for _ in 0..10 {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(b"there and back").await?;
            stream.shutdown(Shutdown::Write)?;
            let mut back = String::new();
            stream.read_to_string(&mut back).await?;
            assert_eq!(back, "there and back");
        }
        server.cancel().await;
        Ok(())
    });
}

/// `close` of smol's traits ends writing, and later bytes of the peer are still read.
#[test]
fn closing_by_the_trait_ends_writing() {
    run(|| async {
        let (mut client, mut server) = pair().await?;
        client.write_all(b"a question").await?;
        client.close().await?;
        let mut question = String::new();
        server.read_to_string(&mut question).await?;
        server.write_all(b"an answer").await?;
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert_eq!((question.as_str(), answer.as_str()), ("a question", "an answer"));
        Ok(())
    });
}

/// The gains of the changed line.
#[test]
fn every_socket_has_deadlines() {
    run(|| async {
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        let (mut client, _server) = pair().await?;
        client.set_read_deadline(soon())?;
        let late = client.read(&mut [0; 16]).await.unwrap_err();
        assert!(is_deadline_exceeded(&late) && late.kind() == ErrorKind::TimedOut);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.set_deadline(soon())?;
        assert!(is_deadline_exceeded(&listener.accept().await.unwrap_err()));
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.set_read_deadline(soon())?;
        assert!(is_deadline_exceeded(&socket.recv_from(&mut [0; 16]).await.unwrap_err()));
        let (mut one, _other) = UnixStream::pair()?;
        one.set_deadline(soon())?;
        assert!(is_deadline_exceeded(&one.read(&mut [0; 16]).await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn the_end_of_the_whole_socket_is_a_step_away() {
    run(|| async {
        let (client, mut server) = pair().await?;
        let mut clone = client.clone();
        client.close_socket().await?;
        assert!(smol::is_closed(&clone.read(&mut [0; 16]).await.unwrap_err()));
        assert_eq!(server.read(&mut [0; 16]).await?, 0);
        Ok(())
    });
}

#[test]
fn datagrams_come_and_go() {
    run(|| async {
        let (one, other) =
            (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
        one.send_to(b"hello", other.local_addr()?).await?;
        let mut buffer = [0; 16];
        assert_eq!(other.recv_from(&mut buffer).await?, (5, one.local_addr()?));
        let (one, other) = UnixDatagram::pair()?;
        one.send(b"hello").await?;
        assert_eq!(other.recv(&mut buffer).await?, 5);
        Ok(())
    });
}

#[test]
fn unix_sockets_are_found_by_their_path() {
    run(|| async {
        let path = std::env::temp_dir().join(format!("netpoll-smol-{}", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        let mut client = UnixStream::connect(&path).await?;
        let (mut server, _) = listener.accept().await?;
        client.write_all(b"hello").await?;
        client.close().await?;
        let mut said = String::new();
        server.read_to_string(&mut said).await?;
        assert_eq!(said, "hello");
        std::fs::remove_file(&path)?;
        listener.close_socket().await
    });
}

/// A server that takes a path over removes the file there and binds; the one before it ends later. In
/// smol that leaves the file of the new one alone.
#[test]
fn the_file_of_a_unix_listener_is_the_programs_to_remove() {
    run(|| async {
        let path = std::env::temp_dir().join(format!("netpoll-smol-over-{}", std::process::id()));
        let before = UnixListener::bind(&path)?;
        std::fs::remove_file(&path)?;
        let after = UnixListener::bind(&path)?;
        drop(before);
        let there = path.exists();
        // A server that wants it otherwise asks for it.
        after.get_ref().set_unlink_on_close(true);
        drop(after);
        assert!(there, "it belongs to the one after");
        assert!(!path.exists());
        Ok(())
    });
}

/// The sockets of the standard library, as smol's examples wrap them.
#[test]
fn async_takes_sockets_of_std() {
    run(|| async {
        let listener = Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let mut client = Async::<std::net::TcpStream>::connect(address).await?;
        let (mut server, _) = listener.accept().await?;
        client.write_all(b"hello").await?;
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await?;
        assert_eq!(&buffer, b"hello");
        let stream = TcpStream::try_from(client.into_inner()?)?;
        assert_eq!(stream.peer_addr()?, address);
        Ok(())
    });
}

/// As in smol: a listener of the standard library has the options of the system, and so have its connections.
#[test]
fn the_connections_of_a_listener_have_the_options_that_they_inherit() {
    run(|| async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        for listener in [TcpListener::try_from(listener.try_clone()?)?, listener.try_into()?] {
            let _client = TcpStream::connect(listener.local_addr()?).await?;
            assert!(!listener.accept().await?.0.nodelay()?);
        }
        Ok(())
    });
}

#[test]
fn names_are_looked_up() {
    run(|| async {
        let addresses = smol::net::resolve("localhost:80").await?;
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(!addresses.is_empty());
        assert!(smol::net::resolve("no port").await.is_err());
        Ok(())
    });
}
