//! A Unix socket before it listens, is connected, or carries datagrams.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net;

use futures::future::try_join;
use netpoll_tests::fixtures::{assert_kind, os, poll_once};
use netpoll_tests::watched;
use netpoll_tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net as peer;
use tokio::runtime::Builder;

use crate::fixtures::everywhere;
use crate::unix::path;

#[test]
fn a_unix_socket_is_bound_listens_and_connects() {
    everywhere(|| async {
        let (path, from) = (path(), path());
        let socket = UnixSocket::new_stream()?;
        assert!(os::is_nonblocking(&socket));
        socket.bind(&path)?;
        let listener = socket.listen(4)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(&from)?;
        let (mut client, (mut server, peer)) =
            try_join(socket.connect(&path), listener.accept()).await?;
        assert_eq!(peer.as_pathname(), Some(from.as_path()));
        client.write_all(b"x").await?;
        assert_eq!(server.read(&mut [0]).await?, 1);
        listener.close().await?;
        fs::remove_file(path)?;
        fs::remove_file(from)
    });
}

#[test]
fn abstract_names_are_bound_and_connected_to() {
    everywhere(|| async {
        let name = format!("\0{}", path().display());
        let socket = UnixSocket::new_stream()?;
        socket.bind(&name)?;
        let listener = socket.listen(4)?;
        UnixSocket::new_stream()?.connect(&name).await?;
        listener.accept().await?;
        let socket = UnixSocket::new_stream()?;
        assert_kind(socket.bind(&name), ErrorKind::AddrInUse);
        Ok(())
    });
}

#[test]
fn a_unix_socket_carries_datagrams() {
    everywhere(|| async {
        let path = path();
        let socket = UnixSocket::new_datagram()?;
        assert!(os::is_nonblocking(&socket));
        socket.bind(&path)?;
        let receiver = socket.datagram()?;
        let sender = UnixSocket::new_datagram()?.datagram()?;
        sender.send_to(b"hello", &path).await?;
        assert_eq!(receiver.recv(&mut [0; 8]).await?, 5);
        fs::remove_file(path)
    });
}

/// `listen(2)` of one connection leaves room for two in the queue. Where tokio's connect fails, this one waits.
#[test]
fn connecting_waits_for_room_in_the_queue() {
    everywhere(|| async {
        let name = format!("\0{}", path().display());
        let socket = UnixSocket::new_stream()?;
        socket.bind(&name)?;
        let listener = socket.listen(0)?;
        let _first = UnixStream::connect(&name).await?;
        let mut second = Box::pin(UnixSocket::new_stream()?.connect(&name));
        assert!(poll_once(second.as_mut()).is_pending());
        let _accepted = listener.accept().await?;
        second.await?;
        Ok(())
    });
}

/// Beside tokio's: which call fails, with which kind, and with which number of the system. Without a number, the text
/// tells.
#[test]
fn a_unix_socket_refuses_the_calls_that_tokios_refuses() {
    macro_rules! failures {
        ($net:ident, $taken:expr) => {{
            let long = "x".repeat(200);
            let stream = || $net::UnixSocket::new_stream();
            let datagram = || $net::UnixSocket::new_datagram();
            [
                datagram()?.listen(4).err(),
                datagram()?.connect($taken).await.err(),
                stream()?.datagram().err(),
                stream()?.bind($taken).err(),
                stream()?.bind("/no/such/folder/socket").err(),
                stream()?.bind(&long).err(),
                datagram()?.bind($taken).err(),
                stream()?.connect("/no/such/socket").await.err(),
                stream()?.connect(&long).await.err(),
                stream()?.listen(4).err(),
            ]
            .map(|error| {
                let error = error?;
                let text = (error.kind() == ErrorKind::Other).then(|| error.to_string());
                Some((error.kind(), error.raw_os_error(), text))
            })
        }};
    }
    use netpoll_tokio::net as ours;

    let compare = async || {
        let path = path();
        let _listener = UnixListener::bind(&path)?;
        let (ours, theirs) = (failures!(ours, &path), failures!(peer, &path));
        assert_eq!(ours, theirs);
        assert!(ours[..9].iter().all(Option::is_some), "{ours:?}");
        fs::remove_file(path)
    };
    watched(move || {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(compare()).expect("no other error");
    });
}

#[test]
fn a_number_becomes_a_unix_socket_and_a_unix_socket_a_number() {
    everywhere(|| async {
        let number = peer::UnixSocket::new_stream()?.into_raw_fd();
        let socket: UnixSocket = os::take(number);
        assert_eq!((socket.as_raw_fd(), socket.as_fd().as_raw_fd()), (number, number));
        let theirs: peer::UnixSocket = os::take(socket.into_raw_fd());
        let socket: UnixSocket = os::take(theirs.into_raw_fd());
        let fd = OwnedFd::from(socket);
        assert_eq!(fd.as_raw_fd(), number);
        // One that blocks is made non-blocking when it connects.
        net::UnixStream::from(fd.try_clone()?).set_nonblocking(false)?;
        let name = format!("\0{}", path().display());
        let _listener = UnixListener::bind(&name)?;
        let client = UnixSocket::from(fd).connect(&name).await?;
        assert!(os::is_nonblocking(&client));
        Ok(())
    });
}
