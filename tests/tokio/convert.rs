//! To and from the standard library, and the adapter underneath.

use std::io::{ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix;

use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::sys;
use netpoll_tests::fixtures::{LOOPBACK, assert_kind, os, poll_once};
use netpoll_tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::fixtures::everywhere;

#[test]
fn streams_come_in_blocking_and_go_out_as_they_are() {
    everywhere(|| async {
        let listener = net::TcpListener::bind(LOOPBACK)?;
        let std = net::TcpStream::connect(listener.local_addr()?)?;
        let (mut peer, _) = listener.accept()?;
        let number = std.as_raw_fd();
        let stream = TcpStream::from_std(std)?;
        assert!(os::is_nonblocking(&stream));
        let mut byte = [0];
        {
            let mut read = std::pin::pin!(stream.get_ref().read(&mut byte));
            assert!(poll_once(read.as_mut()).is_pending());
            peer.write_all(b"x")?;
            assert_eq!(read.await?, 1);
        }
        let mut std = stream.into_std()?;
        assert_eq!(std.as_raw_fd(), number);
        assert_kind(std.read(&mut byte), ErrorKind::WouldBlock);
        std.set_nonblocking(false)?;
        let stream: TcpStream = std.try_into()?;
        peer.write_all(b"y")?;
        assert_eq!(stream.get_ref().read(&mut byte).await?, 1);
        Ok(())
    });
}

#[test]
fn listeners_come_in_and_go_out() {
    everywhere(|| async {
        let listener: TcpListener = net::TcpListener::bind(LOOPBACK)?.try_into()?;
        assert!(os::is_nonblocking(&listener));
        let address = listener.local_addr()?;
        let _client = TcpStream::connect(address).await?;
        listener.accept().await?;
        let std = listener.into_std()?;
        assert_eq!(std.local_addr()?, address);
        assert_kind(std.accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// As in tokio: a listener of the standard library has the options of the system, and so have its connections.
#[test]
fn the_connections_of_a_listener_have_the_options_that_they_inherit() {
    everywhere(|| async {
        for nodelay in [false, true] {
            let std = net::TcpListener::bind(LOOPBACK)?;
            sys::set_nodelay(std.as_fd(), nodelay)?;
            let socket = TcpSocket::new_v4()?;
            socket.bind(LOOPBACK.parse().expect("an address"))?;
            socket.set_nodelay(nodelay)?;
            for listener in [TcpListener::from_std(std)?, socket.listen(8)?] {
                let _client = TcpStream::connect(listener.local_addr()?).await?;
                assert_eq!(listener.accept().await?.0.nodelay()?, nodelay);
            }
        }
        Ok(())
    });
}

#[test]
fn unix_sockets_come_in_and_go_out() {
    everywhere(|| async {
        let (near, mut far) = unix::net::UnixStream::pair()?;
        let near = UnixStream::from_std(near)?;
        far.write_all(b"x")?;
        assert_eq!(near.get_ref().read(&mut [0]).await?, 1);
        let mut near = near.into_std()?;
        assert_kind(near.read(&mut [0]), ErrorKind::WouldBlock);
        drop(UnixStream::try_from(near)?);
        assert_eq!(far.read(&mut [0])?, 0);
        let name = format!("\0netpoll-tokio-convert-{}", std::process::id());
        let listener = UnixListener::bind(&name)?.into_std()?;
        let listener = UnixListener::try_from(listener)?;
        let _client = UnixStream::connect(&name).await?;
        listener.accept().await?;
        Ok(())
    });
}

/// These offer the options of the adapter underneath: another reactor, for one.
#[test]
fn a_stream_in_the_care_of_another_reactor() {
    everywhere(|| async {
        let reactor = Reactor::builder().build()?;
        let (near, far) = unix::net::UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let near = Registration::with(&reactor, near, Interest::WriteOnDemand)?;
        let near = UnixStream::from(netpoll_futures::UnixStream::from(near));
        let far = UnixStream::from_std(far)?;
        far.get_ref().write_all(b"x").await?;
        assert_eq!(near.get_ref().read(&mut [0]).await?, 1);
        assert_eq!(near.as_fd().as_raw_fd(), near.as_raw_fd());
        near.get_ref().shutdown(net::Shutdown::Write)?;
        assert_eq!(far.get_ref().read(&mut [0]).await?, 0);
        let underneath = netpoll_futures::UnixStream::from(near);
        underneath.close().await?;
        reactor.shutdown();
        Ok(())
    });
}
