//! The parts that only Unix sockets have: paths, abstract names, and sockets without a name.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use netpoll_futures::UnixDatagram;
use netpoll_tests::fixtures::{assert_closed, assert_timed_out, in_ms, run};

use crate::fixtures::{assert_says, take};

/// A folder that is removed with its content.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("netpoll-{}-{name}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it was ours");
    }
}

fn abstract_name(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("netpoll-{}-{name}", std::process::id()))
}

/// An abstract name in a message: after an `@`, as Go writes it, and streams here.
fn written(name: &SocketAddr) -> String {
    format!("@{}", name.as_abstract_name().expect("it is one").escape_ascii())
}

#[test]
fn the_sender_can_be_answered_at_its_path() {
    run(|| async {
        let folder = Folder::new("answer")?;
        let (here, there) = (folder.path("here"), folder.path("there"));
        let (server, client) = (UnixDatagram::bind(&here)?, UnixDatagram::bind(&there)?);
        assert_eq!(client.send_to(b"hello", &here).await?, 5);
        let mut buffer = [0; 16];
        let (len, from) = server.recv_from(&mut buffer).await?;
        assert_eq!((&buffer[..len], from.as_pathname()), (&b"hello"[..], Some(&*there)));
        server.send_to_addr(b"and back", &from).await?;
        let (len, from) = client.recv_from(&mut buffer).await?;
        assert_eq!((len, from.as_pathname()), (8, Some(&*here)));
        assert_eq!(server.local_addr()?.as_pathname(), Some(&*here));
        Ok(())
    });
}

#[test]
fn abstract_names_are_free_when_their_socket_is_closed() {
    run(|| async {
        let name = abstract_name("free")?;
        for _ in 0..3 {
            let server = UnixDatagram::bind_addr(&name)?;
            let client = UnixDatagram::unbound()?;
            let taken = written(&name);
            assert_says(UnixDatagram::bind_addr(&name), libc::EADDRINUSE, "bind", &taken);
            client.send_to_addr(b"hello", &name).await?;
            let message = server.recv_msg(&mut [0; 16]).await?;
            assert!(message.from.is_unnamed(), "{:?}", message.from);
            client.connect_addr(&name)?;
            assert_eq!(client.peer_addr()?.as_abstract_name(), name.as_abstract_name());
            client.send(b"again").await?;
            assert_eq!(take(&server).await?, b"again");
            server.close().await?;
            // The kernel disconnects it on this occasion, and so there is no peer to name any more.
            assert_says(client.send(b"gone").await, libc::ECONNREFUSED, "send", "(unnamed)");
            assert_says(client.send(b"gone").await, libc::ENOTCONN, "send", "(unnamed)");
        }
        Ok(())
    });
}

/// Names as long as they can be, and with every byte in them.
#[test]
fn names_come_as_they_are() {
    run(|| async {
        let folder = Folder::new("names")?;
        let longest = folder.path(&"x".repeat(107 - folder.path("").as_os_str().len()));
        assert_eq!(longest.as_os_str().len(), 107);
        let at = folder.path("server");
        let server = UnixDatagram::bind(&at)?;
        let client = UnixDatagram::bind(&longest)?;
        client.send_to(b"hello", &at).await?;
        assert_eq!(server.recv_from(&mut [0; 16]).await?.1.as_pathname(), Some(&*longest));
        let process = std::process::id().to_ne_bytes();
        let odd = [&process[..], b"\0\xff\0 with zeroes\0"].concat();
        let client = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&odd)?)?;
        client.send_to(b"hello", &at).await?;
        let (_, from) = server.recv_from(&mut [0; 16]).await?;
        assert_eq!(from.as_abstract_name(), Some(&odd[..]));
        Ok(())
    });
}

/// The socket that bound to it removes it, as in Go.
#[test]
fn a_path_stays_after_its_socket() {
    run(|| async {
        let folder = Folder::new("stays")?;
        let path = folder.path("socket");
        let on = path.display().to_string();
        UnixDatagram::bind(&path)?.close().await?;
        assert!(path.exists());
        assert_says(UnixDatagram::bind(&path), libc::EADDRINUSE, "bind", &on);
        let client = UnixDatagram::unbound()?;
        assert_says(client.send_to(b"hello", &path).await, libc::ECONNREFUSED, "send", &on);
        assert_says(client.connect(&path), libc::ECONNREFUSED, "connect", &on);
        std::fs::remove_file(&path)?;
        assert_says(client.send_to(b"hello", &path).await, libc::ENOENT, "send", &on);
        drop(UnixDatagram::bind(&path)?);
        assert!(path.exists());
        Ok(())
    });
}

#[test]
fn a_bad_path_of_a_socket_is_an_error() {
    run(|| async {
        let socket = UnixDatagram::unbound()?;
        let too_long = PathBuf::from("x".repeat(200));
        for path in [&*too_long, Path::new("with a\0zero")] {
            let errors = [
                ("bind", UnixDatagram::bind(path).map(drop)),
                ("connect", socket.connect(path)),
                ("send", socket.send_to(b"hello", path).await.map(drop)),
                ("send", socket.try_send_to(b"hello", path).map(drop)),
            ];
            for (operation, result) in errors {
                let error = result.expect_err("not a path for a socket");
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let says = format!("{operation} {}: ", path.display());
                assert!(error.to_string().starts_with(&says), "{error}");
            }
        }
        Ok(())
    });
}

#[test]
fn every_way_to_send_to_a_path() {
    run(|| async {
        let folder = Folder::new("ways")?;
        let path = folder.path("socket");
        let (server, client) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
        let at = server.local_addr()?;
        client.send_to(b"hello", &path).await?;
        client.send_to_addr(b"hello", &at).await?;
        client.try_send_to(b"hello", &path)?;
        client.try_send_to_addr(b"hello", &at)?;
        poll_fn(|cx| client.poll_send_to(cx, b"hello", &path)).await?;
        poll_fn(|cx| client.poll_send_to_addr(cx, b"hello", &at)).await?;
        for _ in 0..6 {
            assert_eq!(take(&server).await?, b"hello");
        }
        Ok(())
    });
}

#[test]
fn a_pair_has_no_names() {
    run(|| async {
        let (near, far) = UnixDatagram::pair()?;
        assert!(near.local_addr()?.is_unnamed() && near.peer_addr()?.is_unnamed());
        near.send(b"hello").await?;
        let (len, from) = far.recv_from(&mut [0; 16]).await?;
        assert_eq!((len, from.is_unnamed()), (5, true));
        far.send(b"and back").await?;
        assert_eq!(take(&near).await?, b"and back");
        drop(far);
        assert_says(near.send(b"gone").await, libc::ECONNREFUSED, "send", "(unnamed)");
        Ok(())
    });
}

#[test]
fn a_failed_send_names_its_cause() {
    run(|| async {
        let socket = UnixDatagram::unbound()?;
        assert_says(socket.send(b"stray").await, libc::ENOTCONN, "send", "(unnamed)");
        let (near, far) = UnixDatagram::pair()?;
        let too_long = vec![0; 16 << 20];
        assert_says(near.send(&too_long).await, libc::EMSGSIZE, "send", "(unnamed)");
        near.send(b"and it goes on").await?;
        assert_eq!(take(&far).await?, b"and it goes on");
        Ok(())
    });
}

#[test]
fn a_connected_socket_receives_only_from_its_peer() {
    run(|| async {
        let [here, there] = [abstract_name("only-here")?, abstract_name("only-there")?];
        let (near, far) = (UnixDatagram::bind_addr(&here)?, UnixDatagram::bind_addr(&there)?);
        near.connect_addr(&there)?;
        far.send_to_addr(b"from the peer", &here).await?;
        assert_eq!(take(&near).await?, b"from the peer");
        let stranger = UnixDatagram::unbound()?;
        let refused = stranger.send_to_addr(b"from a stranger", &here).await;
        assert_says(refused, libc::EPERM, "send", &written(&here));
        Ok(())
    });
}

/// A datagram that was there is received. One that is not there is waited for, as Linux has a receive do
/// that does not block.
#[test]
fn after_a_shutdown_nothing_is_sent() {
    run(|| async {
        let (near, far) = UnixDatagram::pair()?;
        far.send(b"before").await?;
        near.shutdown(Shutdown::Read)?;
        assert_says(far.send(b"after").await, libc::EPIPE, "send", "(unnamed)");
        assert_eq!(take(&near).await?, b"before");
        near.set_read_deadline(in_ms(1))?;
        assert_timed_out(take(&near).await);
        near.shutdown(Shutdown::Write)?;
        assert_says(near.send(b"more").await, libc::EPIPE, "send", "(unnamed)");
        assert!(near.take_error()?.is_none());
        near.close().await?;
        assert_closed(near.shutdown(Shutdown::Both));
        assert_closed(near.connect_addr(&abstract_name("whatever")?));
        Ok(())
    });
}
