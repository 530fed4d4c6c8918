//! To and from the standard library, and the object behind a descriptor's number.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::pin::pin;

use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::sys;
use netpoll_futures::{TcpListener, TcpStream, is_closed, raw_os_error};
use netpoll_tests::fixtures::tcp::{pair, read_exactly, read_to_end};
use netpoll_tests::fixtures::{LOOPBACK, assert_closed, assert_kind, os, poll_once, run};

/// Whether the number stands for a descriptor, of whatever kind.
fn is_taken(number: RawFd) -> bool {
    Path::new(&format!("/proc/self/fd/{number}")).symlink_metadata().is_ok()
}

/// Blocking sockets of the standard library.
fn std_pair() -> std::io::Result<(net::TcpStream, net::TcpStream)> {
    let listener = net::TcpListener::bind(LOOPBACK)?;
    let client = net::TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

#[test]
fn a_blocking_stream_becomes_one_of_ours() {
    run(|| async {
        let (near, mut far) = std_pair()?;
        assert!(!os::is_nonblocking(&near));
        let number = near.as_raw_fd();
        let near = TcpStream::try_from(near)?;
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

/// Bytes that came before the conversion are not waited for.
#[test]
fn a_stream_with_something_to_read_becomes_one_of_ours() {
    run(|| async {
        let (near, mut far) = std_pair()?;
        far.write_all(b"hello")?;
        drop(far);
        assert_eq!(read_to_end(&TcpStream::try_from(near)?).await?, b"hello");
        Ok(())
    });
}

#[test]
fn a_blocking_listener_becomes_one_of_ours() {
    run(|| async {
        let listener = net::TcpListener::bind(LOOPBACK)?;
        assert!(!os::is_nonblocking(&listener));
        let early = net::TcpStream::connect(listener.local_addr()?)?;
        let listener = TcpListener::try_from(listener)?;
        assert!(os::is_nonblocking(&listener));
        assert_eq!(listener.accept().await?.1, early.local_addr()?);
        let mut accept = pin!(listener.accept());
        assert!(poll_once(accept.as_mut()).is_pending());
        let late = net::TcpStream::connect(listener.local_addr()?)?;
        let (accepted, peer) = accept.await?;
        assert_eq!(peer, late.local_addr()?);
        assert!(os::is_nonblocking(&accepted));
        Ok(())
    });
}

/// As in Go. The listener itself, which other processes may share, keeps its option.
#[test]
fn connections_have_nodelay_wherever_the_listener_comes_from() {
    type Adopt = fn(net::TcpListener) -> std::io::Result<TcpListener>;
    const WAYS: [Adopt; 5] = [
        TcpListener::try_from,
        |std| TcpListener::try_from(OwnedFd::from(std)),
        |std| TcpListener::register_on(Reactor::global()?, std),
        |std| TcpListener::register_exclusive_on(Reactor::global()?, std),
        |std| {
            std.set_nonblocking(true)?;
            Ok(Registration::with(Reactor::global()?, std, Interest::Readable)?.into())
        },
    ];
    run(|| async {
        for adopt in WAYS {
            for inherits in [false, true] {
                let listener = net::TcpListener::bind(LOOPBACK)?;
                sys::set_nodelay(listener.as_fd(), inherits)?;
                let listener = adopt(listener)?;
                let address = listener.local_addr()?;
                let clients =
                    [net::TcpStream::connect(address)?, net::TcpStream::connect(address)?];
                assert!(listener.accept().await?.0.nodelay()?);
                assert!(listener.try_accept()?.0.nodelay()?);
                assert_eq!(sys::nodelay(listener.as_fd())?, inherits);
                drop(clients);
            }
        }
        Ok(())
    });
}

#[test]
fn descriptors_become_sockets_and_sockets_descriptors() {
    run(|| async {
        let (near, far) = std_pair()?;
        let near = TcpStream::try_from(OwnedFd::from(near))?;
        let listener = net::TcpListener::bind(LOOPBACK)?;
        let listener = TcpListener::try_from(OwnedFd::from(listener))?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        listener.accept().await?;
        near.write_all(b"hello").await?;
        let numbers = [near.as_raw_fd(), listener.as_raw_fd()];
        let (near, listener) = (OwnedFd::try_from(near)?, OwnedFd::try_from(listener)?);
        assert_eq!([near.as_raw_fd(), listener.as_raw_fd()], numbers);
        assert!(os::is_nonblocking(&near) && os::is_nonblocking(&listener));
        drop((near, client));
        let far = TcpStream::try_from(far)?;
        assert_eq!(read_to_end(&far).await?, b"hello", "and no other handle was left");
        Ok(())
    });
}

#[test]
fn other_descriptors_do_not_become_sockets() {
    run(|| async {
        let file = OwnedFd::from(File::open("/proc/self/exe")?);
        let error = TcpStream::try_from(file).expect_err("a file");
        assert_eq!(raw_os_error(&error), Some(libc::EPERM), "{error:?}");
        assert!(error.to_string().contains("register"), "{error}");
        Ok(())
    });
}

#[test]
fn the_only_stream_is_given_back_itself() {
    run(|| async {
        let (client, server) = pair().await?;
        let number = client.as_raw_fd();
        let mut client = net::TcpStream::try_from(client)?;
        assert_eq!(client.as_raw_fd(), number);
        assert!(os::is_nonblocking(&client), "as it was");
        assert_kind(client.read(&mut [0; 16]), ErrorKind::WouldBlock);
        client.set_nonblocking(false)?;
        server.write_all(b"hello").await?;
        let mut buffer = [0; 5];
        client.read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"hello");
        Ok(())
    });
}

#[test]
fn a_stream_with_clones_is_given_back_as_a_duplicate() {
    run(|| async {
        let (client, server) = pair().await?;
        let clone = client.clone();
        let duplicate = net::TcpStream::try_from(client)?;
        assert_ne!(duplicate.as_raw_fd(), clone.as_raw_fd());
        assert_eq!(duplicate.local_addr()?, clone.local_addr()?);
        assert!(os::is_nonblocking(&duplicate) && os::is_nonblocking(&clone));
        (&duplicate).write_all(b"one").expect("there is room");
        clone.write_all(b"two").await?;
        assert_eq!(read_exactly(&server, 6).await?, b"onetwo");
        drop(duplicate);
        let mut buffer = [0; 16];
        let mut read = pin!(clone.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        server.write_all(b"still here").await?;
        assert_eq!(read.await?, 10);
        Ok(())
    });
}

#[test]
fn a_listener_is_given_back_itself_or_as_a_duplicate() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let duplicate = net::TcpListener::try_from(listener.clone())?;
        assert_ne!(duplicate.as_raw_fd(), listener.as_raw_fd());
        let client = TcpStream::connect(duplicate.local_addr()?).await?;
        drop(duplicate);
        assert_eq!(listener.accept().await?.1, client.local_addr()?);
        let number = listener.as_raw_fd();
        let listener = net::TcpListener::try_from(listener)?;
        assert_eq!(listener.as_raw_fd(), number);
        assert!(os::is_nonblocking(&listener));
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// A duplicate may be registered beside the original, and a descriptor that was given back may come again.
#[test]
fn sockets_may_go_to_and_fro() {
    run(|| async {
        let (mut client, server) = pair().await?;
        for _ in 0..10 {
            let second = TcpStream::try_from(net::TcpStream::try_from(client.clone())?)?;
            server.write_all(b"ab").await?;
            assert_eq!(read_exactly(&client, 1).await?, b"a");
            assert_eq!(read_exactly(&second, 1).await?, b"b");
            drop(second);
            client = net::TcpStream::try_from(client)?.try_into()?;
            client.write_all(b"cd").await?;
            assert_eq!(read_exactly(&server, 2).await?, b"cd");
        }
        Ok(())
    });
}

#[test]
fn a_closed_descriptor_is_not_given_back() {
    run(|| async {
        let (client, server) = pair().await?;
        let clone = client.clone();
        client.close().await?;
        assert_closed(net::TcpStream::try_from(client));
        assert_closed(OwnedFd::try_from(clone));
        drop(server);
        let listener = TcpListener::bind(LOOPBACK).await?;
        let clone = listener.clone();
        listener.close().await?;
        assert_closed(net::TcpListener::try_from(listener));
        assert_closed(OwnedFd::try_from(clone));
        Ok(())
    });
}

/// A holder of the old number reaches nothing by it, and above all no other socket.
#[test]
fn a_closed_number_stands_for_nothing_until_the_last_clone_drops() {
    run(|| async {
        let (near, far) = std_pair()?;
        // No other test gets this number, whether it is free or not.
        let near = TcpStream::try_from(os::duplicate_far_up(near.as_fd())?)?;
        let clone = near.clone();
        let number = near.as_raw_fd();
        assert!(is_taken(number));
        near.close().await?;
        let error = sys::recv(near.as_fd(), &mut [0; 16]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        let error = sys::send(near.as_fd(), b"stray").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        drop(near);
        assert!(is_taken(number), "a clone is left");
        assert_eq!(clone.as_raw_fd(), number);
        drop((clone, far));
        assert!(!is_taken(number));
        Ok(())
    });
}

#[test]
fn others_do_not_get_a_closed_number() {
    run(|| async {
        let (client, _server) = pair().await?;
        let number = client.as_raw_fd();
        client.close().await?;
        let others = (0..200).map(|_| client.as_fd().try_clone_to_owned());
        for other in others.collect::<Vec<_>>() {
            assert_ne!(other?.as_raw_fd(), number);
        }
        assert_eq!(client.as_raw_fd(), number);
        Ok(())
    });
}

#[test]
fn options_of_a_closed_stream_fail() {
    run(|| async {
        let (client, _server) = pair().await?;
        client.close().await?;
        let errors = [
            client.local_addr().unwrap_err(),
            client.peer_addr().unwrap_err(),
            client.nodelay().unwrap_err(),
            client.set_nodelay(false).unwrap_err(),
            client.ttl().unwrap_err(),
            client.linger().unwrap_err(),
            client.set_keepalive(None).unwrap_err(),
            client.take_error().unwrap_err(),
        ];
        assert!(errors.iter().all(is_closed), "{errors:?}");
        Ok(())
    });
}
