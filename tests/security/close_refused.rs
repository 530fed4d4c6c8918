//! A close whose system calls are refused: by a limit below the number of the descriptor, or by a filter.
//! The peer sees the end at once, the place in a limit is free again, the number stays taken until the
//! owner drops it, and `close` fails only where there is no end to be had.

use std::fs::remove_file;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::pin;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll::{Direction, is_closed, raw_os_error};
use netpoll_futures::sys;
use netpoll_futures::{
    Async, Limit, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os;

/// The limit of descriptors below every number, until it is dropped.
struct NoDescriptors(libc::rlim_t);

impl NoDescriptors {
    fn now() -> Self {
        Self(os::limit_descriptors(0))
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        os::limit_descriptors(self.0);
    }
}

/// Long enough for any machine, and short enough to tell which wait it was.
fn in_time() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(20))
}

async fn tcp_pair(limit: Option<&Limit>) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    listener.set_limit(limit)?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[track_caller]
fn assert_taken_until_dropped<T>(number: RawFd, owner: T) {
    let others: Vec<_> = (0..64).map(|_| io::pipe().expect("a pipe")).collect();
    let is_reused = others
        .iter()
        .any(|(reader, writer)| [reader.as_raw_fd(), writer.as_raw_fd()].contains(&number));
    assert!(!is_reused, "the number of a closed descriptor is reused");
    assert!(os::is_open(number));
    drop(owner);
    assert!(!os::is_open(number), "the number is free when its owner is dropped");
}

/// Closes streams of both families while `refused` lasts.
async fn streams_end<G>(refused: impl Fn() -> G) -> io::Result<()> {
    let limit = Limit::new(1);
    let (far, near) = tcp_pair(Some(&limit)).await?;
    let clone = near.clone();
    assert_eq!(limit.in_use(), 1);
    far.set_read_deadline(in_time())?;
    let guard = refused();
    near.close().await.expect("the peer has seen the end");
    assert_eq!(far.read(&mut [0]).await.expect("the end"), 0);
    assert_eq!(limit.in_use(), 0, "the place is given back");
    assert!(is_closed(&near.close().await.expect_err("it is closed")));
    assert!(is_closed(&clone.read(&mut [0]).await.expect_err("it is closed")));
    drop(guard);
    drop(near);
    assert_taken_until_dropped(clone.as_raw_fd(), clone);

    let (near, far) = UnixStream::pair()?;
    far.set_read_deadline(in_time())?;
    let guard = refused();
    near.close().await.expect("the peer has seen the end");
    assert_eq!(far.read(&mut [0]).await.expect("the end"), 0);
    assert_eq!(
        far.write_all(b"x").await.expect_err("the other direction").kind(),
        io::ErrorKind::BrokenPipe
    );
    drop(guard);
    assert_taken_until_dropped(near.as_raw_fd(), near);
    Ok(())
}

/// Closes listeners of both families while `refused` lasts.
async fn listeners_end<G>(refused: impl Fn() -> G) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    let mut unaccepted = net::TcpStream::connect(address)?;
    unaccepted.set_read_timeout(Some(Duration::from_secs(20)))?;
    let guard = refused();
    listener.close().await.expect("it listens no more");
    drop(guard);
    let refused_kind = net::TcpStream::connect(address).expect_err("it is closed").kind();
    assert_eq!(refused_kind, io::ErrorKind::ConnectionRefused);
    let reset = unaccepted.read(&mut [0]);
    assert!(matches!(&reset, Ok(0)) || reset.is_err_and(|error| !is_late(&error)));
    let again = TcpListener::bind(address).await.expect("the port can be bound again");
    drop(again);
    assert_taken_until_dropped(listener.as_raw_fd(), listener);

    let path = std::env::temp_dir().join(format!("netpoll-refused-{}", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let guard = refused();
    listener.close().await.expect("it listens no more");
    drop(guard);
    let gone = UnixStream::connect(&path).await.expect_err("it is closed").kind();
    assert!(matches!(gone, io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound), "{gone}");
    let _ = remove_file(&path);
    assert_taken_until_dropped(listener.as_raw_fd(), listener);
    Ok(())
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[test]
fn streams_under_a_limit_below_their_numbers() {
    alone("close_refused::streams_under_a_limit_below_their_numbers", || {
        block_on(streams_end(NoDescriptors::now)).expect("no error");
    });
}

#[test]
fn listeners_under_a_limit_below_their_numbers() {
    alone("close_refused::listeners_under_a_limit_below_their_numbers", || {
        block_on(listeners_end(NoDescriptors::now)).expect("no error");
    });
}

/// An operation is inside the descriptor when it is closed: it ends as if nothing had happened, and its
/// end is that of the descriptor.
#[test]
fn a_running_call_under_a_limit_below_its_number() {
    alone("close_refused::a_running_call_under_a_limit_below_its_number", || {
        let (near, far) = UnixStream::pair().expect("a pair");
        far.set_read_deadline(in_time()).expect("open");
        let waker = CountingWaker::new();
        let _limit = NoDescriptors::now();
        let mut closing = pin!(near.close());
        thread::scope(|scope| {
            let ((enter, entered), (leave, left)) = (channel(), channel::<()>());
            let near = &near;
            let call = scope.spawn(move || {
                near.try_io(Direction::Write, |stream| {
                    enter.send(()).expect("it waits");
                    left.recv().expect("it is told");
                    sys::send(stream.as_fd(), b"x")
                })
            });
            entered.recv().expect("it is inside");
            assert!(waker.poll(closing.as_mut()).is_pending());
            leave.send(()).expect("it waits");
            assert_eq!(call.join().expect("no panic").expect("its own descriptor"), 1);
        });
        block_on(closing).expect("the peer has seen the end");
        let said = block_on(async { (far.read(&mut [0; 2]).await, far.read(&mut [0; 2]).await) });
        assert!(matches!(said, (Ok(1), Ok(0))), "{said:?}");
    });
}

/// Where there is nothing to shut down, `close` says so, and the descriptor ends with its owner.
#[test]
fn descriptors_without_an_end_of_their_own() {
    alone("close_refused::descriptors_without_an_end_of_their_own", || {
        block_on(async {
            let (mut reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
            let writer = Async::new(writer)?;
            let udp = UdpSocket::bind("127.0.0.1:0").await?;
            let address = udp.local_addr()?;
            let (datagram, peer) = UnixDatagram::pair()?;
            let limit = NoDescriptors::now();
            for closed in [writer.close().await, udp.close().await, datagram.close().await] {
                assert_eq!(raw_os_error(&closed.expect_err("no end")), Some(libc::EBADF));
            }
            drop(limit);
            assert!(is_closed(&writer.close().await.expect_err("it is closed")));
            assert!(is_closed(&udp.recv(&mut [0]).await.expect_err("it is closed")));
            assert!(peer.send(b"x").await.is_err(), "no datagram goes to a closed socket");
            assert_taken_until_dropped(writer.as_raw_fd(), writer);
            assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
            assert_taken_until_dropped(udp.as_raw_fd(), udp);
            UdpSocket::bind(address).await.expect("the port is free").close().await
        })
        .expect("no error");
    });
}

/// A filter that knows the older call only: the close is a whole one, whatever the filter says.
#[test]
fn a_filter_that_refuses_dup3() {
    // Each errno in a thread of its own, as a filter is for good.
    alone("close_refused::a_filter_that_refuses_dup3", || {
        if os::filter::DUP2.is_empty() {
            return println!("shown: not run, this architecture has no older call");
        }
        for errno in
            [libc::EPERM, libc::ENOSYS, libc::EACCES, libc::EBUSY, libc::EINTR, libc::EMFILE]
        {
            let closed = thread::spawn(move || {
                os::filter::refuse(&[libc::SYS_dup3], errno);
                block_on(async {
                    streams_end(|| ()).await?;
                    listeners_end(|| ()).await?;
                    let (mut reader, writer) = io::pipe()?;
                    let writer = Async::new(writer)?;
                    writer.close().await?;
                    assert_eq!(reader.read(&mut [0])?, 0, "the end, with the owner alive");
                    assert!(os::is_close_on_exec(&writer));
                    let udp = UdpSocket::bind("127.0.0.1:0").await?;
                    let address = udp.local_addr()?;
                    udp.close().await?;
                    UdpSocket::bind(address).await?.close().await
                })
            });
            closed.join().expect("no panic").expect("no error");
        }
    });
}

/// A filter that refuses both: connections and listeners end by `shutdown`.
#[test]
fn a_filter_that_refuses_every_replacement() {
    alone("close_refused::a_filter_that_refuses_every_replacement", || {
        os::filter::refuse(&[&[libc::SYS_dup3], os::filter::DUP2].concat(), libc::EPERM);
        block_on(streams_end(|| ())).expect("no error");
        block_on(listeners_end(|| ())).expect("no error");
    });
}

/// And one that refuses even that: `close` says why, and the end comes with the last clone.
///
/// Not on 32-bit x86, where the C library may make all calls of sockets by one, `socketcall(2)`, which the
/// filter could only refuse as a whole.
#[cfg(not(target_arch = "x86"))]
#[test]
fn a_filter_that_refuses_every_end() {
    alone("close_refused::a_filter_that_refuses_every_end", || {
        os::filter::refuse(
            &[&[libc::SYS_dup3, libc::SYS_shutdown], os::filter::DUP2].concat(),
            libc::EPERM,
        );
        block_on(async {
            let (near, far) = UnixStream::pair()?;
            let closed = near.close().await.expect_err("nothing ends it");
            assert_eq!(raw_os_error(&closed), Some(libc::EPERM));
            assert!(is_closed(&near.write(b"x").await.expect_err("it is closed")));
            far.set_read_deadline(in_time())?;
            assert_taken_until_dropped(near.as_raw_fd(), near);
            assert_eq!(far.read(&mut [0]).await?, 0);
            io::Result::Ok(())
        })
        .expect("no error");
    });
}
