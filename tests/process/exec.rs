//! A program that is executed inherits nothing of ours.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::process::Command;

use futures::executor::block_on;
use netpoll::{Direction, Reactor};
use netpoll_futures::UnixStream;
use netpoll_futures::{
    Async, TcpListener, TcpStream, Timer, UdpSocket, UnixDatagram, UnixListener,
};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::fixtures::tcp::pair;

/// The descriptors of a child of this process, as it sees them.
fn inherited() -> BTreeSet<String> {
    let listed = Command::new("sh")
        .args(["-c", "for fd in /proc/self/fd/*; do readlink \"$fd\"; done; true"])
        .output()
        .expect("a shell");
    let listed = String::from_utf8(listed.stdout).expect("names");
    listed.lines().filter(|line| !line.contains("/proc/")).map(kind).collect()
}

/// Pipes and sockets have numbers, and those to the child itself are others each time.
fn kind(name: &str) -> String {
    name.split('[').next().expect("a name").to_owned()
}

/// How many descriptors this process has.
fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

fn descriptors_of_a_child() -> usize {
    let counted = Command::new("sh").args(["-c", "ls /proc/self/fd | wc -l"]).output();
    let counted = String::from_utf8(counted.expect("a shell").stdout).expect("a number");
    counted.trim().parse().expect("a number")
}

/// Everything that we open, each way that there is: made, connected, accepted, passed, cloned, taken out
/// out of our care, and closed, where a placeholder is open until the object is dropped.
#[test]
fn nothing_is_inherited() {
    alone("exec::nothing_is_inherited", || {
        let (before, count, own) = (inherited(), descriptors_of_a_child(), open());
        block_on(async {
            let reactors = [Reactor::builder(), Reactor::builder().embedded()]
                .map(|builder| builder.build().expect("a reactor"));
            let several = Reactor::builder().reactors(3).build()?;
            let connections = [pair().await?, pair().await?];
            let listener = TcpListener::bind(LOOPBACK).await?;
            let udp = UdpSocket::bind(LOOPBACK).await?;
            let datagrams = UnixDatagram::pair()?;
            let path = std::env::temp_dir().join(format!("netpoll-exec-{}", std::process::id()));
            let unix = UnixListener::bind(&path)?;
            let client = UnixStream::connect(&path).await?;
            let (server, _) = unix.accept().await?;
            let (reader, writer) = std::io::pipe()?;
            let (reader, writer) = (Async::new(reader)?, Async::new(writer)?);
            let timer = Timer::after(std::time::Duration::from_secs(3600));
            client.send_with_fds(b"x", &[udp.as_fd(), listener.as_fd()]).await?;
            let mut passed = Vec::new();
            server.recv_with_fds(&mut [0; 8], &mut passed).await?;
            assert_eq!(passed.len(), 2);
            let closed = pair().await?;
            closed.0.close().await?;
            let given = TcpStream::connect(listener.local_addr()?).await?;
            let given = std::net::TcpStream::try_from(given)?;
            let failed = TcpStream::connect("127.0.0.1:1").await;
            assert!(failed.is_err(), "no socket listens there");
            assert!(connections[0].0.try_io(Direction::Write, |_| Ok(())).is_ok());
            assert!(open() > own + 30, "{} descriptors are open", open());

            assert_eq!(descriptors_of_a_child(), count);
            assert_eq!(inherited(), before);
            println!("shown: {} descriptors open, none inherited", open() - own);
            drop((reactors, several, connections, udp, datagrams, unix, client, server));
            drop((reader, writer, timer, closed, given, passed));
            std::io::Result::Ok(())
        })
        .expect("sockets");
    });
}
