//! Peers whose names fill all the room that an address has.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{self, SocketAddr};
use std::path::{Path, PathBuf};

use netpoll_futures::sys;
use netpoll_futures::{Async, UnixDatagram, UnixListener, UnixStream};
use netpoll_tests::fixtures::{Folder, assert_kind, assert_timed_out, os, run};

use crate::fixtures::{abstract_name, join};

/// A path of 108 bytes.
fn longest(directory: &Folder) -> PathBuf {
    let path = directory.socket();
    let rest = 108 - path.as_os_str().len();
    let longest = PathBuf::from(format!("{}{}", path.display(), "x".repeat(rest)));
    assert_eq!(longest.as_os_str().len(), 108);
    longest
}

fn datagram_at(path: &Path) -> io::Result<net::UnixDatagram> {
    let socket = net::UnixDatagram::unbound()?;
    os::bind_to_all_of(&socket, path.as_os_str().as_bytes())?;
    Ok(socket)
}

#[test]
fn a_datagram_of_the_longest_path_comes_with_its_name_and_is_answered() {
    run(|| async {
        let directory = Folder::new()?;
        let path = longest(&directory);
        let sender = datagram_at(&path)?;
        let name = abstract_name();
        let receiver = UnixDatagram::bind_addr(&name)?;
        sender.connect_addr(&name)?;
        let mut buffer = [0; 16];
        for _ in 0..5 {
            sender.send(b"hello")?;
        }
        let (len, from) = receiver.recv_from(&mut buffer).await?;
        assert_eq!((&buffer[..len], from.as_pathname()), (&b"hello"[..], Some(&*path)));
        let mut spare = Vec::with_capacity(16);
        let (_, from) = receiver.recv_buf_from(&mut spare).await?;
        assert_eq!(from.as_pathname(), Some(&*path));
        let other = receiver.registration().get_ref().try_clone()?;
        let other = Async::<net::UnixDatagram>::new(other)?;
        assert_eq!(other.recv_from(&mut buffer).await?.1.as_pathname(), Some(&*path));
        assert_eq!(receiver.recv_msg(&mut buffer).await?.from.as_pathname(), Some(&*path));
        assert_eq!(receiver.peek_from(&mut buffer).await?.1.as_pathname(), Some(&*path));
        assert_eq!(receiver.send_to_addr(b"there", &from).await?, 5);
        receiver.connect_addr(&from)?;
        assert_eq!(receiver.peer_addr()?.as_pathname(), Some(&*path));
        assert_eq!(receiver.send(b"again").await?, 5);
        for answer in [b"there", b"again"] {
            assert_eq!(sender.recv(&mut buffer)?, 5);
            assert_eq!(&buffer[..5], answer);
        }
        Ok(())
    });
}

#[test]
fn a_datagram_of_the_longest_path_is_received_when_its_sender_is_gone() {
    run(|| async {
        let directory = Folder::new()?;
        let path = longest(&directory);
        let sender = datagram_at(&path)?;
        let name = abstract_name();
        let receiver = UnixDatagram::bind_addr(&name)?;
        sender.send_to_addr(b"hello", &name)?;
        drop(sender);
        std::fs::remove_file(&path)?;
        let mut buffer = [0; 16];
        let (len, from) = receiver.recv_from(&mut buffer).await?;
        assert_eq!((&buffer[..len], from.as_pathname()), (&b"hello"[..], Some(&*path)));
        Ok(())
    });
}

#[test]
fn streams_and_listeners_have_the_longest_path() {
    run(|| async {
        let directory = Folder::new()?;
        let path = longest(&directory);
        let socket = sys::unix_stream()?;
        os::bind_to_all_of(&socket, path.as_os_str().as_bytes())?;
        os::listen(&socket, 8)?;
        let listener = UnixListener::try_from(socket)?;
        let address = listener.local_addr()?;
        assert_eq!(address.as_pathname(), Some(&*path));
        let (client, server) = join(&listener).await?;
        assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
        assert_eq!(server.local_addr()?.as_pathname(), Some(&*path));

        let (near, other) = (sys::unix_stream()?, Folder::new()?);
        let path = longest(&other);
        os::bind_to_all_of(&near, path.as_os_str().as_bytes())?;
        let near = net::UnixStream::from(near);
        sys::connect_unix(std::os::fd::AsFd::as_fd(&near), &address)?;
        let (server, peer) = listener.accept().await?;
        assert_eq!(peer.as_pathname(), Some(&*path));
        assert_eq!(server.peer_addr()?.as_pathname(), Some(&*path));
        assert_eq!(UnixStream::try_from(near)?.local_addr()?.as_pathname(), Some(&*path));
        Ok(())
    });
}

/// With its zero at the beginning, 108 bytes.
#[test]
fn the_longest_abstract_name_is_told() {
    run(|| async {
        let name = format!("{:x>107}", std::process::id());
        let name = SocketAddr::from_abstract_name(name)?;
        let sender = UnixDatagram::bind_addr(&name)?;
        let receiver = UnixDatagram::bind_addr(&abstract_name())?;
        sender.send_to_addr(b"hello", &receiver.local_addr()?).await?;
        let (_, from) = receiver.recv_from(&mut [0; 8]).await?;
        assert_eq!(from.as_abstract_name(), name.as_abstract_name());
        assert_eq!(receiver.send_to_addr(b"hello", &from).await?, 5);
        Ok(())
    });
}

#[test]
fn any_socket_connects_to_an_abstract_name() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        let mut path = b"\0".to_vec();
        path.extend(name.as_abstract_name().expect("an abstract name"));
        let path = std::ffi::OsStr::from_bytes(&path);
        let stream = Async::<net::UnixStream>::connect(path).await?;
        listener.accept().await?;
        assert_eq!(stream.get_ref().peer_addr()?.as_abstract_name(), name.as_abstract_name());
        Ok(())
    });
}

#[test]
fn no_connect_is_made_after_the_deadline() {
    run(|| async {
        let directory = Folder::new()?;
        let listener = net::UnixListener::bind(directory.socket())?;
        listener.set_nonblocking(true)?;
        let now = std::time::Instant::now();
        assert_timed_out(UnixStream::connect_deadline(directory.socket(), now).await);
        let none = std::time::Duration::ZERO;
        assert_timed_out(UnixStream::connect_timeout(directory.socket(), none).await);
        assert_kind(listener.accept(), io::ErrorKind::WouldBlock);
        Ok(())
    });
}
