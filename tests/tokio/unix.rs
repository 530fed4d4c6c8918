//! Unix sockets by path and by abstract name.

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join;
use netpoll_tests::fixtures::assert_kind;
use netpoll_tokio::net::unix::{SocketAddr, gid_t, pid_t, uid_t};
use netpoll_tokio::net::{UnixListener, UnixStream};

use crate::fixtures::everywhere;

/// A path that no other test has.
pub(crate) fn path() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("netpoll-tokio-{}-{number}", std::process::id()))
}

#[test]
fn by_path() {
    everywhere(|| async {
        let path = path();
        let listener = UnixListener::bind(&path)?;
        let connect = UnixStream::connect(&path);
        let (client, (server, peer)) = try_join(connect, listener.accept()).await?;
        assert!(peer.is_unnamed());
        assert_eq!(client.peer_addr()?.as_pathname(), Some(path.as_path()));
        assert_eq!(server.local_addr()?.as_pathname(), Some(path.as_path()));
        client.get_ref().write_all(b"x").await?;
        assert_eq!(server.get_ref().read(&mut [0]).await?, 1);
        assert!(listener.take_error()?.is_none() && client.take_error()?.is_none());
        fs::remove_file(path)
    });
}

/// As in tokio: programs that are written for it remove it themselves.
#[test]
fn the_file_stays() {
    everywhere(|| async {
        let path = path();
        UnixListener::bind(&path)?.close().await?;
        assert_kind(UnixStream::connect(&path).await, ErrorKind::ConnectionRefused);
        assert_kind(UnixListener::bind(&path), ErrorKind::AddrInUse);
        fs::remove_file(&path)?;
        drop(UnixListener::bind(&path)?);
        fs::remove_file(path)
    });
}

#[test]
fn by_abstract_name() {
    everywhere(|| async {
        let name = path().display().to_string();
        let address = SocketAddr::from_abstract_name(&name)?;
        let listener = UnixListener::bind_addr(&address)?;
        let by_path = UnixStream::connect(format!("\0{name}")).await?;
        let by_address = UnixStream::connect_addr(&address).await?;
        for client in [by_path, by_address] {
            let (server, _) = listener.accept().await?;
            server.get_ref().write_all(b"x").await?;
            assert_eq!(client.get_ref().read(&mut [0]).await?, 1);
        }
        assert!(!fs::exists(name)?);
        Ok(())
    });
}

#[test]
fn the_kernel_vouches_for_the_peer() {
    everywhere(|| async {
        let (near, _far) = UnixStream::pair()?;
        let (peer, own) = (near.peer_cred()?, fs::metadata("/proc/self")?);
        let ids: (uid_t, gid_t, Option<pid_t>) = (peer.uid(), peer.gid(), peer.pid());
        assert_eq!((ids.0, ids.1), (own.uid(), own.gid()));
        assert_eq!(ids.2, i32::try_from(std::process::id()).ok());
        Ok(())
    });
}

#[test]
fn errors_are_the_systems() {
    everywhere(|| async {
        let error = UnixStream::connect("/no/listener/here").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error:?}");
        let long = "x".repeat(200);
        assert_kind(UnixStream::connect(&long).await, ErrorKind::InvalidInput);
        assert_kind(UnixListener::bind(&long), ErrorKind::InvalidInput);
        Ok(())
    });
}
