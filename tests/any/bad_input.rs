//! Descriptors that epoll refuses, and addresses that are of no use: each fails with the error of the system, as
//! in async-io.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use netpoll_futures::Async;
use netpoll_tests::fixtures::{Folder, assert_errno, os, run};

#[test]
fn a_regular_file_is_refused() {
    run(|| async {
        let folder = Folder::new()?;
        let file = File::create(folder.join("file"))?;
        let other = file.try_clone()?;
        assert_errno(Async::new(file), libc::EPERM);
        assert!(!os::is_nonblocking(&other), "nothing of the attempt remains");
        Ok(())
    });
}

#[test]
fn a_folder_is_refused() {
    run(|| async {
        let folder = Folder::new()?;
        assert_errno(Async::new(File::open(folder.path())?), libc::EPERM);
        Ok(())
    });
}

#[test]
fn a_descriptor_is_registered_once_at_a_time() {
    run(|| async {
        let (one, other) = UnixStream::pair()?;
        let registered = Async::new(&one)?;
        let twice = Async::new(&one);
        assert_eq!(twice.as_ref().expect_err("refused").kind(), ErrorKind::AlreadyExists);
        assert_errno(twice, libc::EEXIST);
        // The first is none the worse for it.
        os::write(other.as_fd(), b"x")?;
        registered.readable().await?;
        drop(registered);
        Async::new(&one)?.readable().await
    });
}

#[test]
fn a_number_that_stands_for_nothing_is_refused() {
    run(|| async {
        assert_errno(Async::new(os::NotOpen), libc::EBADF);
        Ok(())
    });
}

#[test]
fn an_address_that_is_of_no_use_fails_as_the_system_says() {
    run(|| async {
        let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
        let address = socket.get_ref().local_addr()?;
        let taken = Async::<UdpSocket>::bind(address);
        assert_errno(taken, libc::EADDRINUSE);
        // A port of zero belongs to no socket.
        let sent = socket.send_to(b"x", ([127, 0, 0, 1], 0)).await;
        assert_errno(sent, libc::EINVAL);
        Ok(())
    });
}

#[test]
fn a_path_that_is_of_no_use_fails_as_the_system_says() {
    run(|| async {
        let folder = Folder::new()?;
        let path = folder.join("socket");
        assert_errno(Async::<UnixStream>::connect(&path).await, libc::ENOENT);
        let _listener = Async::<UnixListener>::bind(&path)?;
        assert_errno(Async::<UnixListener>::bind(&path), libc::EADDRINUSE);
        assert_errno(Async::<UnixDatagram>::bind(&path), libc::EADDRINUSE);
        let missing = folder.join("missing");
        let sent = Async::<UnixDatagram>::unbound()?.send_to(b"x", &missing).await;
        assert_errno(sent, libc::ENOENT);
        let long = "x".repeat(200);
        let refused = Async::<UnixListener>::bind(&long).expect_err("too long");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        io::Result::Ok(())
    });
}
