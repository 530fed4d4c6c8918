//! The parts that only Unix datagram sockets have: paths, names, and room that runs out.

use std::fs;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix;
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll_tests::fixtures::{
    assert_closed, assert_kind, assert_timed_out, in_ms, os, past, poll_once,
};
use netpoll_tokio::io::Interest;
use netpoll_tokio::net::UnixDatagram;
use netpoll_tokio::net::unix::SocketAddr;

use crate::fixtures::everywhere;
use crate::unix::path;

#[test]
fn by_path() {
    everywhere(|| async {
        let (here, there) = (path(), path());
        let (near, far) = (UnixDatagram::bind(&here)?, UnixDatagram::bind(&there)?);
        assert_eq!(near.send_to(b"hello", &there).await?, 5);
        assert_eq!(near.try_send_to(b"hello", &there)?, 5);
        assert_eq!(poll_fn(|cx| near.poll_send_to(cx, b"hello", &there)).await?, 5);
        near.connect(&there)?;
        assert_eq!(near.peer_addr()?.as_pathname(), Some(there.as_path()));
        assert_eq!(near.send(b"hello").await?, 5);
        for _ in 0..4 {
            let (len, from) = far.recv_from(&mut [0; 8]).await?;
            assert_eq!((len, from.as_pathname()), (5, Some(here.as_path())));
        }
        near.set_write_deadline(past())?;
        assert_timed_out(near.send_to(b"hello", &there).await);
        assert!(near.take_error()?.is_none());
        near.close().await?;
        assert_closed(near.take_error());
        assert_closed(near.connect(&there));
        assert_closed(near.shutdown(Shutdown::Both));
        assert_kind(UnixDatagram::bind(&here), ErrorKind::AddrInUse);
        fs::remove_file(here)?;
        fs::remove_file(there)
    });
}

#[test]
fn by_abstract_name() {
    everywhere(|| async {
        let address = SocketAddr::from_abstract_name(path().display().to_string())?;
        let (near, far) = (UnixDatagram::unbound()?, UnixDatagram::bind_addr(&address)?);
        assert_eq!(near.send_to_addr(b"hello", &address).await?, 5);
        let (len, from) = far.recv_from(&mut [0; 8]).await?;
        assert!(len == 5 && from.is_unnamed());
        near.connect_addr(&address)?;
        assert_eq!(near.try_send(b"hello")?, 5);
        assert_eq!(far.recv(&mut [0; 8]).await?, 5);
        far.close().await?;
        drop(UnixDatagram::bind_addr(&address)?);
        Ok(())
    });
}

#[test]
fn errors_are_the_systems() {
    everywhere(|| async {
        let (nowhere, socket) = (path(), UnixDatagram::unbound()?);
        for error in [
            socket.connect(&nowhere).unwrap_err(),
            socket.send_to(b"x", &nowhere).await.unwrap_err(),
            socket.try_send_to(b"x", &nowhere).unwrap_err(),
        ] {
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error:?}");
        }
        assert_kind(UnixDatagram::bind("x".repeat(200)), ErrorKind::InvalidInput);
        assert_kind(socket.send(b"stray").await, ErrorKind::NotConnected);
        Ok(())
    });
}

#[test]
fn after_a_shutdown_nothing_is_sent() {
    everywhere(|| async {
        let (near, far) = UnixDatagram::pair()?;
        near.send(b"before").await?;
        near.shutdown(Shutdown::Write)?;
        assert_kind(near.send(b"after").await, ErrorKind::BrokenPipe);
        assert_eq!(far.recv(&mut [0; 8]).await?, 6);
        far.send(b"back").await?;
        assert_eq!(near.recv(&mut [0; 8]).await?, 4);
        Ok(())
    });
}

/// Two of which one has no room for more from the other.
fn full() -> std::io::Result<(UnixDatagram, UnixDatagram)> {
    let (near, far) = UnixDatagram::pair()?;
    let blocked = loop {
        if let Err(blocked) = near.try_send(b"one of many") {
            break Err::<(), _>(blocked);
        }
    };
    assert_kind(blocked, ErrorKind::WouldBlock);
    Ok((near, far))
}

#[test]
fn a_send_waits_for_room() {
    everywhere(|| async {
        let (near, far) = full()?;
        let mut send = pin!(near.send(b"one more"));
        let mut ready = pin!(near.ready(Interest::WRITABLE));
        assert!(poll_once(send.as_mut()).is_pending());
        assert!(poll_once(ready.as_mut()).is_pending());
        let mut buffer = [0; 16];
        assert_eq!(far.recv(&mut buffer).await?, 11);
        while let Ok(len) = far.try_recv(&mut buffer) {
            assert_eq!(&buffer[..len], b"one of many");
        }
        assert_eq!(send.await?, 8);
        assert!(ready.await?.is_writable());
        assert_eq!((far.recv(&mut buffer).await?, &buffer[..8]), (8, &b"one more"[..]));
        Ok(())
    });
}

/// Not early, and a datagram that is late was not sent.
#[test]
fn a_send_that_waits_ends() {
    everywhere(|| async {
        let (near, far) = full()?;
        let begun = Instant::now();
        {
            let mut send = pin!(near.send(b"one more"));
            assert!(poll_once(send.as_mut()).is_pending());
            near.set_write_deadline(in_ms(20))?;
            assert_timed_out(send.await);
        }
        assert!(begun.elapsed() >= Duration::from_millis(20), "early");
        near.set_write_deadline(None)?;
        let mut send = pin!(near.send(b"one more"));
        let mut polled = pin!(poll_fn(|cx| near.poll_send(cx, b"one more")));
        assert!(poll_once(send.as_mut()).is_pending());
        assert!(poll_once(polled.as_mut()).is_pending());
        near.close().await?;
        assert_closed(send.await);
        assert_closed(polled.await);
        let mut buffer = [0; 16];
        let mut received = 0;
        far.readable().await?;
        while let Ok(len) = far.try_recv(&mut buffer) {
            assert_eq!(&buffer[..len], b"one of many");
            received += 1;
        }
        assert!(received > 0, "the earlier datagrams are there");
        Ok(())
    });
}

#[test]
fn sockets_come_in_blocking_and_go_out_as_they_are() {
    everywhere(|| async {
        let (near, far) = unix::net::UnixDatagram::pair()?;
        let near = UnixDatagram::from_std(near)?;
        assert!(os::is_nonblocking(&near));
        far.send(b"hello")?;
        assert_eq!(near.recv(&mut [0; 8]).await?, 5);
        let near = near.into_std()?;
        assert_kind(near.recv(&mut [0; 8]), ErrorKind::WouldBlock);
        let near: UnixDatagram = near.try_into()?;
        near.send(b"hello").await?;
        assert_eq!(far.recv(&mut [0; 8])?, 5);
        near.close().await?;
        assert_closed(near.into_std());
        Ok(())
    });
}
