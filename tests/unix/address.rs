//! The addresses and credentials of both ends.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net;

use netpoll_futures::{Credentials, UnixListener, UnixStream};
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{Folder, assert_closed, os, run};

use crate::fixtures::{abstract_name, join};

#[test]
fn both_ends_know_the_path() {
    run(|| async {
        let directory = Folder::new()?;
        let path = directory.socket();
        let listener = UnixListener::bind(&path)?;
        let (client, server) = join(&listener).await?;
        for address in [listener.local_addr()?, client.peer_addr()?, server.local_addr()?] {
            assert_eq!(address.as_pathname(), Some(&*path));
        }
        assert!(client.local_addr()?.is_unnamed() && server.peer_addr()?.is_unnamed());
        Ok(())
    });
}

#[test]
fn both_ends_know_the_abstract_name() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        let (client, server) = join(&listener).await?;
        for address in [listener.local_addr()?, client.peer_addr()?, server.local_addr()?] {
            assert_eq!(address.as_abstract_name(), name.as_abstract_name());
        }
        Ok(())
    });
}

#[test]
fn a_pair_has_no_names() {
    run(|| async {
        let (one, other) = UnixStream::pair()?;
        for address in [one.local_addr()?, one.peer_addr()?, other.local_addr()?] {
            assert!(address.is_unnamed());
        }
        one.write_all(b"hello").await?;
        assert_eq!(read_exactly(&other, 5).await?, b"hello");
        assert!(os::is_nonblocking(&one) && os::is_nonblocking(&other));
        assert!(os::is_close_on_exec(&one) && os::is_close_on_exec(&other));
        Ok(())
    });
}

#[test]
fn the_peer_has_the_systems_credentials() {
    run(|| async {
        let this = fs::metadata("/proc/self")?;
        let pid = i32::try_from(std::process::id()).expect("a process");
        let us = Credentials { pid, uid: this.uid(), gid: this.gid() };
        let listener = UnixListener::bind_addr(&abstract_name())?;
        let (client, server) = join(&listener).await?;
        let (one, other) = UnixStream::pair()?;
        for stream in [client, server, one, other] {
            assert_eq!(stream.peer_cred()?, us);
        }
        Ok(())
    });
}

/// A peer that is gone, and a listener that is, keep their names.
#[test]
fn the_peer_is_known_after_it_has_gone() {
    run(|| async {
        let listener = UnixListener::bind_addr(&abstract_name())?;
        let (client, server) = join(&listener).await?;
        let cred = client.peer_cred()?;
        drop((listener, server));
        assert_eq!(client.read(&mut [0; 16]).await?, 0);
        assert_eq!(client.peer_cred()?, cred);
        assert!(client.peer_addr()?.as_abstract_name().is_some());
        Ok(())
    });
}

/// A connection that was given up in the queue is accepted all the same.
#[test]
fn a_peer_that_is_gone_is_accepted() {
    run(|| async {
        let name = abstract_name();
        let listener = UnixListener::bind_addr(&name)?;
        drop(net::UnixStream::connect_addr(&name)?);
        let (server, peer) = listener.accept().await?;
        assert!(peer.is_unnamed());
        assert_eq!(server.read(&mut [0; 16]).await?, 0);
        Ok(())
    });
}

#[test]
fn a_stream_has_no_error_to_report() {
    run(|| async {
        let (stream, _peer) = UnixStream::pair()?;
        assert!(stream.take_error()?.is_none());
        Ok(())
    });
}

#[test]
fn a_closed_stream_has_no_addresses() {
    run(|| async {
        let (stream, _peer) = UnixStream::pair()?;
        stream.close().await?;
        assert_closed(stream.local_addr());
        assert_closed(stream.peer_addr());
        assert_closed(stream.peer_cred());
        assert_closed(stream.take_error());
        Ok(())
    });
}
