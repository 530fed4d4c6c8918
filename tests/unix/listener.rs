//! Listening and accepting.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::pin::pin;

use futures::StreamExt;
use netpoll_futures::{UnixListener, UnixStream, raw_os_error};
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{Folder, assert_closed, assert_kind, os, poll_once, run};

use crate::fixtures::{abstract_name, assert_says, join};

#[test]
fn an_address_in_use_says_so() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        let text = path.display().to_string();
        assert_says(UnixListener::bind(&path), ErrorKind::AddrInUse, "bind", &text);
        UnixStream::connect(&path).await?;
        listener.accept().await?;
        Ok(())
    });
}

#[test]
fn an_abstract_name_in_use_says_so() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        let bytes = name.as_abstract_name().expect("an abstract name");
        let text = format!("@{}", bytes.escape_ascii());
        let error = UnixListener::bind_addr(&name).expect_err("it is taken");
        assert_eq!(raw_os_error(&error), Some(libc::EADDRINUSE));
        assert_says(UnixListener::bind_addr(&name), ErrorKind::AddrInUse, "bind", &text);
        listener.close().await?;
        UnixListener::bind_addr(&name)?;
        Ok(())
    });
}

#[test]
fn a_directory_that_is_not_there_says_so() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket().join("below");
        let text = path.display().to_string();
        assert_says(UnixListener::bind(&path), ErrorKind::NotFound, "bind", &text);
        Ok(())
    });
}

/// An empty path: the system chooses (`unix(7)`, autobind).
#[test]
fn the_system_chooses_a_name() {
    run(|| async {
        let listener = UnixListener::bind("")?;
        let address = listener.local_addr()?;
        assert_eq!(address.as_abstract_name().map(<[u8]>::len), Some(5));
        join(&listener).await?;
        Ok(())
    });
}

#[test]
fn accept_waits_for_a_connection() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        assert!(os::is_nonblocking(&listener) && os::is_close_on_exec(&listener));
        assert_kind(listener.try_accept(), ErrorKind::WouldBlock);
        let mut accept = pin!(listener.accept());
        assert!(poll_once(accept.as_mut()).is_pending());
        let client = UnixStream::connect_addr(&name).await?;
        let (server, peer) = accept.await?;
        assert!(peer.is_unnamed());
        server.write_all(b"hello").await?;
        assert_eq!(read_exactly(&client, 5).await?, b"hello");
        Ok(())
    });
}

/// They may all be one event. The queue is longer than any of the standard library's.
#[test]
fn a_burst_is_accepted_whole() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        for burst in [1, 2, 150] {
            let clients: Vec<_> =
                (0..burst).map(|_| net::UnixStream::connect_addr(&name)).collect();
            let mut incoming = listener.incoming();
            for client in clients {
                let server = incoming.next().await.expect("it has no end")?;
                drop(client?);
                assert_eq!(server.read(&mut [0; 16]).await?, 0, "the first first");
            }
        }
        Ok(())
    });
}

/// It is no listener at all, and says so when it is asked to be one.
#[test]
fn an_error_of_the_system_says_that_it_was_accepting() {
    run(|| async {
        let directory = Folder::new()?;
        let socket = net::UnixDatagram::bind(directory.socket())?;
        let listener = UnixListener::try_from(OwnedFd::from(socket))?;
        net::UnixDatagram::unbound()?.send_to(b"hello", directory.socket())?;
        let error = listener.accept().await.expect_err("it takes datagrams");
        assert_eq!(raw_os_error(&error), Some(libc::EOPNOTSUPP), "{error:?}");
        let text = directory.socket().display().to_string();
        assert!(error.to_string().starts_with(&format!("accept {text}: ")), "{error}");
        Ok(())
    });
}

#[test]
fn closing_ends_accepts_of_clones() {
    run(|| async {
        let listener = UnixListener::bind_addr(&abstract_name())?;
        let clone = listener.clone();
        let mut accept = pin!(clone.accept());
        assert!(poll_once(accept.as_mut()).is_pending());
        listener.close().await?;
        assert_closed(accept.await);
        assert_closed(clone.close().await);
        Ok(())
    });
}
