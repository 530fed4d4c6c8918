//! `O_NONBLOCK` belongs to the open file description, which a child process or the receiver of a
//! descriptor may share, and may clear. Each call on a socket therefore says itself that it must not
//! block: it keeps its deadline, and its thread.
//!
//! Each operation begins with a readiness that is no longer true, so that it reaches the kernel.

use std::fmt::Debug;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll::{Direction, Interest, Reactor, Registration, is_deadline_exceeded};
use netpoll_futures::sys;
use netpoll_futures::{Async, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use netpoll_tests::watched;

/// Clears `O_NONBLOCK`, as any process can that shares the file description.
fn make_blocking(socket: &impl AsFd) {
    sys::set_nonblocking(socket.as_fd(), false).expect("an open descriptor");
}

fn deadline() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(20))
}

/// Runs a call on a thread of its own, which a call that blocks never leaves.
fn on_a_thread<R: Send + 'static>(name: &str, call: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = channel();
    thread::spawn(move || done.send(call()));
    let waited = is_done.recv_timeout(Duration::from_secs(10));
    waited.unwrap_or_else(|_| panic!("{name} blocks its thread"))
}

fn assert_late<T: Debug>(name: &str, result: io::Result<T>) {
    let error = result.expect_err(name);
    assert!(is_deadline_exceeded(&error), "{name}: {error:?}");
}

/// The operation fails when its deadline comes.
macro_rules! ends_at_its_deadline {
    ($socket:ident, $direction:ident, $operation:expr) => {{
        $socket.registration().assume_ready(Direction::$direction);
        $socket.set_deadline(deadline()).expect("an open socket");
        let $socket = $socket.clone();
        let name = stringify!($operation);
        assert_late(name, on_a_thread(name, move || block_on($operation)));
    }};
}

/// The attempt fails at once.
macro_rules! would_block {
    ($socket:ident, $direction:ident, $attempt:expr) => {{
        $socket.set_deadline(None).expect("an open socket");
        $socket.registration().assume_ready(Direction::$direction);
        let $socket = $socket.clone();
        let name = stringify!($attempt);
        let error = on_a_thread(name, move || $attempt).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{name}: {error:?}");
    }};
}

async fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[test]
fn reading_a_stream_keeps_its_deadline() {
    watched(|| {
        let (near, _far) = block_on(tcp_pair()).expect("a connection");
        make_blocking(&near);
        ends_at_its_deadline!(near, Read, near.read(&mut [0; 8]));
        ends_at_its_deadline!(near, Read, near.peek(&mut [0; 8]));
        ends_at_its_deadline!(near, Read, near.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
        would_block!(near, Read, near.try_read(&mut [0; 8]));
        would_block!(near, Read, near.try_peek(&mut [0; 8]));
        would_block!(near, Read, near.try_read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
        would_block!(near, Read, near.try_read_uninit(&mut [std::mem::MaybeUninit::uninit(); 8]));
    });
}

#[test]
fn writing_a_stream_keeps_its_deadline() {
    watched(|| {
        let (near, _far) = UnixStream::pair().expect("a pair");
        while near.try_write(&[0; 65536]).is_ok() {}
        make_blocking(&near);
        ends_at_its_deadline!(near, Write, near.write(&[0; 8]));
        ends_at_its_deadline!(near, Write, near.write_all(&[0; 8]));
        ends_at_its_deadline!(near, Write, near.write_vectored(&[IoSlice::new(&[0; 8])]));
        ends_at_its_deadline!(near, Write, near.send_with_fds(b"x", &[]));
        would_block!(near, Write, near.try_write(&[0; 8]));
        would_block!(near, Write, near.try_write_vectored(&[IoSlice::new(&[0; 8])]));
    });
}

#[test]
fn receiving_descriptors_keeps_its_deadline() {
    watched(|| {
        let (near, _far) = UnixStream::pair().expect("a pair");
        make_blocking(&near);
        ends_at_its_deadline!(near, Read, near.recv_with_fds(&mut [0; 8], &mut Vec::new()));
    });
}

#[test]
fn receiving_a_datagram_keeps_its_deadline() {
    watched(|| {
        let near = block_on(UdpSocket::bind("127.0.0.1:0")).expect("a port");
        make_blocking(&near);
        ends_at_its_deadline!(near, Read, near.recv(&mut [0; 8]));
        ends_at_its_deadline!(near, Read, near.recv_from(&mut [0; 8]));
        ends_at_its_deadline!(near, Read, near.recv_msg(&mut [0; 8]));
        ends_at_its_deadline!(near, Read, near.recv_buf(&mut Vec::with_capacity(8)));
        ends_at_its_deadline!(near, Read, near.recv_buf_from(&mut Vec::with_capacity(8)));
        ends_at_its_deadline!(near, Read, near.peek(&mut [0; 8]));
        ends_at_its_deadline!(near, Read, near.peek_from(&mut [0; 8]));
        let room = || [std::mem::MaybeUninit::uninit(); 8];
        ends_at_its_deadline!(near, Read, near.recv_uninit(&mut room()));
        ends_at_its_deadline!(near, Read, near.recv_from_uninit(&mut room()));
        would_block!(near, Read, near.try_recv_from(&mut [0; 8]));
    });
}

#[test]
fn sending_a_datagram_keeps_its_deadline() {
    watched(|| {
        let (near, far) = UnixDatagram::pair().expect("a pair");
        while near.try_send(&[0; 1024]).is_ok() {}
        make_blocking(&near);
        ends_at_its_deadline!(near, Write, near.send(&[0; 8]));
        would_block!(near, Write, near.try_send(&[0; 8]));
        drop(far);
    });
}

#[test]
fn sending_a_datagram_to_an_address_keeps_its_deadline() {
    watched(|| {
        let name = format!("netpoll-shared-description-{}", std::process::id());
        let name = unix::SocketAddr::from_abstract_name(name).expect("a short name");
        let _far = unix::UnixDatagram::bind_addr(&name).expect("the name is free");
        let near = UnixDatagram::unbound().expect("a socket");
        // Connected, it is told of the room that its receiver has.
        near.connect_addr(&name).expect("a receiver");
        while near.try_send_to_addr(&[0; 8], &name).is_ok() {}
        make_blocking(&near);
        let to = name.clone();
        would_block!(near, Write, near.try_send_to_addr(&[0; 8], &to));
        ends_at_its_deadline!(near, Write, near.send_to_addr(&[0; 8], &name));
    });
}

/// One that is taken for ready, whatever it is.
fn stale<T: AsFd>(socket: T) -> Arc<Async<T>> {
    let reactor = Reactor::global().expect("a reactor");
    let socket = Registration::with(reactor, socket, Interest::WriteOnDemand).expect("registered");
    socket.assume_ready(Direction::Read);
    socket.assume_ready(Direction::Write);
    socket.set_deadline(deadline()).expect("an open socket");
    Arc::new(Async::from(socket))
}

macro_rules! async_ends_at_its_deadline {
    ($socket:expr, $it:ident, $operation:expr) => {{
        let $it = stale($socket.try_clone().expect("a duplicate"));
        let name = stringify!($operation);
        assert_late(name, on_a_thread(name, move || block_on($operation)));
    }};
}

/// The sockets of the standard library in an `Async`, whose own calls would block.
#[test]
fn the_sockets_of_std_keep_their_deadlines() {
    watched(|| {
        let udp = net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        async_ends_at_its_deadline!(udp, it, it.recv(&mut [0; 8]));
        async_ends_at_its_deadline!(udp, it, it.recv_from(&mut [0; 8]));
        async_ends_at_its_deadline!(udp, it, it.peek(&mut [0; 8]));
        async_ends_at_its_deadline!(udp, it, it.peek_from(&mut [0; 8]));

        let (near, far) = unix::UnixDatagram::pair().expect("a pair");
        async_ends_at_its_deadline!(near, it, it.recv(&mut [0; 8]));
        async_ends_at_its_deadline!(near, it, it.recv_from(&mut [0; 8]));
        near.set_nonblocking(true).expect("an open descriptor");
        while near.send(&[0; 1024]).is_ok() {}
        make_blocking(&near);
        async_ends_at_its_deadline!(near, it, it.send(&[0; 8]));
        drop(far);

        let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let near = net::TcpStream::connect(address).expect("a connection");
        async_ends_at_its_deadline!(near, it, it.peek(&mut [0; 8]));
    });
}
