//! One descriptor of each kind, for the behaviour that all of them share.

use std::any::Any;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use netpoll::Interest;
use netpoll_futures::Async;
use netpoll_futures::sys;
use netpoll_tests::fixtures::any::fill;
use netpoll_tests::fixtures::os::{eventfd, inotify, packet_pipe, terminal, timerfd, write_count};
use netpoll_tests::fixtures::{Folder, os, run};

/// A descriptor, and the object that must live as long.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) io: Async<OwnedFd>,
    _others: Box<dyn Any>,
}

fn kind(name: &'static str, fd: impl Into<OwnedFd>, others: impl Any) -> io::Result<Kind> {
    Ok(Kind { name, io: Async::new(fd.into())?, _others: Box::new(others) })
}

/// Those of which nothing is to be read.
pub(crate) fn silent() -> io::Result<Vec<Kind>> {
    const HOUR: Duration = Duration::from_secs(3600);
    let pipe = io::pipe()?;
    let packets = packet_pipe()?;
    let streams = UnixStream::pair()?;
    let datagrams = UnixDatagram::pair()?;
    let folder = Folder::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let accepted = listener.accept()?;
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("it was asked for");
    let process = os::pidfd(child.id())?;
    Ok(vec![
        kind("pipe", pipe.0, pipe.1)?,
        kind("packet pipe", packets.0, packets.1)?,
        kind("stream pair", streams.0, streams.1)?,
        kind("datagram pair", datagrams.0, datagrams.1)?,
        kind("unix listener", UnixListener::bind(folder.join("socket"))?, ())?,
        kind("eventfd", eventfd()?, ())?,
        kind("timerfd", timerfd(HOUR)?, ())?,
        kind("inotify", inotify(folder.path())?, folder)?,
        kind("terminal", terminal()?, ())?,
        kind("tcp stream", stream, accepted)?,
        kind("tcp listener", listener, ())?,
        kind("udp", UdpSocket::bind("127.0.0.1:0")?, ())?,
        kind("child's stdout", stdout, ())?,
        kind("process", process, Ended(child))?,
    ])
}

/// A child that ends with its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("cat ends when its input does");
    }
}

/// Those into which nothing more goes.
pub(crate) async fn full() -> io::Result<Vec<Kind>> {
    let pipe = io::pipe()?;
    let streams = UnixStream::pair()?;
    let datagrams = UnixDatagram::pair()?;
    let event = eventfd()?;
    write_count(&event, u64::MAX - 1)?;
    let full = vec![
        kind("pipe", pipe.1, pipe.0)?,
        kind("stream pair", streams.0, streams.1)?,
        kind("datagram pair", datagrams.0, datagrams.1)?,
        kind("eventfd", event, ())?,
    ];
    for kind in full.iter().filter(|kind| kind.name != "eventfd") {
        fill(&kind.io).await?;
    }
    Ok(full)
}

#[test]
fn each_is_made_non_blocking_and_stays_so() {
    run(|| async {
        for Kind { name, io, .. } in silent()? {
            assert!(os::is_nonblocking(&io), "{name}");
            assert!(os::is_nonblocking(&io.into_inner()?), "{name}, given back");
        }
        Ok(())
    });
}

#[test]
fn one_that_is_said_to_be_non_blocking_is_left_alone() {
    run(|| async {
        let (reader, _writer) = io::pipe()?;
        assert!(!os::is_nonblocking(&Async::new_nonblocking(reader)?));
        Ok(())
    });
}

/// A socket of std blocks, until it is here.
#[test]
fn a_blocking_socket_does_not_block() {
    run(|| async {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        assert!(!os::is_nonblocking(&socket));
        let socket: Async<UdpSocket> = socket.try_into()?;
        let nothing = socket.get_ref().recv_from(&mut [0]);
        assert_eq!(nothing.expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn each_is_registered_for_its_own_directions() {
    run(|| async {
        let readable = ["pipe", "packet pipe", "inotify", "child's stdout"];
        for Kind { name, io, .. } in silent()? {
            let expected = match name {
                name if readable.contains(&name) => Interest::Readable,
                "tcp stream" | "tcp listener" => Interest::Both,
                _ => Interest::WriteOnDemand,
            };
            assert_eq!(sys::interest(io.as_fd()), expected, "{name}");
        }
        assert_eq!(sys::interest(io::pipe()?.1.as_fd()), Interest::Writable);
        Ok(())
    });
}

#[test]
fn each_goes_to_an_owned_descriptor_and_back() {
    run(|| async {
        for Kind { name, io, .. } in silent()? {
            let fd = OwnedFd::try_from(io)?;
            let again = Async::<OwnedFd>::try_from(fd);
            assert!(again.is_ok(), "{name}: registered no more, it can be again: {again:?}");
        }
        Ok(())
    });
}
