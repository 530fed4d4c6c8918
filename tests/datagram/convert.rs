//! To and from the standard library, and descriptors.

use std::fs::File;
use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdUnixDatagram;

use futures::FutureExt;
use netpoll_futures::{UdpSocket, UnixDatagram};
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{LOOPBACK, assert_closed, assert_kind, assert_pending, run};

use crate::fixtures::take;

/// Non-blocking is a flag that duplicates share, so that a receive tells.
fn assert_nonblocking(socket: &impl AsFd) {
    let received = netpoll_futures::sys::recv(socket.as_fd(), &mut [0; 16]);
    assert_kind(received, io::ErrorKind::WouldBlock);
}

#[test]
fn udp_sockets_of_the_standard_library_become_ours() {
    run(|| async {
        let [near, far] = [net::UdpSocket::bind(LOOPBACK)?, net::UdpSocket::bind(LOOPBACK)?];
        far.send_to(b"early", near.local_addr()?)?;
        let (number, at) = (near.as_raw_fd(), near.local_addr()?);
        let near = UdpSocket::try_from(near)?;
        assert_eq!((near.as_raw_fd(), near.local_addr()?), (number, at));
        assert_eq!(take(&near).await?, b"early", "an early datagram is not waited for");
        assert_nonblocking(&near);
        let mut receive = take(&near).boxed();
        assert_pending(&mut receive, &CountingWaker::new());
        far.send_to(b"later", at)?;
        assert_eq!(receive.await?, b"later");
        Ok(())
    });
}

#[test]
fn unix_sockets_of_the_standard_library_become_ours() {
    run(|| async {
        let (near, far) = StdUnixDatagram::pair()?;
        let near = UnixDatagram::try_from(near)?;
        assert_nonblocking(&near);
        far.send(b"hello")?;
        assert_eq!(take(&near).await?, b"hello");
        let far = UnixDatagram::try_from(OwnedFd::from(far))?;
        near.send(b"and back").await?;
        assert_eq!(take(&far).await?, b"and back");
        Ok(())
    });
}

#[test]
fn the_only_one_is_given_back_itself_and_a_clone_a_duplicate() {
    run(|| async {
        let socket = UdpSocket::bind(LOOPBACK).await?;
        let (number, at, clone) = (socket.as_raw_fd(), socket.local_addr()?, socket.clone());
        let duplicate = net::UdpSocket::try_from(socket)?;
        assert_ne!(duplicate.as_raw_fd(), number);
        assert_eq!(duplicate.local_addr()?, at);
        clone.send_to(b"to itself", at).await?;
        assert_eq!(take(&clone).await?, b"to itself");
        drop(duplicate);
        let itself = net::UdpSocket::try_from(clone)?;
        assert_eq!((itself.as_raw_fd(), itself.local_addr()?), (number, at));
        assert_nonblocking(&itself);
        let again = UdpSocket::try_from(OwnedFd::from(itself))?;
        assert_eq!(OwnedFd::try_from(again)?.as_raw_fd(), number);
        let (near, _far) = UnixDatagram::pair()?;
        let number = near.as_raw_fd();
        let near = StdUnixDatagram::try_from(near)?;
        assert_eq!(near.as_raw_fd(), number);
        assert_eq!(OwnedFd::try_from(UnixDatagram::try_from(near)?)?.as_raw_fd(), number);
        Ok(())
    });
}

#[test]
fn a_closed_one_is_not_given_back() {
    run(|| async {
        let socket = UdpSocket::bind(LOOPBACK).await?;
        let clone = socket.clone();
        socket.close().await?;
        assert_closed(net::UdpSocket::try_from(clone));
        assert_closed(OwnedFd::try_from(socket));
        let (near, _far) = UnixDatagram::pair()?;
        near.close().await?;
        assert_closed(StdUnixDatagram::try_from(near));
        Ok(())
    });
}

#[test]
fn other_descriptors_do_not_become_sockets() {
    run(|| async {
        let file = || File::open("/proc/self/exe").map(OwnedFd::from);
        for error in [
            UdpSocket::try_from(file()?).expect_err("a file"),
            UnixDatagram::try_from(file()?).expect_err("a file"),
        ] {
            assert_eq!(netpoll_futures::raw_os_error(&error), Some(libc::EPERM), "{error:?}");
            assert!(error.to_string().contains("register"), "{error}");
        }
        Ok(())
    });
}

/// Its bytes can be received, but not by the name of a sender that is of the other family.
#[test]
fn a_socket_of_the_other_family_says_so() {
    run(|| async {
        let (near, far) = StdUnixDatagram::pair()?;
        let near = UdpSocket::try_from(OwnedFd::from(near))?;
        far.send(b"hello")?;
        assert_eq!(take(&near).await?, b"hello");
        far.send(b"hello")?;
        let error = near.recv_from(&mut [0; 16]).await.expect_err("no internet address");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        Ok(())
    });
}
