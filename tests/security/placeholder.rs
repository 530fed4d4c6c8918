//! The object behind the number of a closed descriptor until its owner drops it: a placeholder that leads to
//! no directory, no file system and no root, and that no call can wait for.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;

use futures::executor::block_on;
use netpoll::Reactor;
use netpoll_futures::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os;
use netpoll_tests::watched;

/// A stream that is closed and not dropped.
async fn closed() -> UnixStream {
    let (near, _far) = UnixStream::pair().expect("a pair");
    near.close().await.expect("open");
    near
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netpoll-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a file of the real root can be reached by a number: by itself, or as the current directory.
fn leads_to_the_root(number: i32) -> bool {
    let as_folder = || {
        os::change_directory(number).is_ok()
            && [c"etc/passwd", c"../etc/passwd", c"../../etc/passwd"]
                .into_iter()
                .any(|path| os::open_at(os::CURRENT, path).is_ok())
    };
    [c"etc/passwd", c"../etc/passwd"].into_iter().any(|path| os::open_at(number, path).is_ok())
        || as_folder()
}

#[test]
fn a_closed_stream_leads_to_no_file() {
    watched(|| {
        let near = block_on(closed());
        for path in [c"etc/passwd", c".", c"..", c"proc/self/fd", c""] {
            let opened = os::open_at(near.as_raw_fd(), path);
            assert!(opened.is_err(), "{path:?} below a closed stream");
        }
        assert!(!os::is_directory(near.as_raw_fd()));
        assert!(os::change_directory(near.as_raw_fd()).is_err(), "a closed stream as a directory");
    });
}

/// A process sends the number of its closed stream to a child in a jail.
#[test]
fn a_child_in_a_jail_cannot_leave_it_by_a_closed_stream() {
    alone("placeholder::a_child_in_a_jail_cannot_leave_it_by_a_closed_stream", || {
        let near = block_on(closed());
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        block_on(ours.send_with_fds(b"x", &[near.as_fd()])).expect("sent");
        let theirs: OwnedFd = theirs.try_into().expect("open");
        let folder = Folder::new("jail");
        let left = os::in_a_jail(&folder.0, || {
            let Ok(number) = os::receive_descriptor(theirs.as_fd()) else { return 2 };
            leads_to_the_root(number).into()
        });
        match left {
            Some(left) => assert_eq!(left, 0, "1: the child has left its jail; 2: nothing came"),
            None => println!("shown: not run, this user may not change its root"),
        }
    });
}

/// A process starts the reactor and closes a stream, and then gives up its root and its rights.
#[test]
fn a_process_that_changes_its_root_keeps_nothing_of_the_old_one() {
    alone("placeholder::a_process_that_changes_its_root_keeps_nothing_of_the_old_one", || {
        let is_directory = |number: &i32| os::is_directory(*number);
        let before: Vec<i32> = (0..1024).filter(is_directory).collect();
        let _reactor = Reactor::global().expect("a reactor");
        let several = Reactor::builder().reactors(3).build().expect("reactors");
        let _near = block_on(closed());
        let kept: Vec<i32> =
            (0..1024).filter(is_directory).filter(|number| !before.contains(number)).collect();
        assert_eq!(kept, [], "descriptors that stand for directories");
        let folder = Folder::new("root");
        let left = os::in_a_jail(&folder.0, || {
            (0..1024).filter(|number| !before.contains(number)).any(leads_to_the_root).into()
        });
        match left {
            Some(left) => assert_eq!(left, 0, "1: the process has a way to its old root"),
            None => println!("shown: not run, this user may not change its root"),
        }
        drop(several);
    });
}

async fn echo_everywhere(folder: &Folder) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    client.write_all(b"hello").await?;
    assert_eq!(server.read(&mut [0; 8]).await?, 5);
    client.close().await?;
    assert_eq!(server.read(&mut [0; 8]).await?, 0);
    listener.close().await?;

    let path = folder.0.join("socket");
    let listener = UnixListener::bind(&path)?;
    let client = UnixStream::connect(&path).await?;
    let (server, _) = listener.accept().await?;
    server.write_all(b"hello").await?;
    assert_eq!(client.read(&mut [0; 8]).await?, 5);
    client.close().await?;
    UdpSocket::bind("127.0.0.1:0").await?.close().await
}

/// A sandbox that has no files to open: sockets work there, their closing included.
#[test]
fn sockets_need_no_file_to_be_opened() {
    alone("placeholder::sockets_need_no_file_to_be_opened", || {
        let folder = Folder::new("closed");
        os::filter::refuse(os::filter::OPEN, libc::EACCES);
        assert!(fs::File::open("/etc/passwd").is_err(), "the filter is there");
        block_on(echo_everywhere(&folder)).expect("sockets work");
        assert!(Reactor::builder().reactors(2).build().is_ok());
    });
}

/// The calls that a program may still make by a number that it has borrowed: each comes back at once,
/// none moves a byte, none raises a signal, and `poll` says that there is nothing to wait for.
#[test]
fn no_call_by_a_stale_number_waits_or_moves_a_byte() {
    alone("placeholder::no_call_by_a_stale_number_waits_or_moves_a_byte", || {
        os::die_of_sigpipe();
        let near = block_on(closed());
        for (call, said) in os::stray_calls(near.as_fd()) {
            println!("shown: {call}: {said}");
            assert!(said <= 0, "{call} by a stale number: {said}");
            assert_ne!(said, -i64::from(libc::EAGAIN), "{call}: there is nothing to wait for");
        }
        let reported = os::poll(near.as_fd(), libc::POLLIN | libc::POLLOUT, 1000);
        println!("shown: poll: {reported:#x}");
        assert_ne!(reported, 0, "poll waits for a closed descriptor");
        // The closed streams of a process have one placeholder: it passes nothing from one to another.
        let other = block_on(closed());
        let mut byte = [0];
        let mut stale = StdStream::from(other.as_fd().try_clone_to_owned().expect("open"));
        let _ = stale.write(b"x");
        assert!(!matches!(stale.read(&mut byte), Ok(1)));
        for (call, said) in os::stray_calls(near.as_fd()) {
            assert!(said <= 0, "{call} by a stale number: {said}");
        }
    });
}
