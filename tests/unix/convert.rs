//! To and from the standard library, and descriptors.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net;
use std::pin::pin;

use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::{UnixListener, UnixStream, raw_os_error};
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{assert_closed, assert_kind, os, poll_once, run};

use crate::fixtures::{abstract_name, join};

#[test]
fn a_blocking_stream_becomes_one_of_ours() {
    run(|| async {
        let (near, mut far) = net::UnixStream::pair()?;
        assert!(!os::is_nonblocking(&near));
        let number = near.as_raw_fd();
        let near = UnixStream::try_from(near)?;
        assert!(os::is_nonblocking(&near));
        assert_eq!(near.as_raw_fd(), number);
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        far.write_all(b"hello")?;
        assert_eq!(read.await?, 5);
        near.write_all(b"and back").await?;
        let mut answer = [0; 8];
        far.read_exact(&mut answer)?;
        assert_eq!(&answer, b"and back");
        Ok(())
    });
}

#[test]
fn a_blocking_listener_becomes_one_of_ours() {
    run(|| async {
        let name = abstract_name();
        let listener = net::UnixListener::bind_addr(&name)?;
        let _early = net::UnixStream::connect_addr(&name)?;
        let listener = UnixListener::try_from(listener)?;
        assert!(os::is_nonblocking(&listener));
        listener.accept().await?;
        let mut accept = pin!(listener.accept());
        assert!(poll_once(accept.as_mut()).is_pending());
        let _late = net::UnixStream::connect_addr(&name)?;
        assert!(os::is_nonblocking(&accept.await?.0));
        Ok(())
    });
}

#[test]
fn descriptors_become_sockets_and_sockets_descriptors() {
    run(|| async {
        let (near, mut far) = net::UnixStream::pair()?;
        let near = UnixStream::try_from(OwnedFd::from(near))?;
        let listener = net::UnixListener::bind_addr(&abstract_name())?;
        let listener = UnixListener::try_from(OwnedFd::from(listener))?;
        join(&listener).await?;
        near.write_all(b"hello").await?;
        let numbers = [near.as_raw_fd(), listener.as_raw_fd()];
        let (near, listener) = (OwnedFd::try_from(near)?, OwnedFd::try_from(listener)?);
        assert_eq!([near.as_raw_fd(), listener.as_raw_fd()], numbers);
        assert!(os::is_nonblocking(&near) && os::is_nonblocking(&listener));
        drop(near);
        let mut received = Vec::new();
        far.read_to_end(&mut received)?;
        assert_eq!(received, b"hello", "and no other handle was left");
        Ok(())
    });
}

#[test]
fn other_descriptors_do_not_become_sockets() {
    run(|| async {
        let file = OwnedFd::from(File::open("/proc/self/exe")?);
        let error = UnixStream::try_from(file).expect_err("a file");
        assert_eq!(raw_os_error(&error), Some(libc::EPERM), "{error:?}");
        assert!(error.to_string().contains("register"), "{error}");
        Ok(())
    });
}

#[test]
fn a_stream_is_given_back_itself_or_as_a_duplicate() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let duplicate = net::UnixStream::try_from(near.clone())?;
        assert_ne!(duplicate.as_raw_fd(), near.as_raw_fd());
        assert!(os::is_nonblocking(&duplicate));
        (&duplicate).write_all(b"one")?;
        drop(duplicate);
        let number = near.as_raw_fd();
        let mut near = net::UnixStream::try_from(near)?;
        assert_eq!(near.as_raw_fd(), number);
        assert_kind(near.read(&mut [0; 16]), ErrorKind::WouldBlock);
        near.write_all(b"two")?;
        assert_eq!(read_exactly(&far, 6).await?, b"onetwo");
        Ok(())
    });
}

#[test]
fn a_listener_is_given_back_itself_or_as_a_duplicate() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        let duplicate = net::UnixListener::try_from(listener.clone())?;
        assert_ne!(duplicate.as_raw_fd(), listener.as_raw_fd());
        drop(duplicate);
        join(&listener).await?;
        let number = listener.as_raw_fd();
        let listener = net::UnixListener::try_from(listener)?;
        assert_eq!(listener.as_raw_fd(), number);
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn a_closed_descriptor_is_not_given_back() {
    run(|| async {
        let (near, _far) = UnixStream::pair()?;
        let clone = near.clone();
        near.close().await?;
        assert_closed(net::UnixStream::try_from(near));
        assert_closed(OwnedFd::try_from(clone));
        let listener = UnixListener::bind_addr(&abstract_name())?;
        let clone = listener.clone();
        listener.close().await?;
        assert_closed(net::UnixListener::try_from(listener));
        assert_closed(OwnedFd::try_from(clone));
        Ok(())
    });
}

/// A listener of another reactor than the global one, and its accepted streams with it.
#[test]
fn a_registration_becomes_a_socket() {
    run(|| async {
        let reactor = Reactor::builder().build()?;
        let name = abstract_name();
        let listener = net::UnixListener::bind_addr(&name)?;
        listener.set_nonblocking(true)?;
        let listener = Registration::with(&reactor, listener, Interest::Readable)?;
        let listener = UnixListener::from(listener);
        let client = UnixStream::connect_addr(&name).await?;
        let (server, _) = listener.accept().await?;
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        client.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
        reactor.shutdown();
        server.read(&mut [0; 16]).await.expect_err("its reactor is gone");
        assert!(client.set_deadline(None).is_ok());
        Ok(())
    });
}
