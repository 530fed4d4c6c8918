//! Every way in which a descriptor is made, and that none of them survives an `exec`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::executor::block_on;
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::sys;
use netpoll_futures::{Async, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener};
use netpoll_futures::{Timer, UnixStream};
use netpoll_tests::watched;

/// `O_CLOEXEC`, as `/proc` says it: the same on every architecture that has both it and us.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

/// Set in the process that has no descriptors but its own.
const ALONE: &str = "NETPOLL_TEST_ALONE";

/// In a process of its own, as other tests have descriptors as well: this very test again.
#[test]
fn no_descriptor_survives_an_exec() {
    if std::env::var_os(ALONE).is_some() {
        return watched(|| block_on(make_everything()).expect("no error"));
    }
    let alone = Command::new(std::env::current_exe().expect("the test"))
        .args(["--exact", "close_on_exec::no_descriptor_survives_an_exec", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success(), "{said}{}", String::from_utf8_lossy(&alone.stderr));
    assert!(said.contains("checked: "), "it was not run: {said}");
}

/// The open descriptors with their kinds, but for the directory that lists them.
fn open() -> BTreeMap<i32, String> {
    let entries =
        fs::read_dir("/proc/self/fd").expect("proc").map(|entry| entry.expect("an entry"));
    let numbers = entries.map(|entry| entry.path());
    let told = numbers.filter_map(|path| Some((number(&path), fs::read_link(&path).ok()?)));
    let told = told.filter(|(_, what)| !what.starts_with("/proc"));
    told.map(|(number, what)| (number, what.display().to_string())).collect()
}

fn number(path: &Path) -> i32 {
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number")
}

fn is_close_on_exec(number: i32) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).expect("it is open");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("its flags");
    u32::from_str_radix(flags.trim(), 8).expect("octal") & CLOSE_ON_EXEC != 0
}

/// The sockets are held until all of them have been looked at.
type Made = Vec<Box<dyn std::any::Any>>;

async fn make_everything() -> io::Result<()> {
    assert!(!is_close_on_exec(0), "an inherited descriptor can be told apart");
    let before = open();
    let inherited = before.keys().filter(|number| !is_close_on_exec(**number)).count();
    let mut made: Made = Vec::new();
    // The reactors: epoll, eventfd, and the placeholder of a closed descriptor.
    made.push(Box::new(Reactor::builder().reactors(2).build()?));
    made.push(Box::new(Reactor::global()?.clone()));
    tcp(&mut made).await?;
    let directory = unix_sockets(&mut made).await?;
    datagrams(&mut made, &directory).await?;
    by_hand(&mut made)?;
    closed(&mut made).await?;

    let mut kinds = BTreeMap::new();
    for (number, what) in open() {
        if before.get(&number).is_some_and(|was| *was == what) {
            continue;
        }
        assert!(is_close_on_exec(number), "descriptor {number}, {what}");
        *kinds.entry(what.split(":[").next().expect("a word").to_owned()).or_insert(0) += 1;
    }
    for (kind, least) in
        [("anon_inode:[eventpoll]", 3), ("anon_inode:[eventfd]", 3), ("socket", 25), ("pipe", 4)]
    {
        let kind = kind.split(":[").next().expect("a word");
        assert!(kinds.get(kind).is_some_and(|count| *count >= least), "{kind} in {kinds:?}");
    }
    println!("checked: {kinds:?}");
    assert_nothing_is_passed_on(inherited);
    fs::remove_dir_all(directory)
}

async fn tcp(made: &mut Made) -> io::Result<()> {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        let duplicate = net::TcpStream::try_from(client.clone())?;
        made.push(Box::new((listener, client, server, duplicate)));
    }
    let socket = netpoll_tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse().expect("an address"))?;
    let listener = socket.listen(1)?;
    let client = netpoll_tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    made.push(Box::new((listener.accept().await?, listener, client)));
    Ok(())
}

async fn unix_sockets(made: &mut Made) -> io::Result<PathBuf> {
    let directory = std::env::temp_dir().join(format!("netpoll-exec-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let listener = UnixListener::bind(directory.join("listener"))?;
    let client = UnixStream::connect(directory.join("listener")).await?;
    let (server, _) = listener.accept().await?;
    let duplicate = unix::UnixStream::try_from(client.clone())?;
    made.push(Box::new((listener, client, server, duplicate)));

    let (near, far) = UnixStream::pair()?;
    let (reader, writer) = io::pipe()?;
    near.send_with_fds(b"x", &[reader.as_fd(), writer.as_fd(), near.as_fd()]).await?;
    let mut fds = Vec::new();
    far.recv_with_fds(&mut [0; 8], &mut fds).await?;
    assert_eq!(fds.len(), 3, "they have come");
    made.push(Box::new((near, far, fds, reader, writer)));
    Ok(directory)
}

async fn datagrams(made: &mut Made, directory: &Path) -> io::Result<()> {
    let udp = UdpSocket::bind("127.0.0.1:0").await?;
    let bound = UnixDatagram::bind(directory.join("datagram"))?;
    made.push(Box::new((udp, bound, UnixDatagram::unbound()?, UnixDatagram::pair()?)));
    Ok(())
}

/// The calls by which other crates make their sockets, and the descriptors without a socket.
fn by_hand(made: &mut Made) -> io::Result<()> {
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = sys::stream(&address)?;
    sys::bind(listener.as_fd(), &address)?;
    sys::listen(listener.as_fd())?;
    let to = net::TcpListener::from(listener.try_clone()?).local_addr()?;
    let client = sys::stream(&to)?;
    // It has begun at least.
    let _ = sys::connect(client.as_fd(), &to);
    let accepted = loop {
        match sys::accept(listener.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            accepted => break accepted?.0,
        }
    };
    let registered = Registration::new(accepted)?;
    made.push(Box::new((listener, client, registered, Timer::never())));
    let duplicate: OwnedFd = net::UdpSocket::bind(address)?.into();
    made.push(Box::new(Async::new(duplicate)?));
    Ok(())
}

/// A closed descriptor leaves a number that stands for nothing.
async fn closed(made: &mut Made) -> io::Result<()> {
    let (near, far) = UnixStream::pair()?;
    near.close().await?;
    let reactor = Reactor::builder().embedded().build()?;
    let socket = net::UdpSocket::bind("127.0.0.1:0")?;
    let registered = Registration::with(&reactor, socket, Interest::Both)?;
    registered.close().await?;
    made.push(Box::new((near, far, registered, reactor)));
    Ok(())
}

/// A program that this one starts finds only the descriptors from outside, and the directory it looks in.
fn assert_nothing_is_passed_on(inherited: usize) {
    let list = Command::new("ls").arg("/proc/self/fd").output().expect("ls");
    let found = String::from_utf8_lossy(&list.stdout).split_whitespace().count();
    assert_eq!(found, inherited + 1);
}
